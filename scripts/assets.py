"""What the builders of embedded data share: checked sources, splits, and the checksum table."""

import hashlib
import json
from pathlib import Path

import numpy as np

ASSETS = Path(__file__).resolve().parent.parent / "src" / "phosphene" / "data" / "assets"
SEED = 0


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_source(path: Path, expected: str) -> None:
    """Refuse a source file that is not the one the asset was built from."""
    found = sha256(path)
    if found != expected:
        raise SystemExit(f"{path} has sha256 {found}, expected {expected}")


def stratified_split(y: np.ndarray, held_out: int) -> dict[str, np.ndarray]:
    """Indices of train, validation and test; each class is held out in proportion.

    The shares n_c * held_out / n are rounded by largest remainder, so that validation and test
    have exactly ``held_out`` examples each.
    """
    random = np.random.RandomState(SEED)  # its stream is frozen
    order = random.permutation(len(y))
    share = np.bincount(y) * held_out / len(y)
    take = np.floor(share).astype(int)
    take[np.argsort(take - share, kind="stable")[: held_out - take.sum()]] += 1
    rank = np.empty(len(y), dtype=int)  # rank of each example within its class, in random order
    for c in range(len(take)):
        rows = order[y[order] == c]
        rank[rows] = np.arange(len(rows))
    ranked, limit = rank[order], take[y[order]]
    parts = {
        "train": order[ranked >= 2 * limit],
        "validation": order[ranked < limit],
        "test": order[(ranked >= limit) & (ranked < 2 * limit)],
    }
    # Taking the first of every class leaves the rest out of order: shuffle each part once more.
    return {k: random.permutation(v).astype(np.uint16) for k, v in parts.items()}


def write(name: str, source: dict[str, str], **arrays: np.ndarray) -> None:
    """Write ``assets/NAME.npz`` and record its checksums.

    The file's checksum finds damage; the arrays' checksum survives another version of zlib.
    """
    path = ASSETS / f"{name}.npz"
    np.savez_compressed(path, **arrays)
    table = ASSETS / "checksums.json"
    rows = json.loads(table.read_text()) if table.exists() else {}
    rows[path.name] = {
        "source": source,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        "arrays": {k: hashlib.sha256(v.tobytes()).hexdigest() for k, v in sorted(arrays.items())},
    }
    table.write_text(json.dumps(dict(sorted(rows.items())), indent=2) + "\n")
    print(f"{path.name}: {path.stat().st_size:,} bytes")

"""Build ``assets/openmoji.npz`` from the npm package ``openmoji`` 17.0.0.

Every emoji is drawn twice, in color and as black lines. Both vector drawings are rendered at 128 x
128, laid over white and averaged over 4 x 4 pixels to 32 x 32. Left out, by rule:

* variants in a skin tone (2,030): they repeat one drawing in five colors;
* the group ``component`` (9): swatches and hair styles;
* the subgroup ``brand`` (53): logos, which are trademarks;
* what has no lines at all (1), or is equal to an earlier one in every pixel of both drawings.

Variants of one motif by gender or direction (a runner, a man running, a woman running to the
right) stay in one part of the split, or the test part would hold what was trained on.

Usage:
    pip install resvg_py==0.5.0
    npm pack openmoji@17.0.0
    python scripts/build_openmoji.py openmoji-17.0.0.tgz
"""

import io
import json
import re
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
from assets import check_source, stratified_split, write
from PIL import Image

SHA256 = "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68"
SIZE, FINE = 32, 4
# The person, man and woman of a motif are one; signs of gender and direction are not looked at.
PERSONS, SIGNS = "1F468|1F469", r"-200D-(2640|2642|27A1)(-FE0F)?|-FE0F"


def rendered(path: Path) -> np.ndarray:
    """A drawing over white (3, 32, 32), the mean of each 4 x 4 pixels."""
    width = SIZE * FINE
    png = bytes(resvg_py.svg_to_bytes(svg_path=str(path), width=width, height=width))
    rgba = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(np.float64)
    alpha = rgba[..., 3:] / 255
    flat = rgba[..., :3] * alpha + 255 * (1 - alpha)
    blocks = flat.reshape(SIZE, FINE, SIZE, FINE, 3).mean((1, 3))
    return np.rint(blocks).astype(np.uint8).transpose(2, 0, 1)


def motif(row: dict[str, Any]) -> str:
    """What variants by gender and direction have in common."""
    return re.sub(PERSONS, "1F9D1", re.sub(SIGNS, "", row["hexcode"]))


def drawings(package: Path) -> tuple[list[dict[str, Any]], np.ndarray, np.ndarray]:
    """The rows that are taken, with their color and line drawings."""
    rows = [
        row
        for row in json.loads((package / "data" / "openmoji.json").read_text(encoding="utf-8"))
        if not row["skintone"] and row["group"] != "component" and row["subgroups"] != "brand"
    ]
    taken: dict[bytes, tuple[dict[str, Any], np.ndarray, np.ndarray]] = {}
    for row in rows:
        color, lines = (
            rendered(package / kind / "svg" / f"{row['hexcode']}.svg")
            for kind in ("color", "black")
        )
        assert (lines == lines[:1]).all(), row["hexcode"]
        if lines.min() == 255:
            continue
        taken.setdefault(color.tobytes() + lines.tobytes(), (row, color, lines[:1]))
    kept, x, lines = zip(*taken.values(), strict=True)
    return list(kept), np.stack(x), np.stack(lines)


def split(rows: list[dict[str, Any]], y: np.ndarray) -> dict[str, np.ndarray]:
    """Indices of the parts: a tenth of the motifs, stratified by group, for each held-out one."""
    motifs, first, member = np.unique(
        [motif(row) for row in rows], return_index=True, return_inverse=True
    )
    parts = stratified_split(y[first], len(motifs) // 10)
    random = np.random.RandomState(0)  # its stream is frozen
    return {
        name: random.permutation(np.flatnonzero(np.isin(member, index))).astype(np.uint16)
        for name, index in parts.items()
    }


def as_bytes(lines: list[str]) -> np.ndarray:
    return np.frombuffer("\n".join(lines).encode("utf-8"), dtype=np.uint8)


def main(tarball: Path) -> None:
    check_source(tarball, SHA256)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(tarball) as tar:
            tar.extractall(folder, filter="data")
        rows, x, lines = drawings(Path(folder) / "package")
    groups = sorted({row["group"] for row in rows})
    y = np.array([groups.index(row["group"]) for row in rows], dtype=np.uint8)
    source = {"package": "npm openmoji 17.0.0", "sha256": SHA256, "license": "CC BY-SA 4.0"}
    write(
        "openmoji",
        source,
        x=x,
        lines=lines,
        y=y,
        groups=as_bytes(groups),
        names=as_bytes([f"{row['hexcode']} {row['annotation']}" for row in rows]),
        **split(rows, y),
    )
    print(len(rows), dict(zip(groups, np.bincount(y).tolist(), strict=True)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

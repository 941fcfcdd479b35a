"""Arrays that are larger than they look: unpacked, promised by a header, or of no bytes."""

import gzip
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import phosphene as ph
from tests.bad_input.limits import MIB, modest, refused

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("small_memory")]


# npz


def header(shape: str, descr: str = "'<f4'", order: str = "False") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def archive(path: Path, **members: bytes) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stored:
        for name, content in members.items():
            stored.writestr(f"{name}.npy", content)
    return f"npz:{path}"


def bomb(path: Path, mode: str = "C") -> str:
    """100 MB of zeros in 100 kB."""
    x = np.zeros((25_000, 1000), np.float32, order="C" if mode == "C" else "F")
    np.savez_compressed(path, x=x, y=np.arange(25_000) % 3)
    return f"npz:{path}"


def test_npz_that_is_large_when_unpacked_is_refused_or_read_within_limit(tmp_path: Path) -> None:
    name = bomb(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").stat().st_size < 2 * MIB
    refused(
        name, "a.npz", "MiB of memory for x (25000, 1000)", "data may take 16.0 MiB", "?limit=N"
    )
    few = modest(f"{name}?limit=50")
    assert few.x.shape == (50, 1000)
    assert few.classes == ("0", "1", "2")


def test_npz_in_fortran_order_has_no_rows_and_is_admitted_whole(tmp_path: Path) -> None:
    refused(bomb(tmp_path / "a.npz", "F") + "?limit=50", "of memory for x (25000, 1000)")
    x = np.asfortranarray(np.random.RandomState(0).rand(300, 7))
    np.savez(tmp_path / "b.npz", x=x)
    np.savez(tmp_path / "c.npz", x=np.ascontiguousarray(x))
    both = [ph.data.load(f"npz:{tmp_path / f}?limit=9").x for f in ("b.npz", "c.npz")]
    assert torch.equal(*both)


def test_npz_limit_keeps_the_rows_that_it_would_of_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    x = np.random.RandomState(0).randint(0, 17, (9000, 5, 6), dtype=np.int16)
    np.savez_compressed(tmp_path / "a.npz", x=x, y=np.arange(9000), image=x.astype(np.uint8))
    name = f"npz:{tmp_path / 'a.npz'}?levels=17"
    few, whole = ph.data.load(f"{name}&limit=40"), ph.data.load(name)
    assert few.y is not None
    assert whole.y is not None
    assert torch.equal(few.x[:, 0], torch.from_numpy(x[few.y.numpy()]))
    assert torch.equal(whole.x[:, 0], torch.from_numpy(x[whole.y.numpy()]))
    assert few.image is not None
    assert torch.equal(few.image, few.x)


def test_npz_faults_are_counted_over_all_rows_whatever_the_limit(tmp_path: Path) -> None:
    x = np.zeros((200_000, 3), np.float32)
    x[[150_000, 190_000], 1] = np.nan
    np.savez(tmp_path / "a.npz", x=x)
    found = "2 NaN or infinite values in x, the first at (150000, 1)"
    refused(f"npz:{tmp_path / 'a.npz'}?limit=5", found)


def test_npz_headers_that_promise_what_is_not_there(tmp_path: Path) -> None:
    for shape in ("(1000000000, 1000)", "(100, 1)", f"({10**30}, 3)", "(2, 2)"):
        name = archive(tmp_path / "a.npz", x=header(shape) + bytes(40))
        refused(name, "a.npz", "damaged or truncated", "promises", "there are 40")
    for damaged in ("(-2, 3)", "(1.5, 3)", "x", "(" * 3000, str((1,) * 70)):
        refused(archive(tmp_path / "a.npz", x=header(damaged) + bytes(40)), "damaged or truncated")
    # Ten gigabytes of a header, of which one is there.
    raw = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + bytes(100 * MIB)
    refused(archive(tmp_path / "b.npz", x=raw), "damaged or truncated")


def test_npz_arrays_of_no_bytes_have_no_order(tmp_path: Path) -> None:
    for shape in ("(1000000000000, 0)", f"({10**18}, 0, 5)"):
        refused(archive(tmp_path / "a.npz", x=header(shape)), "the order of 10000000")
    refused(archive(tmp_path / "a.npz", x=header("(20, 0)", "'|u1'")), "size below 1")
    refused(archive(tmp_path / "a.npz", x=header("(20, 100000000000, 0)")), "size below 1")


def test_npz_directories_that_lie_about_sizes(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    name = archive(path, x=header("(20, 4)") + bytes(320))
    whole = path.read_bytes()
    at = whole.rindex(b"PK\x01\x02")
    for size in (0, 5, 2**31):
        path.write_bytes(whole[: at + 24] + struct.pack("<I", size) + whole[at + 28 :])
        refused(name, "damaged or truncated")
    # 300 MiB that the directory says are 400 bytes: they are not unpacked.
    archive(path, x=header("(20, 4)") + bytes(100 * MIB))
    whole = path.read_bytes()
    at = whole.rindex(b"PK\x01\x02")
    lie = len(header("(20, 4)")) + 320
    path.write_bytes(whole[: at + 24] + struct.pack("<I", lie) + whole[at + 28 :])
    refused(name, "damaged or truncated")


def test_npz_arrays_that_are_not_used_are_not_read(tmp_path: Path) -> None:
    plain = header("(20, 2)") + np.arange(40, dtype="<f4").tobytes()
    big = header("(25000, 1000)") + bytes(100_000_000)
    data = modest(archive(tmp_path / "a.npz", x=plain, other=big, x_train=big))
    assert len(data) == 16
    np.savez(tmp_path / "b.npz", x=np.zeros((20, 2)), names=np.array([None] * 3))
    assert len(ph.data.load(f"npz:{tmp_path / 'b.npz'}")) == 16


def test_npz_labels_are_looked_at_before_they_are_read(tmp_path: Path) -> None:
    plain = header("(20, 2)") + bytes(160)
    big = header("(25000000,)") + bytes(100_000_000)
    refused(archive(tmp_path / "a.npz", x=plain, y=big), "20 examples", "(25000000,)")
    wide = header("(20,)", "'<U1250000'") + bytes(100_000_000)
    refused(archive(tmp_path / "a.npz", x=plain, y=wide), "of memory for y", "whole numbers")
    wide = header("(20, 1000, 5000)", "'|u1'") + bytes(100_000_000)
    refused(archive(tmp_path / "a.npz", x=plain, image=wide), "of memory for image")


def test_npz_of_types_without_meaning(tmp_path: Path) -> None:
    record = header("(20,)", "[('a', '<f4'), ('b', '<i8')]") + bytes(240)
    refused(archive(tmp_path / "a.npz", x=record), "x of type")
    for descr, size in (("'<c8'", 8), ("'|S8'", 8), ("'<M8[s]'", 8)):
        name = archive(tmp_path / "a.npz", x=header("(20,)", descr) + bytes(20 * size))
        refused(f"{name}?levels=5", "x of type")
    refused(archive(tmp_path / "a.npz", x=header("(20,)", "'|V0'")), "damaged")
    np.savez(tmp_path / "b.npz", x=np.array([None] * 20))
    refused(f"npz:{tmp_path / 'b.npz'}", "objects, which are not loaded")


def test_npz_compressed_in_other_ways_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_BZIP2) as stored:
        stored.writestr("x.npy", header("(25000, 1000)") + bytes(100_000_000))
    refused(f"npz:{tmp_path / 'a.npz'}?limit=5", "compressed as np.savez_compressed does not")


# IDX


def idx_file(path: Path, n: int, body: int, pack: bool = True) -> str:
    raw = bytes([0, 0, 8, 3]) + struct.pack(">3I", n, 100, 100) + bytes(body)
    path.write_bytes(gzip.compress(raw) if pack else raw)
    return f"idx:{path}"


def test_idx_that_is_large_when_unpacked_is_refused_or_read_within_limit(tmp_path: Path) -> None:
    name = idx_file(tmp_path / "images-ubyte.gz", 10_000, 100_000_000)
    refused(name, "of memory for x (10000, 100, 100)", "?limit=N")
    assert modest(f"{name}?limit=30").x.shape == (30, 1, 100, 100)


def test_idx_bombs_stop_at_what_their_header_promises(tmp_path: Path) -> None:
    name = idx_file(tmp_path / "images-ubyte.gz", 20, 100_000_000)
    refused(name, "promises 20x100x100 bytes, and it holds more")
    name = idx_file(tmp_path / "images-ubyte.gz", 20, 199_999)
    refused(name, "promises 20x100x100 bytes, and it holds fewer")
    name = idx_file(tmp_path / "images-ubyte", 2**32 - 1, 1000, pack=False)
    refused(name, "promises 4294967295x100x100 bytes, and it holds 1000")

"""How much memory a piece of work takes at its peak, and what is refused before it takes it."""

import io
import os
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import phosphene as ph
from phosphene.core.errors import DataError, PhospheneError

MIB = 2**20
SMALL = 16 * MIB
"""The memory that data may take here; the bombs would take 6 times as much."""

SLACK = 16 * MIB
"""Of the interpreter and its allocators."""


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))


def peak(work: Callable[[], object]) -> int:
    """How much more memory the process had, at most, than before."""
    clear = Path("/proc/self/clear_refs")
    if not os.access(clear, os.W_OK):
        pytest.skip("the peak of memory cannot be measured here")
    clear.write_text("5")
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def refused(work: Callable[[], object] | str, *parts: str) -> str:
    """One sentence that holds all parts, and no more memory than is allowed."""
    load = (lambda: ph.data.load(work)) if isinstance(work, str) else work
    caught: list[PhospheneError] = []

    def attempt() -> None:
        with pytest.raises(DataError) as error:
            load()
        caught.append(error.value)

    assert peak(attempt) < SMALL + SLACK
    text = str(caught[0])
    assert "\n" not in text
    for part in parts:
        assert part in text, text
    return text


def modest(name: str) -> ph.data.Dataset:
    """A data set that is read within what is allowed."""
    found: list[ph.data.Dataset] = []
    assert peak(lambda: found.append(ph.data.load(name))) < SMALL + SLACK
    return found[0]


def small_pictures(folder: Path, n: int) -> None:
    folder.mkdir(exist_ok=True)
    for i in range(n):
        Image.new("L", (20, 20), i).save(folder / f"{i}.png")


def shard(path: Path, files: dict[str, bytes], pack: Callable[[bytes], bytes] = bytes) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    path.write_bytes(pack(raw.getvalue()))


def png() -> bytes:
    file = io.BytesIO()
    Image.new("L", (20, 20)).save(file, "png")
    return file.getvalue()


def blank(path: Path, width: int, height: int) -> None:
    """A PNG of black, gray pixels, in a thousandth of their size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", size) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)

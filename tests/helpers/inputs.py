"""Files as people have them, made by formula: shaded pictures, splits, links, odd names.

Made for these tests; nothing is copied from anywhere.
"""

import struct
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["idx", "picture", "pictures"]


def picture(path: Path, shade: int = 0, seed: int = 0, **how: str) -> None:
    """A gray picture of 16 x 16 pixels; its format goes by the ending, unless it is said."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng((seed, shade)).integers(0, 40, (16, 16))
    Image.fromarray((noise + shade).astype(np.uint8)).save(path, **how)


def pictures(folder: Path, n: int, shade: int = 0, ending: str = "png") -> None:
    """Some of them, called 00.png, 01.png, ..."""
    for k in range(n):
        picture(folder / f"{k:02}.{ending}", shade, k)


def idx(path: Path, codes: np.ndarray) -> None:
    """An IDX file of bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = b"".join(struct.pack(">I", n) for n in codes.shape)
    path.write_bytes(b"\0\0\x08" + bytes([codes.ndim]) + sizes + codes.tobytes())

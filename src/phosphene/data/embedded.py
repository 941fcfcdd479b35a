"""The data sets that ship inside the package, read from ``assets/*.npz``."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split

__all__ = ["digits", "digits_binary", "mnist", "mnist_binary", "read_asset"]

_TEN = tuple("0123456789")
_BINARIZATION_SEED = 1571


@cache
def read_asset(name: str) -> dict[str, NDArray[np.generic]]:
    """The arrays of ``assets/NAME.npz``."""
    asset = files("phosphene.data") / "assets" / f"{name}.npz"
    with asset.open("rb") as file, np.load(file) as arrays:
        return dict(arrays)


def bernoulli(x: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """One draw b ~ Bernoulli(x/255) for each code, the same on every machine and version.

    It uses the raw stream of PCG64, which numpy promises to keep; the draws of its Generator may
    change. With u uniform on 0..2^32-1, u < x (2^32 - 1)/255 has the probability to within 2^-32.
    """
    raw = np.random.PCG64(seed).random_raw(-(-x.size // 2)).astype("<u8", copy=False)
    u = raw.view("<u4")[: x.size].reshape(x.shape)
    return (u < x * np.uint32(0xFFFFFFFF // 255)).view(np.uint8)


@cache
def _mnist_bits() -> NDArray[np.uint8]:
    return bernoulli(read_asset("mnist")["x"].astype(np.uint8, copy=False), _BINARIZATION_SEED)


def _embedded(
    name: str,
    split: Split,
    asset: str,
    levels: int,
    convert: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
) -> Dataset:
    arrays = read_asset(asset)
    index = arrays[split].astype(np.int64)
    x = convert(arrays["x"].astype(np.uint8, copy=False))[index]
    return Dataset(
        name=name,
        split=split,
        event=Event.image(1, x.shape[1:], levels=levels),
        x=torch.from_numpy(np.ascontiguousarray(x[:, None])),
        y=torch.from_numpy(arrays["y"][index].astype(np.int64)),
        classes=_TEN,
        classifier="digits" if asset == "mnist" else None,
    )


def mnist(split: Split) -> Dataset:
    """Handwritten digits (LeCun, Cortes and Burges, 1998): codes 0..255 of shape (1, 28, 28)."""
    return _embedded("mnist", split, "mnist", 256, lambda x: x)


def mnist_binary(split: Split) -> Dataset:
    """One fixed Bernoulli(x/255) draw of ``mnist`` (Salakhutdinov and Murray, 2008)."""
    return _embedded("mnist-binary", split, "mnist", 2, lambda x: _mnist_bits())


def digits(split: Split) -> Dataset:
    """Optical digits (Alpaydin and Kaynak, 1998): codes 0..16 of shape (1, 8, 8)."""
    return _embedded("digits", split, "digits", 17, lambda x: x)


def digits_binary(split: Split) -> Dataset:
    """``digits`` with 1 where the code is at least 8."""
    return _embedded("digits-binary", split, "digits", 2, lambda x: (x >= 8).astype(np.uint8))

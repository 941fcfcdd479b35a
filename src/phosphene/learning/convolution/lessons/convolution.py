"""What kernels make of a picture; how a map's answer to one point tells what it does to any.

After LeCun and others (1989).
"""

from typing import Annotated

import torch
from torch import Tensor

from phosphene.core.errors import DataError
from phosphene.core.lesson import Heat, Images, Lesson
from phosphene.core.ranges import Within
from phosphene.core.rng import generator
from phosphene.data.loading import load
from phosphene.learning.backprop.convolution import correlate
from phosphene.learning.backprop.windows import Geometry
from phosphene.learning.convolution.equivariance import (
    circular_convolution,
    equivariance_error,
    kernel_of,
    shift,
)
from phosphene.learning.convolution.matrices import toeplitz

__all__ = ["KERNELS", "demonstrate", "gray_picture"]

KERNELS: dict[str, Tensor] = {
    "mean": torch.full((3, 3), 1 / 9),
    "edges across": torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
    "edges down": torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]]),
    "Laplace": torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]),
    "sharpen": torch.tensor([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
}
"""Well-known kernels of 3 x 3; those of edges are Sobel's."""


def demonstrate(
    *, seed: int = 0, data: str = "openmoji", picture: Annotated[int, Within(0, 2**31 - 1)] = 0
) -> Lesson:
    """Correlate a picture with known kernels; recover a hidden kernel from its answer to a point.

    Args:
        seed: Of the hidden kernel and the shifts.
        data: Pictures: a data set, or ``folder:PATH`` for your own.
        picture: Which one, counted from 0.

    Example:
        >>> demonstrate().numbers["largest error of the hidden kernel, found"]
        0.0
    """
    image = gray_picture(data, picture)
    seen = [("picture", image)]
    for name, kernel in KERNELS.items():
        filters = kernel.double()[None, None]
        seen.append((name, correlate(image[None, None], filters, Geometry((3, 3)))[0, 0]))
    h, w = image.shape
    hidden = torch.randn(3, 3, generator=generator(seed, 1), dtype=torch.float64)

    def black_box(x: Tensor) -> Tensor:
        return circular_convolution(x, hidden)

    found = kernel_of(black_box, (h, w))
    by = (h // 3, w // 4)
    unshifted = torch.stack([image, shift(image, by)])
    answers = torch.stack([black_box(u) for u in unshifted])
    strided = equivariance_error(lambda u: u[::2].repeat_interleave(2, 0)[:h], image, (1, 0))
    numbers = {
        "largest error of the hidden kernel, found": float((found[:3, :3] - hidden).abs().max()),
        "largest |T(S x) - S(T x)|, circular convolution": equivariance_error(black_box, image, by),
        "the same, every second row": strided,
        "pixels": h * w,
        "numbers in the kernel": hidden.numel(),
        "numbers in a matrix that does the same": (h * w) ** 2,
    }
    text = (
        "A kernel is laid on every place of a picture, and what it covers is weighted and added. "
        "The same few weights serve everywhere, so that a shifted picture gives the shifted "
        "answer. The converse holds too: a linear map that commutes with shifts is known from its "
        "answer to one bright point. As a matrix, a kernel for a line is a band whose "
        "diagonals are constant."
    )
    panels = [
        Images(title="One picture, five kernels", columns=3, names=[name for name, _ in seen],
               images=torch.stack([_fit(v, h, w) for _, v in seen])),
        Images(title="x, S x; T x, T S x", columns=2, names=["x", "S x", "T x", "T S x"],
               images=torch.cat([unshifted, answers])),
        Heat(title="The kernel (1, 2, -1) as a matrix",
             values=toeplitz(torch.tensor([1.0, 2.0, -1.0]), 8), x="in", y="out"),
    ]  # fmt: skip
    return Lesson(title="Convolution", text=text, numbers=numbers, panels=panels)


def gray_picture(data: str, which: int) -> Tensor:
    """One picture of a data set as (h, w) in [0, 1], in float64.

    Raises:
        DataError: The data are no pictures, or have fewer of them.
    """
    found = load(data)
    if not found.event.has_image_shape:
        raise DataError(
            f"{data!r} has no pictures; this lesson takes data of images, or folder:PATH"
        )
    if which >= len(found.x):
        raise DataError(
            f"{data!r} has {len(found.x)} pictures, counted from 0; there is no {which}"
        )
    x = found.x[which].double()
    gray = x.reshape(-1, *found.event.shape[-2:]).mean(0)
    low, high = gray.min(), gray.max()
    return (gray - low) / (high - low).clamp(min=1e-12)


def _fit(image: Tensor, h: int, w: int) -> Tensor:
    """Laid on a picture of that size, scaled to [0, 1]."""
    low, high = image.min(), image.max()
    out = torch.zeros(h, w, dtype=image.dtype)
    top, left = (h - image.shape[0]) // 2, (w - image.shape[1]) // 2
    out[top : top + image.shape[0], left : left + image.shape[1]] = (image - low) / (
        high - low
    ).clamp(min=1e-12)
    return out

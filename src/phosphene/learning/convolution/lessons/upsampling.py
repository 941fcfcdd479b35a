"""Ways to make pictures larger: three unpoolings, and transposed convolution.

After Odena, Dumoulin and Olah (2016).
"""

from typing import Annotated

import torch

from phosphene.core.lesson import Bars, Images, Lesson
from phosphene.core.ranges import Within
from phosphene.learning.backprop.pooling import MaxPool2d
from phosphene.learning.backprop.transposed import transposed_convolution
from phosphene.learning.backprop.unpooling import BedOfNails2d, MaxUnpool2d, NearestUnpool2d
from phosphene.learning.backprop.windows import Geometry
from phosphene.learning.convolution.lessons.convolution import gray_picture

__all__ = ["copies", "demonstrate"]


def copies(kernel: int, stride: int, size: int = 12) -> torch.Tensor:
    """How many copies of the kernel each place of a transposed convolution gets.

    Args:
        kernel: Taps along both axes.
        stride: From copy to copy.
        size: Of the input.

    Example:
        >>> copies(2, 2, size=2)
        tensor([[1., 1., 1., 1.],
                [1., 1., 1., 1.],
                [1., 1., 1., 1.],
                [1., 1., 1., 1.]])
    """
    ones, weight = torch.ones(1, 1, size, size), torch.ones(1, 1, kernel, kernel)
    return transposed_convolution(ones, weight, Geometry.of(kernel, stride, 0, 1))[0, 0]


def demonstrate(
    *,
    seed: int = 0,
    data: str = "openmoji",
    picture: Annotated[int, Within(0, 2**31 - 1)] = 0,
    stride: Annotated[int, Within(1, 8)] = 2,
) -> Lesson:
    """Pool a picture and make it large again in each way; count copies for kernels of 2 to 6.

    Args:
        seed: Of nothing here.
        data: Pictures: a data set, or ``folder:PATH`` for your own.
        picture: Which one, counted from 0.
        stride: Of the transposed convolution.

    Example:
        >>> demonstrate().numbers["copies, kernel 4: most less fewest"]
        0.0
    """
    image = gray_picture(data, picture)
    h, w = (2 * (n // 2) for n in image.shape)
    x = image[:h, :w][None, None]
    pool = MaxPool2d(2)
    small = pool(x)
    ways = {
        "picture": x,
        "nearest": NearestUnpool2d(2)(small),
        "bed of nails": BedOfNails2d(2)(small),
        "max-unpooled": MaxUnpool2d(pool)(small),
    }
    spread = {}
    for kernel in range(2, 7):
        inner = copies(kernel, stride)[kernel:-kernel, kernel:-kernel]
        spread[f"kernel {kernel}"] = float(inner.max() - inner.min())
    numbers: dict[str, float] = {
        f"mean square error, {name}": float((y - x).square().mean()) for name, y in ways.items()
    }
    numbers |= {f"copies, {name}: most less fewest": value for name, value in spread.items()}
    text = (
        "After pooling by 2, each value can fill its block, stand at the block's corner, or go "
        "back to where the largest value stood. A transposed convolution lays down a weighted copy "
        f"of its kernel for each value; with a stride of {stride}, places get equally many copies "
        "only where the stride divides the kernel. Otherwise a checkerboard shows before "
        "anything is learned."
    )
    boards = [copies(k, stride)[6:-6, 6:-6] for k in (3, 4)]
    size = min(min(b.shape) for b in boards)
    panels = [
        Images(title="Pooled by 2, then unpooled", columns=2, names=list(ways),
               images=torch.cat([y[0] for y in ways.values()])),
        Images(title=f"Copies, stride {stride}", names=["kernel 3", "kernel 4"],
               images=torch.stack([b[:size, :size] for b in boards])),
        Bars(title="Most less fewest copies", values=spread),
    ]  # fmt: skip
    return Lesson(title="Making pictures larger", text=text, numbers=numbers, panels=panels)

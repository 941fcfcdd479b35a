"""Masked convolutions have a blind spot; a vertical and a horizontal stack have none.

By van den Oord et al. (2016b), shown on the Jacobian of one pixel's conditional.
"""

import torch
from torch import Tensor

from phosphene.core.event import Event
from phosphene.core.rng import seeded
from phosphene.generative.autoregressive.gated_pixelcnn import GatedPixelCNN
from phosphene.generative.autoregressive.layers.masked_conv import MaskedConv2d, odd
from phosphene.generative.autoregressive.pixel_model import PixelModel
from phosphene.generative.autoregressive.pixelcnn import PixelCNN
from phosphene.proofs.proof import Proof, Wrong, above, equal

__all__ = ["WRONG", "prove", "reach", "seen"]

_STATEMENT = (
    "The conditional of pixel (i, j) depends on an earlier pixel where its derivative there is "
    "not 0. With k masked 3x3 windows one behind another, a path steps left by 1, or up by 1 and "
    "sideways by at most 1; so what is seen r rows above ends at column j + r, although the "
    "unmasked windows would reach column j + k: (pixels seen) = (earlier pixels within reach) - "
    "(blind spot), and the blind spot is > 0. A vertical stack that sees the rows above whole, "
    "feeding a horizontal one, sees all of them: blind spot = 0."
)


def prove(
    seed: int = 0, size: int = 11, layers: int = 3, *, model: type[GatedPixelCNN] = GatedPixelCNN
) -> Proof:
    """Take autograd's Jacobian of the conditional of one pixel by all pixels, in both models.

    Args:
        seed: Seeds the weights and the image.
        size: Side of the image.
        layers: 3x3 layers in all, 2 or more, the first being of type A.
        model: The two stacks.

    Example:
        >>> [row["holds"] for row in prove(size=7, layers=2).rows]
        [True, True, True, True, True]
    """
    event = Event.image(1, size, levels=2)
    middle = (size - 1 - size // 4, size // 2)
    with seeded(seed):
        plain = PixelCNN(
            event, channels=16, blocks=layers - 1, first_kernel=3, residual=False, head=0
        )
        stacks = model(event, channels=16, layers=layers - 1, first_kernel=3, head=0)
        x = torch.rand(64, *event.shape, dtype=torch.float64)
    within = reach(size, middle, layers)
    by_masks, by_stacks = (seen(m.double(), x, middle) for m in (plain, stacks))
    blind = within & (torch.arange(size) > middle[1] + middle[0] - torch.arange(size)[:, None])
    either = by_masks | by_stacks
    rows = [
        above("earlier pixels in reach that masked windows miss", _count(within & ~by_masks), 0),
        equal(
            "of these, pixels outside the predicted blind spot",
            _count(within & ~by_masks & ~blind),
            0,
            0,
        ),
        equal("pixels of the predicted blind spot that are seen", _count(by_masks & blind), 0, 0),
        equal("earlier pixels in reach that two stacks miss", _count(within & ~by_stacks), 0, 0),
        equal(
            "later pixels, or pixels beyond reach, that either sees", _count(either & ~within), 0, 0
        ),
    ]
    row = middle[0] - min(layers, middle[0])
    figure = {
        "x": torch.arange(size).double(),
        f"seen by masked windows, {middle[0] - row} rows above": by_masks[row].double(),
        f"seen by two stacks, {middle[0] - row} rows above": by_stacks[row].double(),
    }
    return Proof("blind-spot", "The blind spot of masked convolutions", _STATEMENT, rows, figure)


def seen(model: PixelModel, x: Tensor, pixel: tuple[int, int]) -> Tensor:
    """Where (h, w) the conditional of a pixel has a derivative, in any of the images x."""
    _, height, width = model.event.shape
    x = x.clone().requires_grad_()
    params = model.conditionals(x).view(len(x), model.colors, height, width, -1)
    (jacobian,) = torch.autograd.grad(params[:, :, pixel[0], pixel[1]].sum(), x)
    return (jacobian != 0).flatten(0, 1).any(0)


def reach(size: int, pixel: tuple[int, int], layers: int, radius: int = 1) -> Tensor:
    """Earlier pixels inside the window that so many layers span together."""
    rows, columns = torch.arange(size)[:, None], torch.arange(size)
    far = layers * radius
    inside = ((rows - pixel[0]).abs() <= far) & ((columns - pixel[1]).abs() <= far)
    return inside & ~_after(size, pixel)


def _after(size: int, pixel: tuple[int, int]) -> Tensor:
    """The pixel itself, and those after it in raster order."""
    place = torch.arange(size * size).view(size, size)
    return place >= pixel[0] * size + pixel[1]


def _count(where: Tensor) -> int:
    return int(where.sum())


class _NotShifted(GatedPixelCNN):
    def setup(self) -> None:
        """The first vertical windows end with the pixel's own row."""
        super().setup()
        r = odd("first_kernel", self.first_kernel, 3)
        self.first_vertical = MaskedConv2d(
            self.colors, self.channels, "row", above=r, left=r, right=r
        )


WRONG = Wrong(
    "the vertical stack without its shift down by one row: it sees all of the pixel's own row",
    {"model": _NotShifted},
)

"""How large the result of a convolution, a pooling or a transposed convolution is.

After Dumoulin and Visin (2016).
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F

from phosphene.core.errors import ConfigError
from phosphene.learning.backprop.windows import output_size, transposed_output_size
from phosphene.proofs.proof import Proof, Wrong, equal

__all__ = ["WRONG", "prove"]


def _without_dilation(
    size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    return (size + 2 * padding - kernel) // stride + 1


WRONG = Wrong(
    "floor((in + 2 p - k) / s) + 1: the form of most slides, in which dilation is forgotten",
    {"formula": _without_dilation},
)


def prove(seed: int = 0, *, formula: Callable[..., int] = output_size) -> Proof:
    """Compare with the shapes that torch gives, over a grid of all small cases.

    Args:
        seed: Of nothing; proofs have one.
        formula: Size, kernel, stride, padding, dilation to the number of windows.

    Example:
        >>> prove().holds
        True
    """
    grid = list(product(range(1, 13), range(1, 5), range(1, 5), range(4), range(1, 4)))
    counted = {"fits": 0, "unlike": 0, "refused": 0, "wrongly": 0}
    back = {"fits": 0, "unlike": 0, "inverse": 0}
    for size, kernel, stride, padding, dilation in grid:
        fits = size + 2 * padding >= dilation * (kernel - 1) + 1
        told: Any = {"stride": stride, "padding": padding, "dilation": dilation}
        if not fits:
            counted["refused"] += 1
            counted["wrongly"] += not _refuses(size, kernel, stride, padding, dilation)
            continue
        weight = torch.empty(1, 1, kernel, device="meta")
        true = F.conv1d(torch.empty(1, 1, size, device="meta"), weight, **told).shape[2]
        counted["fits"] += 1
        counted["unlike"] += formula(size, kernel, stride, padding, dilation) != true
        for extra in range(min(stride, 3)):
            if extra >= max(stride, dilation) or (
                (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1 < 1
            ):
                continue
            found = transposed_output_size(size, kernel, stride, padding, dilation, extra)
            real = F.conv_transpose1d(
                torch.empty(1, 1, size, device="meta"), weight, output_padding=extra, **told
            ).shape[2]
            back["fits"] += 1
            back["unlike"] += found != real
            back["inverse"] += formula(found, kernel, stride, padding, dilation) != size
    rows = [
        equal(f"sizes unlike torch's, of {counted['fits']}", counted["unlike"], 0, 0),
        equal(f"not refused, of {counted['refused']} that do not fit", counted["wrongly"], 0, 0),
        equal(f"transposed: sizes unlike torch's, of {back['fits']}", back["unlike"], 0, 0),
        equal("transposed, then forward: sizes that do not come back", back["inverse"], 0, 0),
    ]
    return Proof(
        "output-size", "The size of an output",
        "out = floor((in + 2 p - d (k - 1) - 1) / s) + 1; transposed, (in - 1) s - 2 p + d (k - 1) "
        "+ extra + 1 with extra < s.",
        rows,
    )  # fmt: skip


def _refuses(*told: int) -> bool:
    try:
        output_size(*told)
    except ConfigError:
        return True
    return False

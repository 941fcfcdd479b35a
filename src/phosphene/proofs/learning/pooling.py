"""Pooling and its gradient.

After Boureau, Ponce and LeCun (2010).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.backprop.layer import Layer
from phosphene.learning.backprop.pooling import AveragePool2d, MaxPool2d
from phosphene.learning.backprop.windows import fold
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove"]


class _ToAll(MaxPool2d):
    """Gives every value of a window that equals the largest the whole gradient."""

    def backward(self, dy: Tensor) -> Tensor:
        last = dy.permute(0, 2, 3, 1)
        spread = (last * (tap == self._best) for tap in self._taps())
        return fold(spread, (self._shape[2], self._shape[3]), self.geometry)


WRONG = Wrong(
    "dx = dy [x = max]: every value that equals the largest gets all of the gradient, so that ties "
    "count twice",
    {"formula": _ToAll},
)


def prove(seed: int = 0, *, formula: type[MaxPool2d] = MaxPool2d) -> Proof:
    """Compare with torch, over windows that touch, overlap and are padded, and where values tie.

    Args:
        seed: Of images and gradients.
        formula: The layer that takes the largest value.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed, 159)
    x = torch.randn(2, 3, 8, 9, generator=g, dtype=torch.float64)
    value, gradient, mean, mean_gradient = 0.0, 0.0, 0.0, 0.0
    for kernel, stride, padding in ((2, 2, 0), (3, 2, 1), (3, 1, 0), (2, 3, 1)):
        told: Any = {"stride": stride, "padding": padding}
        largest = partial(F.max_pool2d, kernel_size=kernel, **told)
        a, b = _gaps(formula(kernel, **told), largest, x)
        value, gradient = max(value, a), max(gradient, b)
        a, b = _gaps(
            AveragePool2d(kernel, **told), partial(F.avg_pool2d, kernel_size=kernel, **told), x
        )
        mean, mean_gradient = max(mean, a), max(mean_gradient, b)
    tied = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    pool = formula(2)
    pool(tied)
    dx = pool.backward(torch.ones(1, 1, 2, 2, dtype=torch.float64))
    rows = [
        below("largest: value against torch, worst gap", value, 1e-12),
        below("largest: gradient against autograd, worst gap", gradient, 1e-12),
        below("mean: value against torch, worst gap", mean, 1e-12),
        below("mean: gradient against autograd, worst gap", mean_gradient, 1e-12),
        equal("four tied windows: the gradient in all", dx.sum(), 4, 0),
        equal("and the places that get some", float((dx != 0).sum()), 4, 0),
    ]
    return Proof(
        "pooling", "Pooling and its gradient",
        "y = max of a window: dL/dx = dL/dy where the largest value stands, the first of those "
        "that tie, and 0 elsewhere. y = mean of k values: dL/dx = dL/dy / k everywhere.",
        rows,
    )  # fmt: skip


def _gaps(layer: Layer, oracle: Callable[[Tensor], Tensor], x: Tensor) -> tuple[float, float]:
    free = x.clone().requires_grad_()
    expected: Tensor = oracle(free)
    y = layer.forward(x)
    dy = torch.linspace(-1, 1, y.numel(), dtype=x.dtype).view(y.shape)
    expected.backward(dy)
    assert free.grad is not None
    return float((y - expected.detach()).abs().max()), float(
        (layer.backward(dy) - free.grad).abs().max()
    )

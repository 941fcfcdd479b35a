"""Roots of increasing functions, elementwise: Newton's steps, kept inside a bracket."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.derivatives import batched, transformed

__all__ = ["increasing_root"]

_MOST_STEPS = 200
"""Twice what bisection alone needs in float64."""


def increasing_root(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], low: Tensor, high: Tensor
) -> Tensor:
    """The a in [low, high] with f(a) = 0, to the last digits of its type.

    A step of Newton is taken where it stays in the bracket and at least halves the step before;
    the bracket is halved elsewhere, so that every root is found whatever f's slope. Two more steps
    are recorded for gradients. By the implicit function theorem da/dp = -(df/dp) / f', which is
    what the derivative of one step is at a root; as each step squares the error, two have the
    root's derivatives up to the third.

    Args:
        function: Gives f and f' > 0 of a, of a's shape; f increases in each a alone.
        low: Where f <= 0.
        high: Where f >= 0.

    Example:
        >>> two = torch.tensor(2.0, requires_grad=True)
        >>> root = increasing_root(lambda a: (a**2 - two, 2 * a), torch.tensor(1.0), two.detach())
        >>> root, torch.autograd.grad(root, two)[0]
        (tensor(1.4142, grad_fn=<SubBackward0>), tensor(0.3536))
    """
    with torch.no_grad():
        a = _root(function, low, high).detach()  # without a tangent of forward mode, too
    for _ in range(2 if torch.is_grad_enabled() or transformed() else 1):
        value, slope = function(a)
        a = a - value / slope
    return a


def _root(function: Callable[[Tensor], tuple[Tensor, Tensor]], low: Tensor, high: Tensor) -> Tensor:
    a = (low + high) / 2
    last = high - low
    close = 4 * torch.finfo(a.dtype).eps
    for _ in range(_MOST_STEPS):
        value, slope = function(a)
        low = torch.where(value < 0, a, low)
        high = torch.where(value > 0, a, high)
        newton = a - value / slope
        # Written so that a step which is not a number halves the bracket.
        good = (newton >= low) & (newton <= high) & ((newton - a).abs() <= last.abs() / 2)
        after = torch.where(good, newton, (low + high) / 2)
        after = torch.where(value == 0, a, after)
        last = after - a
        a = after
        done = (last.abs() <= close * (1 + a.abs())).all()
        if not batched(done) and bool(done):
            break
    return a

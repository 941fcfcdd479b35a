"""Values that a kernel returns together with their gradients."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from phosphene.core.derivatives import again_wanted, gradients_again

__all__ = ["attached"]


Formula = Callable[..., Tensor]


def attached(value: Tensor, formula: Formula, *pairs: tuple[Tensor, Tensor]) -> Tensor:
    """A scalar as a function of some tensors, of which each is paired with its gradient.

    Args:
        value: The scalar.
        formula: The function of these tensors in torch, for gradients that have gradients.
        pairs: Each tensor and its gradient.

    Example:
        >>> x = torch.ones(2, requires_grad=True)
        >>> y = attached(torch.tensor(2.0), lambda x: x.square().sum(), (x, 2 * x.detach()))
        >>> torch.autograd.grad(y, x)
        (tensor([2., 2.]),)
    """
    inputs, gradients = zip(*pairs, strict=True)
    found: Tensor = _Attached.apply(value, formula, gradients, *inputs)
    return found


class _Attached(torch.autograd.Function):
    """The gradients are there already; backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any,
        value: Tensor,
        formula: Formula,
        gradients: tuple[Tensor, ...],
        *inputs: Tensor,
    ) -> Tensor:
        ctx.gradients, ctx.formula = gradients, formula
        ctx.save_for_backward(*inputs)
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if again_wanted(grad):
            needed = ctx.needs_input_grad[3:]
            found = gradients_again(ctx.formula, ctx.saved_tensors, (grad,), needed)
            return (None, None, None, *found)
        return (None, None, None, *(gradient * grad for gradient in ctx.gradients))

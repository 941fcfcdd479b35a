"""Values whose gradients kernels give with them."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["attached"]


def attached(value: Tensor, *pairs: tuple[Tensor, Tensor]) -> Tensor:
    """A scalar as a function of some tensors, of which each is paired with its gradient.

    Example:
        >>> x = torch.ones(2, requires_grad=True)
        >>> attached(torch.tensor(3.0), (x, torch.tensor([1.0, 2.0]))).backward()
        >>> x.grad
        tensor([1., 2.])
    """
    inputs, gradients = zip(*pairs, strict=True)
    found: Tensor = _Attached.apply(value, gradients, *inputs)
    return found


class _Attached(torch.autograd.Function):
    """The gradients are there already; backward only scales them."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: tuple[Tensor, ...], *_: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *(gradient * grad for gradient in ctx.gradients))

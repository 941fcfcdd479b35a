"""AdaGrad: each number has a step of its own, which falls with all gradients it has seen."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from phosphene.core.ranges import NotNegative
from phosphene.learning.optimizers.multi_tensor import MultiTensor

__all__ = ["AdaGrad", "adagrad_step"]


def adagrad_step(
    theta: Tensor, r: Tensor, g: Tensor, *, lr: float, eps: float
) -> tuple[Tensor, Tensor]:
    """r <- r + g^2;  theta <- theta - lr g / (sqrt(r) + eps). Returns both."""
    r = r + g * g
    return theta - lr * g / (r.sqrt() + eps), r


class AdaGrad(MultiTensor):
    """Adaptive gradients (Duchi, Hazan and Singer, 2011).

        r <- r + g^2;   theta <- theta - lr g / (sqrt(r) + eps)

    r only grows, so that steps fall like 1 / sqrt(t): right for convex losses and rare features,
    too soon for networks. eps stands outside the root.

    Args:
        params: Tensors, or groups of them.
        lr: How far the first step goes, in every direction.
        eps: Keeps the quotient finite.
        weight_decay: Adds weight_decay theta to g.

    Example:
        >>> theta = torch.tensor([1.0, 100.0], requires_grad=True)
        >>> optimizer = AdaGrad([theta], lr=0.5)
        >>> (theta**2).sum().backward()
        >>> optimizer.step()
        >>> theta.tolist()  # the scale of a gradient does not matter
        [0.5, 99.5]
    """

    kept: ClassVar[tuple[str, ...]] = ("r",)

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: NotNegative = 1e-2,
        eps: NotNegative = 1e-10,
        weight_decay: NotNegative = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, eps=eps, weight_decay=weight_decay)

    def move(
        self,
        group: Mapping[str, Any],
        t: int,
        params: list[Tensor],
        grads: list[Tensor],
        *kept: list[Tensor],
    ) -> None:
        """:func:`adagrad_step` of each tensor, in place."""
        (r,) = kept
        grads = self.decayed(group, params, grads)
        torch._foreach_addcmul_(r, grads, grads)
        scale = torch._foreach_sqrt(r)
        torch._foreach_add_(scale, group["eps"])
        torch._foreach_addcdiv_(params, grads, scale, value=-group["lr"])

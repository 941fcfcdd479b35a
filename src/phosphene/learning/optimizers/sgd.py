"""Gradient descent, and stochastic where its gradients are those of mini-batches."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from phosphene.core.ranges import NotNegative
from phosphene.learning.optimizers.multi_tensor import MultiTensor

__all__ = ["SGD", "sgd_step"]


def sgd_step(theta: Tensor, g: Tensor, *, lr: float) -> Tensor:
    """theta <- theta - lr g."""
    return theta - lr * g


class SGD(MultiTensor):
    """Stochastic gradient descent (Robbins and Monro, 1951).

        theta <- theta - lr g,    g the gradient of one mini-batch

    g is unbiased, and its variance falls as 1 / m with m examples in a batch
    (:mod:`phosphene.learning.optimizers.mini_batch`). With steps of which the sum is infinite and
    the sum of squares finite it converges; with a fixed lr it ends in a cloud around the optimum.

    Args:
        params: Tensors, or groups of them.
        lr: How far a step goes.
        weight_decay: Adds weight_decay theta to g.

    Example:
        >>> theta = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = SGD([theta], lr=0.5)
        >>> (theta**2).sum().backward()  # g = 2 theta
        >>> optimizer.step()
        >>> theta.tolist()
        [0.0, 0.0]
    """

    def __init__(
        self, params: Iterable[Any], *, lr: NotNegative = 1e-3, weight_decay: NotNegative = 0.0
    ) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay)

    def move(
        self,
        group: Mapping[str, Any],
        t: int,
        params: list[Tensor],
        grads: list[Tensor],
        *kept: list[Tensor],
    ) -> None:
        """:func:`sgd_step` of each tensor, in place."""
        grads = self.decayed(group, params, grads)
        torch._foreach_add_(params, grads, alpha=-group["lr"])

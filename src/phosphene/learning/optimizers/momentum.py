"""Momentum: a step remembers those before it."""

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from phosphene.core.ranges import Fraction, NotNegative
from phosphene.learning.optimizers.multi_tensor import MultiTensor

__all__ = ["Momentum", "best_for_quadratics", "polyak_step", "torch_step"]


def polyak_step(
    theta: Tensor, v: Tensor, g: Tensor, *, lr: float, momentum: float
) -> tuple[Tensor, Tensor]:
    """v <- momentum v - lr g;  theta <- theta + v. Returns both."""
    v = momentum * v - lr * g
    return theta + v, v


def torch_step(
    theta: Tensor, v: Tensor, g: Tensor, *, lr: float, momentum: float
) -> tuple[Tensor, Tensor]:
    """v <- momentum v + g;  theta <- theta - lr v. Returns both."""
    v = momentum * v + g
    return theta - lr * v, v


def best_for_quadratics(least: float, most: float) -> tuple[float, float, float]:
    """The best lr and momentum for curvatures between two values, and the rate they reach.

    With kappa = most / least the distance to the optimum falls, in the long run, by the factor
    (sqrt(kappa) - 1) / (sqrt(kappa) + 1) a step; without momentum, by (kappa - 1) / (kappa + 1) at
    best (Polyak, 1964).

    Example:
        >>> best_for_quadratics(1.0, 9.0)
        (0.25, 0.25, 0.5)
    """
    rate = (sqrt(most) - sqrt(least)) / (sqrt(most) + sqrt(least))
    return 4 / (sqrt(most) + sqrt(least)) ** 2, rate**2, rate


class Momentum(MultiTensor):
    """The heavy ball of Polyak (1964).

        polyak:  v <- momentum v - lr g;   theta <- theta + v
        torch:   v <- momentum v + g;      theta <- theta - lr v

    The two go the same way as long as lr stays: v of the first is -lr times v of the second. When
    lr changes they part: ``polyak`` keeps the speed that it has, and ``torch``, which is what
    ``torch.optim.SGD`` does, scales it with the new lr at once.

    Args:
        params: Tensors, or groups of them.
        lr: How much of a gradient goes into the speed.
        momentum: How much of the speed stays from step to step.
        weight_decay: Adds weight_decay theta to g.
        form: ``polyak`` or ``torch``.

    Example:
        >>> theta = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = Momentum([theta], lr=0.25, momentum=0.5)
        >>> for _ in range(2):
        ...     optimizer.zero_grad()
        ...     (0.5 * theta**2).sum().backward()  # g = theta
        ...     optimizer.step()
        >>> theta.item()  # 1 - 0.25 - (0.5 * 0.25 + 0.25 * 0.75)
        0.4375
    """

    kept: ClassVar[tuple[str, ...]] = ("v",)

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: NotNegative = 1e-3,
        momentum: Fraction = 0.9,
        weight_decay: NotNegative = 0.0,
        form: Literal["polyak", "torch"] = "polyak",
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, form=form)

    def move(
        self,
        group: Mapping[str, Any],
        t: int,
        params: list[Tensor],
        grads: list[Tensor],
        *kept: list[Tensor],
    ) -> None:
        """:func:`polyak_step` or :func:`torch_step` of each tensor, in place."""
        (v,) = kept
        grads = self.decayed(group, params, grads)
        into, onto = (-group["lr"], 1) if group["form"] == "polyak" else (1, -group["lr"])
        torch._foreach_mul_(v, group["momentum"])
        torch._foreach_add_(v, grads, alpha=into)
        torch._foreach_add_(params, v, alpha=onto)

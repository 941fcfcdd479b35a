"""AdamW: Adam with weight decay beside the gradient, not in it."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from phosphene.core.ranges import NotNegative
from phosphene.learning.optimizers.adam import Adam, adam_step
from phosphene.learning.optimizers.multi_tensor import Betas

__all__ = ["AdamW", "adamw_step"]


def adamw_step(
    theta: Tensor,
    m: Tensor,
    v: Tensor,
    g: Tensor,
    t: int,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """theta <- (1 - lr weight_decay) theta, then a step of Adam. Returns theta, m, v."""
    return adam_step((1 - lr * weight_decay) * theta, m, v, g, t, lr=lr, betas=betas, eps=eps)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

        theta <- theta - lr weight_decay theta - lr m^ / (sqrt(v^) + eps)

    In Adam, a decay that is added to the gradient is divided by sqrt(v^), so that weights with
    large gradients decay less than others; here all decay alike. Without decay the two are the
    same.

    Args:
        params: Tensors, or groups of them.
        lr: About how far a step goes, in every direction.
        betas: How much of m and of v stays from step to step.
        eps: Keeps the quotient finite.
        weight_decay: The part of theta, times lr, that is taken away each step.

    Example:
        >>> theta = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = AdamW([theta], lr=0.5, weight_decay=0.5)
        >>> (0 * theta).sum().backward()
        >>> optimizer.step()
        >>> theta.item()
        0.75
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: NotNegative = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: NotNegative = 1e-8,
        weight_decay: NotNegative = 1e-2,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def decayed(
        self, group: Mapping[str, Any], params: list[Tensor], grads: list[Tensor]
    ) -> list[Tensor]:
        """The gradients as they are; the parameters shrink."""
        if group["weight_decay"]:
            torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
        return grads

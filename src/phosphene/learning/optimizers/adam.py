"""Adam: momentum, divided by a running root mean square, both corrected for beginning at 0."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from phosphene.core.ranges import NotNegative
from phosphene.learning.optimizers.multi_tensor import Betas, MultiTensor

__all__ = ["Adam", "adam_step", "bias_correction"]


def bias_correction(beta: float, t: int) -> float:
    """1 - beta^t: what the weights of a running average add up to after t values.

    m_t = (1 - beta) sum_k beta^(t-k) g_k begins at 0, and m_t / (1 - beta^t) is a mean with weights
    that add up to 1. The power is t, the number of the step.

    Example:
        >>> bias_correction(0.5, 1), bias_correction(0.5, 2)
        (0.5, 0.75)
    """
    return 1 - beta**t


def adam_step(
    theta: Tensor,
    m: Tensor,
    v: Tensor,
    g: Tensor,
    t: int,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Step number t = 1, 2, ...: theta <- theta - lr m^ / (sqrt(v^) + eps). Returns theta, m, v."""
    m = betas[0] * m + (1 - betas[0]) * g
    v = betas[1] * v + (1 - betas[1]) * g * g
    m_hat = m / bias_correction(betas[0], t)
    v_hat = v / bias_correction(betas[1], t)
    return theta - lr * m_hat / (v_hat.sqrt() + eps), m, v


class Adam(MultiTensor):
    """Adaptive moments (Kingma and Ba, 2015).

        m <- beta1 m + (1 - beta1) g;      m^ = m / (1 - beta1^t)
        v <- beta2 v + (1 - beta2) g^2;    v^ = v / (1 - beta2^t)
        theta <- theta - lr m^ / (sqrt(v^) + eps)

    At t = 1, m^ = g and v^ = g^2: the first step is lr sign(g). There are convex problems on which
    it goes to the worst point (:mod:`phosphene.learning.optimizers.amsgrad`).

    Args:
        params: Tensors, or groups of them.
        lr: About how far a step goes, in every direction.
        betas: How much of m and of v stays from step to step.
        eps: Keeps the quotient finite; outside the root, of the corrected v.
        weight_decay: Adds weight_decay theta to g, so that it is divided too; AdamW does not.

    Example:
        >>> theta = torch.tensor([1.0, 100.0], dtype=torch.float64, requires_grad=True)
        >>> optimizer = Adam([theta], lr=0.5)
        >>> (theta**2).sum().backward()
        >>> optimizer.step()
        >>> theta.tolist() == [0.5, 99.5] or theta.round(decimals=6).tolist()
        [0.5, 99.5]
    """

    kept: ClassVar[tuple[str, ...]] = ("m", "v")
    correction: Callable[[float, int], float] = staticmethod(bias_correction)
    """What the averages are divided by."""

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: NotNegative = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: NotNegative = 1e-8,
        weight_decay: NotNegative = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def move(
        self,
        group: Mapping[str, Any],
        t: int,
        params: list[Tensor],
        grads: list[Tensor],
        *kept: list[Tensor],
    ) -> None:
        """:func:`adam_step` of each tensor, in place.

        The corrections are taken out of the tensors: with c = 1 - beta2^t,
        lr m^ / (sqrt(v^) + eps) = lr sqrt(c) / (1 - beta1^t) * m / (sqrt(v) + sqrt(c) eps).
        """
        m, v, *_ = kept
        (beta1, beta2), lr = group["betas"], group["lr"]
        grads = self.decayed(group, params, grads)
        torch._foreach_lerp_(m, grads, 1 - beta1)
        torch._foreach_mul_(v, beta2)
        torch._foreach_addcmul_(v, grads, grads, value=1 - beta2)
        scale = torch._foreach_sqrt(self.second_moment(*kept))
        shrunk = self.correction(beta2, t) ** 0.5
        torch._foreach_add_(scale, shrunk * group["eps"])
        torch._foreach_addcdiv_(params, m, scale, value=-lr * shrunk / self.correction(beta1, t))

    def second_moment(self, *kept: list[Tensor]) -> list[Tensor]:
        """What the root is taken of."""
        return kept[1]

"""AMSGrad: Adam whose divisor never falls, and a problem on which Adam goes to the worst point."""

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor

from phosphene.core.ranges import NotNegative
from phosphene.learning.optimizers.adam import Adam, bias_correction
from phosphene.learning.optimizers.multi_tensor import Betas, MultiTensor

__all__ = ["AMSGrad", "amsgrad_step", "play_counter_example", "slope_of_counter_example"]


def amsgrad_step(
    theta: Tensor,
    m: Tensor,
    v: Tensor,
    largest: Tensor,
    g: Tensor,
    t: int,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Adam with the largest v so far in the place of v. Returns theta, m, v, largest."""
    m = betas[0] * m + (1 - betas[0]) * g
    v = betas[1] * v + (1 - betas[1]) * g * g
    largest = torch.maximum(largest, v)
    m_hat = m / bias_correction(betas[0], t)
    v_hat = largest / bias_correction(betas[1], t)
    return theta - lr * m_hat / (v_hat.sqrt() + eps), m, v, largest


class AMSGrad(Adam):
    """AMSGrad (Reddi, Kale and Kumar, 2018).

        u <- max(u, v);   theta <- theta - lr m^ / (sqrt(u^) + eps)

    with m, v and their corrections as in Adam (the paper has none; torch divides u, as here). A
    large gradient is not forgotten before it has done its work: steps of a falling lr do not grow.

    Args:
        params: Tensors, or groups of them.
        lr: About how far a step goes, in every direction.
        betas: How much of m and of v stays from step to step.
        eps: Keeps the quotient finite.
        weight_decay: Adds weight_decay theta to g.

    Example:
        >>> adam, amsgrad = (play_counter_example(kind, 3000)[-1] for kind in (Adam, AMSGrad))
        >>> round(adam.item(), 1), round(amsgrad.item(), 1)  # -1 is best
        (1.0, -1.0)
    """

    kept: ClassVar[tuple[str, ...]] = ("m", "v", "largest")

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

    def second_moment(self, *kept: list[Tensor]) -> list[Tensor]:
        """What the root is taken of: the largest v so far."""
        _, v, largest = kept
        torch._foreach_maximum_(largest, v)
        return largest


def slope_of_counter_example(t: int, slope: float = 3.0) -> float:
    """f_t'(x) of theorem 1: C if t = 1, 4, 7, ..., else -1; C > 2, so that x = -1 is best."""
    return slope if t % 3 == 1 else -1.0


def play_counter_example(
    kind: type[MultiTensor], steps: int, *, slope: float = 3.0, lr: float = 0.5, x: float = 0.0
) -> Tensor:
    """Descend f_1, f_2, ... on [-1, 1], as theorem 1 of Reddi et al. (2018) has it.

    f_t(x) = C x at every third step, -x at the others; beta1 = 0, beta2 = 1 / (1 + C^2), steps of
    lr / sqrt(t). Adam divides C by about C and the two slopes of 1 by less, since C is soon
    forgotten, and ends at x = 1, which is worst.

    Args:
        kind: :class:`Adam` or :class:`AMSGrad`.
        steps: How many.
        slope: C, above 2.
        lr: Of the first step.
        x: Where it begins.

    Returns:
        x after each step (steps,), float64.
    """
    at = torch.tensor([x], dtype=torch.float64, requires_grad=True)
    settings: Any = {"betas": (0.0, 1 / (1 + slope**2))}
    optimizer = kind([at], lr=lr, **settings)
    at.grad = torch.zeros_like(at)
    path = torch.empty(steps, dtype=torch.float64)
    for t in range(1, steps + 1):
        at.grad.fill_(slope_of_counter_example(t, slope))
        optimizer.param_groups[0]["lr"] = lr / t**0.5
        optimizer.step()
        with torch.no_grad():
            at.clamp_(-1, 1)
        path[t - 1] = at.item()
    return path

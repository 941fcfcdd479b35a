"""RMSProp: steps are divided by a running root mean square of the gradients."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from phosphene.core.ranges import Fraction, NotNegative
from phosphene.learning.optimizers.multi_tensor import MultiTensor

__all__ = ["RMSProp", "rmsprop_step", "root"]

Place = Literal["outside", "inside"]


def root(r: Tensor, eps: float, place: str = "outside") -> Tensor:
    """sqrt(r) + eps, with eps ``outside`` the root; sqrt(r + eps), with eps ``inside``.

    Inside, the same eps is far larger: where r is 0 the divisor is sqrt(eps), not eps.

    Example:
        >>> root(torch.tensor(0.0), 1e-8).item(), root(torch.tensor(0.0), 1e-8, "inside").item()
        (9.99...e-09, 9.99...e-05)
    """
    return r.sqrt() + eps if place == "outside" else (r + eps).sqrt()


def rmsprop_step(
    theta: Tensor,
    r: Tensor,
    g: Tensor,
    *,
    lr: float,
    rho: float,
    eps: float,
    place: str = "outside",
) -> tuple[Tensor, Tensor]:
    """r <- rho r + (1 - rho) g^2;  theta <- theta - lr g / root(r, eps). Returns both."""
    r = rho * r + (1 - rho) * g * g
    return theta - lr * g / root(r, eps, place), r


class RMSProp(MultiTensor):
    """Root mean square propagation (Hinton, 2012, in a lecture).

        r <- rho r + (1 - rho) g^2;   theta <- theta - lr g / (sqrt(r) + eps)

    AdaGrad with a memory that fades. torch has eps outside the root, as here by default;
    TensorFlow's has it inside, sqrt(r + eps), so that the same number means something else.

    Args:
        params: Tensors, or groups of them.
        lr: About how far a step goes, in every direction.
        rho: How much of r stays from step to step.
        eps: Keeps the quotient finite.
        weight_decay: Adds weight_decay theta to g.
        place: Of eps: ``outside`` the root or ``inside``.

    Example:
        >>> theta = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = RMSProp([theta], lr=0.25, rho=0.75, eps=0.0)
        >>> (3 * theta).sum().backward()
        >>> optimizer.step()
        >>> theta.item()  # the first step is lr / sqrt(1 - rho)
        0.5
    """

    kept: ClassVar[tuple[str, ...]] = ("r",)

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: NotNegative = 1e-2,
        rho: Fraction = 0.99,
        eps: NotNegative = 1e-8,
        weight_decay: NotNegative = 0.0,
        place: Place = "outside",
    ) -> None:
        super().__init__(params, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, place=place)

    def move(
        self,
        group: Mapping[str, Any],
        t: int,
        params: list[Tensor],
        grads: list[Tensor],
        *kept: list[Tensor],
    ) -> None:
        """:func:`rmsprop_step` of each tensor, in place."""
        (r,) = kept
        grads = self.decayed(group, params, grads)
        torch._foreach_mul_(r, group["rho"])
        torch._foreach_addcmul_(r, grads, grads, value=1 - group["rho"])
        if group["place"] == "outside":
            scale = torch._foreach_sqrt(r)
            torch._foreach_add_(scale, group["eps"])
        else:
            scale = torch._foreach_add(r, group["eps"])
            torch._foreach_sqrt_(scale)
        torch._foreach_addcdiv_(params, grads, scale, value=-group["lr"])

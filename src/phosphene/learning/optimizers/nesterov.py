"""Nesterov's momentum: the gradient is taken where the speed leads, not where one stands."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.core.ranges import Fraction, NotNegative
from phosphene.learning.optimizers.multi_tensor import MultiTensor

__all__ = ["Nesterov", "behind", "look_ahead", "nesterov_step"]


def nesterov_step(
    theta: Tensor,
    v: Tensor,
    gradient: Callable[[Tensor], Tensor],
    *,
    lr: float,
    momentum: float,
) -> tuple[Tensor, Tensor]:
    """v <- momentum v - lr gradient(theta + momentum v);  theta <- theta + v. Returns both."""
    v = momentum * v - lr * gradient(look_ahead(theta, v, momentum))
    return theta + v, v


def look_ahead(theta: Tensor, v: Tensor, momentum: float) -> Tensor:
    """theta + momentum v: where the gradient is taken, and what torch calls its parameters."""
    return theta + momentum * v


def behind(ahead: Tensor, v: Tensor, momentum: float) -> Tensor:
    """theta of a point ahead, the inverse of :func:`look_ahead`."""
    return ahead - momentum * v


class Nesterov(MultiTensor):
    """Accelerated gradients (Nesterov, 1983) in the form of Sutskever, Martens, Dahl and Hinton.

        sutskever (2013):  v <- momentum v - lr g(theta + momentum v);   theta <- theta + v
        torch:             b <- momentum b + g(phi);    phi <- phi - lr (g(phi) + momentum b)

    torch's parameters phi are the points ahead: with v = -lr b, phi = theta + momentum v at every
    step, as long as lr stays. ``torch`` needs nothing of the loop around it; ``sutskever`` moves
    the parameters ahead before it asks a closure for the gradient there.

    Args:
        params: Tensors, or groups of them.
        lr: How much of a gradient goes into the speed.
        momentum: How much of the speed stays from step to step.
        weight_decay: Adds weight_decay times the parameters, where g is taken, to g.
        form: ``torch`` or ``sutskever``.

    Example:
        >>> theta = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = Nesterov([theta], lr=0.25, momentum=0.5, form="sutskever")
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = 0.5 * (theta**2).sum()
        ...     loss.backward()
        ...     return loss.item()
        >>> optimizer.step(closure), optimizer.step(closure)  # at 1, then 0.75 - 0.125 ahead
        (0.5, 0.1953125)
        >>> theta.item()
        0.46875
    """

    kept: ClassVar[tuple[str, ...]] = ("v",)

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: NotNegative = 1e-3,
        momentum: Fraction = 0.9,
        weight_decay: NotNegative = 0.0,
        form: Literal["torch", "sutskever"] = "torch",
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, form=form)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient.

        Args:
            closure: Computes the loss and its gradients; ``sutskever`` needs it, and calls it with
                the parameters ahead.

        Returns:
            What the closure gave; None without one.

        Raises:
            ConfigError: There is no closure, and a group has the form ``sutskever``.
        """
        if not any(group["form"] == "sutskever" for group in self.param_groups):
            return super().step(closure)
        if closure is None:
            raise ConfigError(
                "Nesterov's form 'sutskever' takes gradients ahead of the parameters: give step() "
                "a closure, or take form='torch'"
            )
        stood = self._go_ahead()
        try:
            with torch.enable_grad():
                loss = closure()
        except BaseException:
            _back(stood)
            raise
        _back({p: at for p, at in stood.items() if p.grad is None})
        super().step()
        return loss

    def _go_ahead(self) -> dict[Tensor, Tensor]:
        """Move parameters to theta + momentum v; returns where they stood."""
        stood = {}
        for group in self.param_groups:
            for p in group["params"] if group["form"] == "sutskever" else ():
                if self.state[p]:
                    stood[p] = p.clone()
                    p.add_(self.state[p]["v"], alpha=group["momentum"])
        return stood

    def move(
        self,
        group: Mapping[str, Any],
        t: int,
        params: list[Tensor],
        grads: list[Tensor],
        *kept: list[Tensor],
    ) -> None:
        """The step of each tensor, which stands ahead, in place."""
        (v,) = kept
        lr, momentum = group["lr"], group["momentum"]
        grads = self.decayed(group, params, grads)
        torch._foreach_mul_(v, momentum)
        if group["form"] == "torch":
            torch._foreach_add_(v, grads)
            torch._foreach_add_(params, grads, alpha=-lr)
            torch._foreach_add_(params, v, alpha=-lr * momentum)
        else:  # (theta + momentum v) - lr g is theta + the new v
            torch._foreach_add_(v, grads, alpha=-lr)
            torch._foreach_add_(params, grads, alpha=-lr)

    @torch.no_grad()
    def parameters_behind(self) -> list[Tensor]:
        """theta of every parameter, in either form; a constant lr is assumed of ``torch``."""
        found = []
        for group in self.param_groups:
            for p in group["params"]:
                v = self.state[p].get("v") if self.state[p] else None
                if v is None or group["form"] == "sutskever":
                    found.append(p.detach().clone())
                else:
                    found.append(behind(p.detach(), -group["lr"] * v, group["momentum"]))
        return found


def _back(stood: Mapping[Tensor, Tensor]) -> None:
    for p, at in stood.items():
        p.copy_(at)

"""The loss of temporal differences: its value and its gradient in one call, and in torch."""

from typing import Any

import torch
from torch import Tensor

from phosphene.kernels.library import backend, call

__all__ = ["td_error", "td_error_reference"]


def td_error(
    q: Tensor,
    action: Tensor,
    reward: Tensor,
    discount: Tensor,
    value: Tensor,
    *,
    weight: Tensor | None = None,
    chooser: Tensor | None = None,
    huber: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Mean weighted loss of temporal differences; only q is differentiated.

    .. math::
        y = r + g V, \quad e = y - q_a, \quad L = \tfrac 1 n \sum w\, h(e), \qquad
        h(e) = e^2 \;\text{or}\; \begin{cases} e^2 / 2 & |e| < 1 \\ |e| - 1/2 & \text{else}
        \end{cases}

    Args:
        q: Values of all actions (n, A).
        action: The actions taken (n,), int64.
        reward: r (n,).
        discount: g (n,).
        value: V (n,); with a chooser, values of all actions (n, A).
        weight: w (n,); None for ones.
        chooser: V is the value of the action that this (n, A) prefers.
        huber: Which h.

    Returns:
        L, a scalar; the errors e (n,) and the values of the actions taken (n,), without gradients.

    Example:
        >>> one = torch.ones(1)
        >>> q = torch.tensor([[1.0, 5.0]])
        >>> td_error(q, torch.tensor([0]), one, 0.5 * one, 4 * one)[:2]
        (tensor(4.), tensor([2.]))
    """
    others = [reward, discount, value]
    others += [x for x in (weight, chooser) if x is not None]
    if not _usable(q, others):
        return td_error_reference(
            q, action, reward, discount, value, weight=weight, chooser=chooser, huber=huber
        )
    found: tuple[Tensor, Tensor, Tensor] = _TDError.apply(
        q, action, reward, discount, value, weight, chooser, huber
    )
    return found


def td_error_reference(
    q: Tensor,
    action: Tensor,
    reward: Tensor,
    discount: Tensor,
    value: Tensor,
    *,
    weight: Tensor | None = None,
    chooser: Tensor | None = None,
    huber: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """The same in torch."""
    with torch.no_grad():
        if chooser is not None:
            value = value.gather(1, chooser.argmax(1, keepdim=True)).squeeze(1)
        aim = reward + discount * value
    taken = q.gather(1, action[:, None]).squeeze(1)
    error = aim - taken
    size = error.abs()
    h = torch.where(size < 1, 0.5 * error.square(), size - 0.5) if huber else error.square()
    loss = (h if weight is None else weight * h).mean()
    return loss, error.detach(), taken.detach()


def _usable(q: Tensor, others: list[Tensor]) -> bool:
    library = backend().library
    return (
        q.dtype in (torch.float32, torch.float64)
        and all(x.dtype is q.dtype and x.is_cpu for x in others)
        and q.is_cpu
        and len(q) > 0
        and not torch.compiler.is_compiling()
        and hasattr(library, "ph_td_error_f32")  # a library that was built before has none
    )


class _TDError(torch.autograd.Function):
    """Value and gradient together, as the one costs nothing beside the other."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        action: Tensor,
        reward: Tensor,
        discount: Tensor,
        value: Tensor,
        weight: Tensor | None,
        chooser: Tensor | None,
        huber: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        gradient, loss = torch.empty_like(q, memory_format=torch.contiguous_format), q.new_empty(())
        error, taken = torch.empty_like(reward), torch.empty_like(reward)
        given = [
            None if x is None else x.contiguous()
            for x in (q, action, reward, discount, weight, value, chooser)
        ]
        call("td_error", q.dtype, *q.shape, *given, int(huber), gradient, error, taken, loss)
        ctx.gradient = gradient
        ctx.mark_non_differentiable(error, taken)
        return loss, error, taken

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, loss: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        return (ctx.gradient * loss, *(None,) * 7)

"""The loss of temporal differences: its value and its gradient in one call, and in torch."""

import torch
from torch import Tensor

from phosphene.kernels.attached import attached
from phosphene.kernels.declaration import Array, Flag, Kernel, Out, Range
from phosphene.kernels.gate import gate

__all__ = ["td_error", "td_error_reference"]

_td_error = gate(
    Kernel(
        "td_error",
        (
            Array("q", ("n", "A")),
            Array("action", ("n",), "int64"),
            Array("reward", ("n",)),
            Array("discount", ("n",)),
            Array("weight", ("n",), optional=True),
            Array("chooser", ("n", "A"), optional=True),
            Array("value", ("n",), shape_with=("chooser", ("n", "A"))),
            Flag("huber"),
            Out("gradient", ("n", "A")),
            Out("error", ("n",)),
            Out("taken", ("n",)),
            Out("loss", ()),
        ),
        "n A q action reward discount weight value chooser huber gradient error taken loss",
        (Range("action", "0", "A", inside=True),),
        empty=("n",),
        mixed=True,
    )
)


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
        y = r + g V, \quad e = y - q_a, \quad L = \tfrac 1 n \sum w\, h(e)

    with :math:`h(e) = e^2`, or Huber's: :math:`e^2 / 2` where :math:`|e| < 1` and
    :math:`|e| - 1/2` elsewhere.

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

    Raises:
        KernelError: A shape or a type is not as said here, or there is no such action.

    Example:
        >>> one = torch.ones(1)
        >>> q = torch.tensor([[1.0, 5.0]])
        >>> td_error(q, torch.tensor([0]), one, 0.5 * one, 4 * one)[:2]
        (tensor(4.), tensor([2.]))
    """

    def formula(q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return td_error_reference(
            q, action, reward, discount, value, weight=weight, chooser=chooser, huber=huber
        )

    found = None
    if not torch.compiler.is_compiling():
        with torch.no_grad():
            found = _td_error(q, action, reward, discount, weight, chooser, value, huber)
    if found is None:
        return formula(q)
    # Value and gradient come together, as the one costs nothing beside the other.
    gradient, error, taken, loss = found
    return attached(loss, lambda q: formula(q)[0], (q, gradient)), error, taken


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

"""Generalized advantage estimation, native; the formula in torch is handed in."""

from collections.abc import Callable

from torch import Tensor

from phosphene.kernels.declaration import Array, Kernel, Out, Real
from phosphene.kernels.gate import gate

__all__ = ["advantages"]

_advantages = gate(
    Kernel(
        "advantages",
        (
            Array("reward", ("t", "n")),
            Array("value", ("t", "n")),
            Array("following", ("t", "n")),
            Array("terminated", ("t", "n"), "bool"),
            Array("done", ("t", "n"), "bool"),
            Real("gamma", -1e30, 1e30),
            Real("lambda_", -1e30, 1e30),
            Out("out", ("t", "n")),
        ),
        "t n reward value following terminated done gamma lambda_ out",
        empty=("t", "n"),
        mixed=True,
    )
)


def advantages(
    reward: Tensor,
    value: Tensor,
    following: Tensor,
    terminated: Tensor,
    done: Tensor,
    *,
    gamma: float,
    lambda_: float,
    formula: Callable[..., Tensor],
) -> Tensor:
    r"""Advantages (t, n) by one backward scan over time (Schulman et al., 2016).

    .. math::
        \delta_t = r_t + \gamma (1 - e_t) V'_t - V_t, \qquad
        A_t = \delta_t + \gamma \lambda (1 - d_t) A_{t+1}

    with e for termination and d for any end of an episode;
    ``phosphene.decision.deep.ppo.generalized_advantage`` is that formula.

    Args:
        reward: (t, n).
        value: V (t, n) of where one acted.
        following: V' (t, n) of what the action led to, before any new episode; its value where the
            episode terminated does not matter.
        terminated: (t, n), bool.
        done: (t, n), bool: terminated or truncated.
        gamma: Discount.
        lambda_: Weight of longer looks ahead, 0 to 1.
        formula: The same function in torch, for what the library cannot take.

    Raises:
        KernelError: A shape or a type is not as said here.
    """
    out: Tensor | None = _advantages(reward, value, following, terminated, done, gamma, lambda_)
    if out is not None:
        return out
    return formula(reward, value, following, terminated, done, gamma=gamma, lambda_=lambda_)

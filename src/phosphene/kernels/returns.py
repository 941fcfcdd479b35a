"""Generalized advantage estimation: native, and its reference in torch."""

import torch
from torch import Tensor

from phosphene.kernels.declaration import Array, Kernel, Out, Real
from phosphene.kernels.gate import gate

__all__ = ["advantages", "advantages_reference"]

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
) -> Tensor:
    r"""Advantages (t, n) by one backward scan over time (Schulman et al., 2016).

    .. math::
        \delta_t = r_t + \gamma (1 - e_t) V'_t - V_t, \qquad
        A_t = \delta_t + \gamma \lambda (1 - d_t) A_{t+1}

    with e for termination, after which nothing is earned, and d for any end of an episode, after
    which the next row belongs to another one. A + V is the lambda-return: with lambda = 1 what was
    earned and, where the rollout or the time limit cut it, the value of what would follow; with
    lambda = 0 the target of one-step temporal differences.

    Args:
        reward: (t, n).
        value: V (t, n) of where one acted.
        following: V' (t, n) of what the action led to, before any new episode; its value where the
            episode terminated does not matter.
        terminated: (t, n), bool.
        done: (t, n), bool: terminated or truncated.
        gamma: Discount.
        lambda_: Weight of longer looks ahead, 0 to 1.

    Raises:
        KernelError: A shape or a type is not as said here.

    Example:
        >>> one, no = torch.ones(2, 1), torch.zeros(2, 1, dtype=torch.bool)
        >>> advantages(one, 0 * one, 0 * one, no, no, gamma=0.5, lambda_=1.0).flatten().tolist()
        [1.5, 1.0]
    """
    out: Tensor | None = _advantages(reward, value, following, terminated, done, gamma, lambda_)
    if out is not None:
        return out
    return advantages_reference(
        reward, value, following, terminated, done, gamma=gamma, lambda_=lambda_
    )


def advantages_reference(
    reward: Tensor,
    value: Tensor,
    following: Tensor,
    terminated: Tensor,
    done: Tensor,
    *,
    gamma: float,
    lambda_: float,
) -> Tensor:
    """The same in torch, one step after another."""
    delta = reward + gamma * torch.where(terminated, 0.0, following) - value
    out, beyond = torch.empty_like(delta), torch.zeros_like(delta[:1].sum(0))
    for t in range(len(reward) - 1, -1, -1):
        beyond = delta[t] + gamma * lambda_ * torch.where(done[t], 0.0, beyond)
        out[t] = beyond
    return out

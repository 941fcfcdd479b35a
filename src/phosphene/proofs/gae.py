"""Generalized advantage estimation: its limits, and what lambda trades."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from phosphene.decision.deep.a2c import A2C
from phosphene.decision.deep.ppo import generalized_advantage
from phosphene.decision.deep.rollouts import RolloutBatch
from phosphene.kernels.returns import advantages
from phosphene.proofs.proof import Proof, Wrong, above, below, equal
from phosphene.proofs.tiny_mdp import (
    ACTIONS,
    HORIZON,
    SPEC,
    STATES,
    TinyMDP,
    Trajectories,
    flat,
    prepared,
)

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "A_t = sum_k (gamma lambda)^k (r_{t+k} + gamma V(s_{t+k+1}) - V(s_{t+k})). With lambda = 1 the "
    "sum is G_t - V(s_t), with lambda = 0 the residual r_t + gamma V(s_{t+1}) - V(s_t). With the "
    "right V the policy's gradient is exact for every lambda, and the variance of A grows with "
    "lambda: Var[A_t | s_t, a_t] = sum_k (gamma lambda)^2k Var[residual_{t+k}]. With a wrong V the "
    "gradient is biased for lambda < 1 and exact for lambda = 1. Over all trajectories."
)
_GAMMA = 0.7
_NATIVE = partial(advantages, formula=generalized_advantage)
_LAMBDAS = torch.linspace(0, 1, 11, dtype=torch.float64)


def prove(seed: int = 0, *, formula: Callable[..., Tensor] = _NATIVE) -> Proof:
    """Put the advantages of the library into the loss of the agent ``a2c``.

    Schulman, Moritz, Levine, Jordan and Abbeel (2016).

    Args:
        seed: Of the decision problem and of the policy's weights.
        formula: A, of rewards, values, values of what followed, ends, gamma and lambda.

    Example:
        >>> prove().holds
        True
    """
    mdp = TinyMDP(seed, _GAMMA)
    paths = mdp.trajectories()
    agent = prepared(A2C(SPEC, gamma=_GAMMA, hidden=(5,), value=0.0), seed)
    exact = flat(mdp.objective(agent), agent)
    right = mdp.values(agent).detach().gather(1, paths.state.T)  # V_t(s_t) (HORIZON + 1, n)
    wrong = torch.zeros_like(right)  # a critic that has learned nothing

    rows = _limits(formula, paths, right + paths.state.T)
    curves: dict[str, list[Tensor]] = {name: [] for name in ("right", "wrong", "variance")}
    for value in _LAMBDAS.tolist():
        for name, v in (("right", right), ("wrong", wrong)):
            found = _gradient(agent, paths, _advantage(formula, paths, v, value))
            curves[name].append((found - exact).abs().max())
        first = _advantage(formula, paths, right, value)[0]
        curves["variance"].append(_variance(agent, paths, first))
    bias, variance = torch.stack(curves["wrong"]), torch.stack(curves["variance"])
    predicted = sum(
        (_GAMMA * _LAMBDAS) ** (2 * k) * _variance(agent, paths, residual)
        for k, residual in enumerate(_advantage(formula, paths, right, 0.0))
    )
    rows += [
        equal("right V, any lambda: |E[estimate] - grad J|", torch.stack(curves["right"]).max(),
              0, 1e-12),
        equal("right V, any lambda: |E Var[A_0 | s_0, a_0] - the sum|",
              (variance - predicted).abs().max(), 0, 1e-12),
        above("the variance with lambda = 1, part of lambda = 0's", variance[10] / variance[0], 1),
        above("wrong V, lambda = 0: |E[estimate] - grad J|, part of |grad J|",
              bias[0] / exact.abs().max(), 1e-2),
        below("the same with lambda = 0.9, part of it", bias[9] / bias[0], 0.5),
        equal("the same with lambda = 1", bias[10], 0, 1e-12),
    ]  # fmt: skip
    figure = {"x": _LAMBDAS, "bias of the gradient, wrong V": bias, "E Var[A | s, a]": variance}
    return Proof("generalized-advantage", "Advantages by lambda", _STATEMENT, rows, figure)


def _limits(formula: Callable[..., Tensor], paths: Trajectories, v: Tensor) -> list[dict[str, Any]]:
    reward = paths.reward.T
    to_go = torch.zeros_like(reward)
    for t in range(HORIZON):  # every sum written out, as a witness that shares no code
        to_go[t] = sum(_GAMMA ** (k - t) * reward[k] for k in range(t, HORIZON))
    last = torch.zeros(HORIZON, 1, dtype=torch.float64)
    last[-1] = 1
    residual = reward + _GAMMA * (1 - last) * v[1:] - v[:-1]
    cut = _advantage(formula, paths, v, 1.0, truncated=True)
    left = _GAMMA ** (HORIZON - torch.arange(HORIZON, dtype=torch.float64))[:, None]
    return [
        equal("lambda = 1: |A - (G - V)|",
              (_advantage(formula, paths, v, 1.0) - (to_go - v[:-1])).abs().max(), 0, 1e-12),
        equal("lambda = 0: |A - residual|",
              (_advantage(formula, paths, v, 0.0) - residual).abs().max(), 0, 1e-12),
        equal("cut off by a limit: |A - (G + gamma^(T - t) V(s_T) - V)|",
              (cut - (to_go + left * v[-1] - v[:-1])).abs().max(), 0, 1e-12),
    ]  # fmt: skip


def _advantage(
    formula: Callable[..., Tensor],
    paths: Trajectories,
    v: Tensor,
    lambda_: float,
    truncated: bool = False,
) -> Tensor:
    """(HORIZON, n) by the formula, of values (HORIZON + 1, n)."""
    done = torch.zeros(HORIZON, v.shape[1], dtype=torch.bool)
    done[-1] = True
    return formula(
        paths.reward.T, v[:-1], v[1:], done & (not truncated), done, gamma=_GAMMA,
        lambda_=lambda_,
    )  # fmt: skip


def _credit(advantage: Tensor) -> Tensor:
    """With the factor gamma^t of the discounted objective (n, HORIZON)."""
    return (advantage * _GAMMA ** torch.arange(HORIZON, dtype=torch.float64)[:, None]).T


def _gradient(agent: A2C, paths: Trajectories, advantage: Tensor) -> Tensor:
    """Minus the gradient of A2C's loss, on all trajectories weighted with their probabilities."""
    weight = paths.probability(agent)[:, None] * paths.action.numel()  # the loss takes a mean
    rows = paths.x.flatten(0, 1)
    batch = RolloutBatch(
        x=rows, index=torch.arange(len(rows)), action=paths.action.flatten(),
        advantage=(_credit(advantage) * weight).flatten(), target=torch.zeros(len(rows)).double(),
    )  # fmt: skip
    return -flat(agent.loss(batch).total, agent)


def _variance(agent: A2C, paths: Trajectories, value: Tensor) -> Tensor:
    """E Var[value | s_0, a_0], of a value of each trajectory (n,)."""
    p, groups = paths.probability(agent), STATES * ACTIONS
    where = paths.state[:, 0] * ACTIONS + paths.action[:, 0]
    weight, mean = (
        torch.zeros(groups, dtype=p.dtype).index_add(0, where, w) for w in (p, p * value)
    )
    return p @ (value - (mean / weight)[where]).square()


def _without_lambda(*told: Tensor, gamma: float, lambda_: float) -> Tensor:
    return generalized_advantage(*told, gamma=gamma, lambda_=1.0)


WRONG = Wrong(
    "A_t = delta_t + gamma A_{t+1}: lambda is forgotten",
    {"formula": _without_lambda},
)

"""Temporal differences: TD(0), TD(lambda), and the lambda-returns of the forward view."""

from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.decision.tabular.learner import Learner, Prediction, history_of
from phosphene.decision.tabular.schedules import Schedule

__all__ = ["lambda_returns", "td_prediction"]


def td_prediction(
    source: Any,
    policy: ArrayLike | Tensor,
    *,
    episodes: int | None = None,
    steps: int | None = None,
    gamma: float = 1.0,
    alpha: float | str | Schedule = 0.1,
    lambda_: float = 0.0,
    traces: str = "accumulating",
    offline: bool = False,
    initial: float | ArrayLike | Tensor = 0.0,
    limit: int | None = None,
    seed: int = 0,
) -> Prediction:
    """V of a policy from differences between values that follow each other (Sutton, 1988).

    delta_t = r_t + gamma V(s_{t+1}) - V(s_t), with V = 0 after an end; for all states s
    V(s) += alpha delta_t e(s), where the trace e fades by gamma lambda a step and the state that
    is met has 1 added to it (accumulating) or is set to 1 (replacing; Singh and Sutton, 1996).

    lambda = 0 is TD(0): V(s_t) += alpha delta_t. With lambda = 1 and changes made at the end of an
    episode (``offline``) it is every-visit Monte Carlo.

    Args:
        source: An MDP, or an environment as gymnasium has it.
        policy: What is followed: probabilities (S, A) or actions (S,).
        episodes: How many; or
        steps: how many steps; or both, and the first to be reached counts.
        gamma: Discount.
        alpha: Step size.
        lambda_: How fast traces fade.
        traces: ``accumulating`` or ``replacing``.
        offline: V stays as it is within an episode.
        initial: What V is at first, a number or (S,).
        limit: Steps after which an episode is cut off; the process's own by default.
        seed: Decides all random numbers.

    Example:
        >>> from phosphene.decision.mdp.mdp import MDP
        >>> walk = MDP.from_grid("G..S..G", step=-1, goal=-1)
        >>> policy = [[0.5, 0.0, 0.5, 0.0]] * 7
        >>> found = td_prediction(walk, policy, alpha=0.02, lambda_=0.8, episodes=2000)
        >>> bool(abs(found.values[3] + 9) < 1)
        True
    """
    learner = Learner(
        source, "td", policy=policy, gamma=gamma, alpha=alpha, lambda_=lambda_, traces=traces,
        offline=offline, initial=initial, limit=limit, seed=seed,
        history=history_of(episodes, steps),
    )  # fmt: skip
    learner.advance(steps, episodes=episodes)
    return learner.prediction()


def lambda_returns(rewards: Tensor, values: Tensor, *, gamma: float, lambda_: float) -> Tensor:
    """The mixture of n-step returns that TD(lambda) follows: the forward view (Watkins, 1989).

    G_t = (1 - lambda) sum_n lambda^{n-1} G_t^{(n)}, the last with all that remains of the weight;
    computed backward as G_t = r_t + gamma [(1 - lambda) V(s_{t+1}) + lambda G_{t+1}].

    Args:
        rewards: (T,), of one episode.
        values: (T,), V(s_1) .. V(s_T): those of the states that were reached; the last is 0 where
            the episode ended there.
        gamma: Discount.
        lambda_: 0 gives r_t + gamma V(s_{t+1}), 1 the return itself.

    Returns:
        (T,), float64.

    Example:
        >>> rewards, values = torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.0])
        >>> lambda_returns(rewards, values, gamma=1.0, lambda_=0.5).tolist()
        [0.75, 1.0]
    """
    if rewards.shape != values.shape or rewards.ndim != 1:
        raise ConfigError(
            f"rewards and values are (T,) each, got {tuple(rewards.shape)}, {tuple(values.shape)}"
        )
    returns = torch.zeros(len(rewards), dtype=torch.float64)
    beyond = 0.0
    for t in range(len(rewards) - 1, -1, -1):
        v = float(values[t])
        mixed = v if t == len(rewards) - 1 else (1 - lambda_) * v + lambda_ * beyond
        beyond = float(rewards[t]) + gamma * mixed
        returns[t] = beyond
    return returns

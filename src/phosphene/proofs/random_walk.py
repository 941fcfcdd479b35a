"""Temporal differences and Monte Carlo on a random walk whose values are known."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from phosphene.decision.tabular.examples import random_walk
from phosphene.decision.tabular.learner import Learner
from phosphene.decision.tabular.problems import Problem, as_problem
from phosphene.decision.tabular.schedules import Schedule, harmonic
from phosphene.proofs.proof import Proof, Row, Wrong, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "V(s) += alpha [r + gamma V(s') - V(s)] comes to V_pi, as the mean of returns does (Sutton, "
    "1988): on a walk of n states V_pi(i) = i / (n + 1). Its changes vary less, so for a suitable "
    "alpha its error falls sooner; between both lie returns of n steps and TD(lambda), "
    "1 < n < infinity, 0 < lambda < 1, and something in between is best."
)
_EPISODES, _RUNS = 100, 60


def prove(seed: int = 0, *, learner: Callable[..., Learner] = Learner) -> Proof:
    """Errors on walks of 5 and 19 states (Sutton and Barto, 2018, example 6.2, figures 7.2, 12.6).

    Args:
        seed: Of the learners.
        learner: Learns by the method of a name.

    Example:
        >>> prove().holds
        True
    """
    five = as_problem(random_walk(5), seed)
    truth = torch.arange(1, 6, dtype=torch.float64) / 6
    figure: dict[str, Tensor] = {"x": torch.arange(_EPISODES + 1, dtype=torch.float64)}
    for alpha in (0.15, 0.1, 0.05):
        figure[f"TD, alpha {alpha}"] = _curve(learner, five, truth, "td", alpha, seed)
    for alpha in (0.01, 0.02, 0.03, 0.04):
        name = f"Monte Carlo, alpha {alpha}"
        figure[name] = _curve(learner, five, truth, "monte-carlo-prediction", alpha, seed)
    td, mc = (
        torch.stack([v for k, v in figure.items() if k.startswith(name)])
        for name in ("TD", "Monte")
    )
    rows = [*_limits(learner, five, truth, seed)]
    for after in (25, 50, 100):
        rows.append(
            below(
                f"TD, best error of three alphas after {after} episodes, against the best of four "
                "of Monte Carlo",
                td[:, after].min(),
                mc[:, after].min(),
            )
        )
    rows.append(
        below("TD, alpha 0.05: error after 100 episodes", figure["TD, alpha 0.05"][-1], 0.06)
    )
    return Proof(
        "random-walk", "A random walk", _STATEMENT, [*rows, *_in_between(learner, seed)], figure
    )  # fmt: skip


def _limits(learner: Callable[..., Learner], walk: Problem, truth: Tensor, seed: int) -> list[Row]:
    only, found = torch.ones(7, 1), {}
    for method, alpha in (("monte-carlo-prediction", harmonic()), ("td", harmonic(1, 0.8))):
        one = learner(walk, method, policy=only, alpha=alpha, seed=seed)
        one.advance(episodes=50_000)
        found[method] = _gap(one.values[:5], truth)
    return [
        below(
            "V(i) - i / 6 of first-visit Monte Carlo, 50,000 episodes",
            found["monte-carlo-prediction"],
            0.02,
        ),
        below("the same of TD, alpha = n^-0.8", found["td"], 0.02),
    ]


def _curve(
    learner: Callable[..., Learner],
    problem: Problem,
    truth: Tensor,
    method: str,
    alpha: float,
    seed: int,
) -> Tensor:
    """Mean over runs of the error over states, before and after each episode."""
    total = torch.zeros(_EPISODES + 1, dtype=torch.float64)
    for run in range(_RUNS):
        one = _begin(learner, problem, method, alpha, seed + run, initial=0.5)
        total[0] += _error(one, truth)
        for k in range(_EPISODES):
            one.advance(episodes=1)
            total[k + 1] += _error(one, truth)
    return total / _RUNS


def _in_between(learner: Callable[..., Learner], seed: int) -> list[Row]:
    """The best mean error of the first ten episodes on 19 states, over step sizes."""
    problem = as_problem(random_walk(19, left=-1.0, right=1.0), seed)
    truth = torch.linspace(-0.9, 0.9, 19, dtype=torch.float64)

    def best(method: str, alphas: tuple[float, ...], **options: float) -> float:
        errors = []
        for alpha in alphas:
            total = 0.0
            for run in range(25):
                one_run = _begin(learner, problem, method, alpha, seed + run, **options)
                for _ in range(10):
                    one_run.advance(episodes=1)
                    total += float(_error(one_run, truth))
            errors.append(total / 250)
        return min(errors)

    one = best("n-step-td", (0.6, 0.8, 1.0), n=1)
    four = best("n-step-td", (0.3, 0.4, 0.5), n=4)
    many = best("n-step-td", (0.05, 0.1, 0.2), n=64)
    traced = best("td", (0.1, 0.2, 0.3), lambda_=0.8)
    return [
        below("19 states, 10 episodes, best alpha: error of n = 4 against n = 1", four, one),
        below("n = 4 against n = 64", four, many),
        below("lambda = 0.8 against lambda = 0", traced, one),
    ]


def _begin(
    learner: Callable[..., Learner],
    problem: Problem,
    method: str,
    alpha: float | Schedule,
    seed: int,
    **options: float,
) -> Learner:
    only = torch.ones(problem.states, 1)
    every = {"first_visit": False} if method.startswith("monte") else {}
    given: dict[str, float] = {**every, **options}
    return learner(problem, method, policy=only, alpha=alpha, seed=seed, **given)


def _error(learner: Learner, truth: Tensor) -> Tensor:
    return (learner.values[: len(truth)] - truth).square().mean().sqrt()


def _gap(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().max()


def _myopic(problem: Problem, method: str, **told: Any) -> Learner:
    return Learner(problem, method, gamma=1.0 if method.startswith("monte") else 0.0, **told)


WRONG = Wrong(
    "V(s) += alpha [r - V(s)]: gamma V(s'), what follows, is forgotten",
    {"learner": _myopic},
)

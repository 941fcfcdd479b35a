"""What TD and Monte Carlo make of the same few episodes, gone over until nothing changes."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from phosphene.decision.tabular.episodes import (
    Episodes,
    batch_monte_carlo,
    batch_td,
    certainty_equivalence,
    generate_episodes,
)
from phosphene.decision.tabular.examples import random_walk
from phosphene.decision.tabular.learner import Learner
from phosphene.decision.tabular.td import lambda_returns
from phosphene.proofs.proof import Proof, Row, Wrong, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "Over a fixed set of episodes TD(0) rests at V = (I - gamma P)^-1 r of the process with the "
    "observed frequencies (certainty equivalence), Monte Carlo at the mean return of each state, "
    "which is closest to what was observed (Sutton, 1988). First visits are unbiased; every visit "
    "has the bias 2 / (n + 1) times that of one episode (Singh and Sutton, 1996). Changes by "
    "traces at an episode's end sum to alpha (G^lambda_t - V(s_t)): backward = forward view."
)


def prove(
    seed: int = 0,
    *,
    rest: Callable[[Episodes, int], Tensor] = batch_td,
    mean: Callable[[Episodes, int], Tensor] = batch_monte_carlo,
) -> Proof:
    """Example 6.4 of Sutton and Barto (2018), a random walk, biases by enumeration, both views.

    Args:
        seed: Of the walks.
        rest: Where TD(0) rests, of episodes and the number of states.
        mean: Where Monte Carlo rests.

    Example:
        >>> prove().holds
        True
    """
    eight = Episodes.of([[0, 1]] + [[1]] * 7, [[0, 0]] + [[1]] * 6 + [[0]])
    td, mc = rest(eight, 2), mean(eight, 2)
    rows = [
        equal("A, B once; B, 1 six times; B, 0 once: V(A) by TD", td[0], 0.75, 1e-9),
        equal("V(A) by Monte Carlo", mc[0], 0.0, 0.0),
        equal("V(B) by both", (td[1] + mc[1]) / 2, 0.75, 1e-9),
        *_walk(rest, mean, seed),
        *_bias(),
        below(
            "backward against forward view, lambda 0, 0.5, 0.9, 1, worst gap", _views(seed), 1e-12
        ),
    ]
    return Proof("batch-td", "The same episodes again", _STATEMENT, rows, _curves(seed))


def _walk(
    rest: Callable[[Episodes, int], Tensor], mean: Callable[[Episodes, int], Tensor], seed: int
) -> list[Row]:
    only, gap, excess = torch.ones(7, 1), 0.0, 0.0
    for run in range(10):
        kept = generate_episodes(random_walk(5), only, 30, seed=seed + run)
        rests, means = rest(kept, 7), mean(kept, 7)
        solved = certainty_equivalence(kept, 7)
        gap = max(gap, float((rests - solved).abs().max()))
        g = kept.returns()
        fit = (g - means[kept.state]).square().mean() - (g - rests[kept.state]).square().mean()
        excess = max(excess, float(fit))
    return [
        below("batch TD against the linear equations, 10 sets of 30 walks, worst gap", gap, 1e-6),
        below("error of Monte Carlo on what it saw minus that of TD, greatest", excess, 1e-15),
    ]


def _bias() -> list[Row]:
    """A state that goes on with probability 1/2 and earns 1 a step is worth 2: enumerated."""
    first, every = [], []
    for n, most in ((1, 50), (2, 30)):
        sums = [0.0, 0.0]
        for lengths in product(range(1, most), repeat=n):
            p = 0.5 ** sum(lengths)
            kept = Episodes.of([[0] * k for k in lengths], [[1.0] * k for k in lengths])
            for i, only in enumerate((True, False)):
                sums[i] += p * float(batch_monte_carlo(kept, 1, first_visit=only)[0])
        first.append(sums[0])
        every.append(sums[1])
    return [
        equal("first visit, 1 episode: expected estimate of the value 2", first[0], 2.0, 1e-6),
        equal("first visit, 2 episodes", first[1], 2.0, 1e-6),
        equal("every visit, 1 episode", every[0], 1.5, 1e-6),
        equal("every visit, 2 episodes: the bias falls to 2/3", every[1], 2 - 0.5 * 2 / 3, 1e-6),
    ]


def _views(seed: int) -> float:
    worst = 0.0
    for lambda_, run in product((0.0, 0.5, 0.9, 1.0), range(5)):
        learner = Learner(
            random_walk(5), "td", policy=torch.ones(7, 1), gamma=0.9, alpha=0.1, lambda_=lambda_,
            offline=True, initial=torch.linspace(-1, 1, 7), seed=seed + run,
        )  # fmt: skip
        before = learner.values
        met = learner.advance(episodes=1, record=True)
        assert met is not None
        state, _, next, how = met.path.unbind(1)
        beyond = torch.where(how == 1, 0.0, before[next])
        g = lambda_returns(met.reward, beyond, gamma=0.9, lambda_=lambda_)
        forward = torch.zeros(7, dtype=torch.float64).index_add(0, state, g - before[state])
        worst = max(worst, float((learner.values - before - 0.1 * forward).abs().max()))
    return worst


def _curves(seed: int) -> dict[str, Tensor]:
    """Error over states after batches of growing size (Sutton and Barto, 2018, figure 6.2)."""
    truth, only = torch.arange(1, 6, dtype=torch.float64) / 6, torch.ones(7, 1)
    sizes, runs = list(range(5, 101, 5)), 20
    curves = torch.zeros(2, len(sizes), dtype=torch.float64)
    for run in range(runs):
        kept = generate_episodes(random_walk(5), only, 100, seed=seed + run)
        ends = (kept.how > 0).nonzero().flatten() + 1
        for k, size in enumerate(sizes):
            parts = (kept.state, kept.action, kept.next, kept.reward, kept.how)
            part = Episodes(*(column[: int(ends[size - 1])] for column in parts))
            for i, values in enumerate(
                (certainty_equivalence(part, 7), batch_monte_carlo(part, 7))
            ):
                curves[i, k] += (values[:5] - truth).square().mean().sqrt() / runs
    x = torch.tensor(sizes, dtype=torch.float64)
    return {"x": x, "batch TD": curves[0], "batch Monte Carlo": curves[1]}


WRONG = Wrong(
    "TD(0) rests at the mean of returns: that is where Monte Carlo rests",
    {"rest": batch_monte_carlo},
)

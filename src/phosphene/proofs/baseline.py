"""A baseline takes variance away and adds no bias, unless it looks at the action."""

from typing import Any

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.decision.deep.reinforce import REINFORCE
from phosphene.decision.deep.whole_episodes import EpisodeBatch
from phosphene.proofs.proof import Proof, Wrong, above, below, equal
from phosphene.proofs.tiny_mdp import (
    HORIZON,
    SPEC,
    TinyMDP,
    Trajectories,
    expected_gradient,
    flat,
    prepared,
    scores,
    total_variance,
)

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "E[b(s) grad log pi(a | s)] = b(s) grad sum_a pi(a | s) = 0: a baseline that does not look at "
    "the action leaves the mean of REINFORCE's estimate alone, and the variance falls when it is "
    "near what is earned on average. The constant of least variance is b* = E[g . h] / E[h . h], "
    "h = sum_t gamma^t grad log pi, g the estimate without a baseline. Over all trajectories."
)
_GAMMA, _LIFT = 0.7, 2.0


def prove(seed: int = 0, steps: int = 200, *, agent: type[REINFORCE] = REINFORCE) -> Proof:
    """Exact means and variances of the estimate, by baseline.

    Williams (1992); Greensmith, Bartlett and Baxter (2004) for the constant of least variance.

    Args:
        seed: Of the decision problem, the weights and the episodes that the value is fitted to.
        steps: Gradient steps of the value.
        agent: What credits actions with what they earned, less a baseline.

    Example:
        >>> prove().holds
        True
    """
    mdp = TinyMDP(seed, _GAMMA)
    mdp.r += _LIFT  # where all that is done is paid for, a baseline matters most
    paths = mdp.trajectories()
    plain = _agent(agent, seed, baseline="none")
    whole = _agent(agent, seed, baseline="none", reward_to_go=False)
    valued = _agent(agent, seed, baseline="value")
    exact = flat(mdp.objective(plain), plain)
    untaught = expected_gradient(valued, paths)
    _fit(valued, paths, seed, steps)

    size = exact.abs().max()
    peeking = -0.5 * mdp.r[paths.state[:, :-1], paths.action]
    rows = [
        equal("b = V untaught: |E[estimate] - grad J|", (untaught - exact).abs().max(), 0, 1e-12),
        equal("b = V taught: |E[estimate] - grad J|", _bias(valued, paths, exact), 0, 1e-12),
        above("b looks at the action: |E - grad J|, part of |grad J|",
              _bias(plain, paths, exact, peeking) / size, 0.01),
    ]  # fmt: skip
    variance = {
        "whole return": total_variance(whole, paths),
        "reward-to-go": total_variance(plain, paths),
        "V taught": total_variance(valued, paths),
    }
    rows.append(below("variance of reward-to-go, part of the whole return's",
                      variance["reward-to-go"] / variance["whole return"], 1))  # fmt: skip
    rows.append(below("variance with V taught, part of reward-to-go's",
                      variance["V taught"] / variance["reward-to-go"], 0.5))  # fmt: skip
    best = _best_constant(plain, paths)
    around = torch.linspace(float(best) - 3, float(best) + 3, 61, dtype=torch.float64)
    discount = _GAMMA ** torch.arange(HORIZON, dtype=torch.float64)
    curve = torch.stack([total_variance(plain, paths, -b * discount) for b in around])
    rows.append(equal("constant of least variance", around[curve.argmin()], best, 1e-9))
    rows.append(below("its variance, part of reward-to-go's",
                      curve.min() / variance["reward-to-go"], 1))  # fmt: skip
    figure = {"x": around, "variance by constant baseline": curve,
              "V taught": variance["V taught"].expand(61)}  # fmt: skip
    return Proof("baseline", "Baselines", _STATEMENT, rows, figure)


def _agent(agent: type[REINFORCE], seed: int, **settings: Any) -> REINFORCE:
    kept: dict[str, Any] = {"gamma": _GAMMA, "hidden": (5,), "discounted_states": True}
    return prepared(agent(SPEC, **kept, **settings), seed)


def _bias(
    agent: REINFORCE, paths: Trajectories, exact: Tensor, extra: Tensor | None = None
) -> Tensor:
    return (expected_gradient(agent, paths, extra) - exact).abs().max()


def _fit(agent: REINFORCE, paths: Trajectories, seed: int, steps: int) -> None:
    """Teach V by the agent's own loss, on episodes drawn from the policy."""
    drawn = torch.multinomial(
        paths.probability(agent), 500, replacement=True, generator=generator(seed, 3)
    )
    x, reward, lived = paths.x[drawn], paths.reward[drawn], paths.lived[drawn]
    credit, target = agent.credit(x, reward, lived)
    batch = EpisodeBatch(
        x=x, index=drawn, action=paths.action[drawn], lived=lived, credit=credit, target=target
    )
    optimizer = torch.optim.Adam(agent.critic.parameters(), lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        agent.value_loss(batch).total.backward()
        optimizer.step()


def _best_constant(agent: REINFORCE, paths: Trajectories) -> Tensor:
    """b* = E[g . h] / E[h . h]."""
    discount = _GAMMA ** torch.arange(HORIZON, dtype=torch.float64)
    own, p = scores(agent)[paths.state[:, :-1], paths.action], paths.probability(agent)
    credit, _ = agent.credit(paths.x, paths.reward, paths.lived)
    g = torch.einsum("nt,ntp->np", credit, own)
    h = torch.einsum("t,ntp->np", discount, own)
    return (p @ (g * h).sum(1)) / (p @ h.square().sum(1))


class _OneStepLate(REINFORCE):
    def credit(self, x: Tensor, reward: Tensor, lived: Tensor) -> tuple[Tensor, Tensor]:
        """The value of where the action led to."""
        return super().credit(torch.cat([x[:, 1:], x[:, -1:]], 1), reward, lived)


WRONG = Wrong(
    "G_t - b(s_{t+1}): the baseline of the state that the action led to, which depends on it",
    {"agent": _OneStepLate},
)

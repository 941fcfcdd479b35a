"""Tabular methods as agents: how they explore when they are watched, and what they tell of."""

import pytest
import torch

import phosphene as ph
from phosphene.catalog import systems
from phosphene.core.subject import Alone
from phosphene.decision.environments.table import make, spec
from phosphene.decision.tabular.exploration import epsilon_greedy
from phosphene.decision.tabular.table_agent import TableAgent

TABULAR = [row.name for row in systems() if row.kind == "agent" and "tabular" in row.target]
LAKE = "grid:frozen-lake-4x4"
CLIFF = "grid:cliff"  # where no two episodes earn the same


@pytest.mark.parametrize("name", TABULAR)
@pytest.mark.parametrize(
    ("epsilon", "least"), [(0.3, 0.3), (0.0, 0.0), ("linear:1:0.2:50episodes", 0.2)]
)
def test_explores_with_the_least_epsilon(name: str, epsilon: float | str, least: float) -> None:
    agent = ph.build(name, spec(LAKE), epsilon=epsilon)
    assert isinstance(agent, TableAgent)
    agent.table.copy_(torch.eye(4, dtype=torch.float64).repeat(4, 1))
    n = 20_000
    for state in (0, 6):
        drawn = agent.act(torch.full((n, 1), state), greedy=False,
                          generator=torch.Generator().manual_seed(state))  # fmt: skip
        counts = torch.bincount(drawn, minlength=4) / n
        wanted = epsilon_greedy(agent.table[state : state + 1], least)[0]
        assert float((counts - wanted).abs().max()) < 0.018  # five deviations
        assert agent.act(torch.full((5, 1), state)).tolist() == [state % 4] * 5


@pytest.mark.parametrize("name", TABULAR)
def test_statistics_are_of_the_episodes_since_the_last(name: str) -> None:
    """Each episode is told of once: all cycles together give the mean of all episodes."""
    agent = ph.build(name, spec(CLIFF), seed=1, steps=500)
    source = agent.experience(make(CLIFF, 1, seed=0), 0, Alone())
    told, before, returns, lengths = 0, 0.0, 0.0, 0.0
    for k in range(12):
        source.next(k, agent)
        found = source.statistics()
        new = found["episodes"] - before
        before = found["episodes"]
        if new:
            told += int(new)
            returns += new * found["return"]
            lengths += new * found["length"]
    learner = source.learner
    assert told == learner.episodes == len(learner.returns) >= 5
    assert returns / told == pytest.approx(float(learner.returns.mean()))
    assert lengths / told == pytest.approx(float(learner.lengths.double().mean()))
    assert "return" not in source.statistics()

"""Every law for every agent, in each kind of environment that it claims."""

import pytest

from phosphene.catalog import System, systems
from tests.laws.agents import AGENT_LAWS, agent_laws
from tests.laws.counted import asserting

TRIALS = [
    (row, kind, name)
    for row in systems()
    if row.kind == "agent"
    for kind in row.events
    for name in agent_laws(row, kind)
]


@pytest.mark.parametrize(
    ("row", "kind", "name"),
    TRIALS,
    ids=[f"{row.name}-{kind}-{name[4:]}" for row, kind, name in TRIALS],
)
def test_agent(row: System, kind: str, name: str, tmp_path) -> None:
    asserting(AGENT_LAWS[name], row, kind, tmp_path)

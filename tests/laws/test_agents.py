"""Every law for every agent, in each kind of environment that it claims."""

import pytest

from phosphene.catalog import System, systems
from tests.laws.agents import AGENT_LAWS

CASES = [(row, kind) for row in systems() if row.kind == "agent" for kind in row.events]


@pytest.mark.parametrize("name", AGENT_LAWS)
@pytest.mark.parametrize(("row", "kind"), CASES, ids=[f"{r.name}-{k}" for r, k in CASES])
def test_agent(row: System, kind: str, name: str, tmp_path) -> None:
    AGENT_LAWS[name](row, kind, tmp_path)

"""Agents: an environment of each kind that is claimed, and small settings."""

from typing import Any

from phosphene.catalog import System
from phosphene.core.agent import Agent
from phosphene.decision.environments.table import spec
from tests.laws.agents import AGENT_LAWS, ENVIRONMENTS, small
from tests.laws.grounds import Ground


def _small(row: System) -> list[tuple[Any, dict[str, Any]]]:
    return [(spec(ENVIRONMENTS[kind]), small(row)) for kind in row.events]


GROUND = Ground("agent", Agent, lambda row: ENVIRONMENTS, _small, AGENT_LAWS)

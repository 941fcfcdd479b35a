"""The environments that need no other package, as a table for the documents."""

from collections.abc import Sequence

from phosphene.core.environment import EnvSpec
from phosphene.decision.environments.table import listed_specs

__all__ = ["listed"]


def listed() -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Every environment that needs nothing else: the head of the table, and its rows."""
    rows = [
        (f"`{s.name}`", str(s.observation), _actions(s), str(s.limit or "none"))
        for s in listed_specs()
    ]
    return ("environment", "observation", "actions", "limit"), rows


def _actions(spec: EnvSpec) -> str:
    if spec.discrete:
        return str(spec.actions)
    return ", ".join(f"{a:g}..{b:g}" for a, b in zip(spec.low, spec.high, strict=True))

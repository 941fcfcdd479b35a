"""Recipes of agents with tables. The first of a system is its default."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

_CLIFF: Mapping[str, Any] = {"gamma": 1.0, "alpha": 0.5, "epsilon": 0.1, "steps": 200}
_SYSTEMS = (
    "q-learning", "double-q-learning", "sarsa", "expected-sarsa", "n-step-sarsa", "monte-carlo",
)  # fmt: skip
_OWN: Mapping[str, Mapping[str, Any]] = {
    "n-step-sarsa": {"alpha": 0.2},
    "monte-carlo": {"alpha": 0.05, "limit": 200},
}


def _recipes(system: str) -> tuple[Recipe, ...]:
    own = _OWN.get(system, {})
    return (
        Recipe(
            name="default",
            system=system,
            on="CliffWalking-v1",
            budget="30000steps",
            model={**_CLIFF, **own},
            notes="Sutton and Barto's example 6.6.",
        ),
        Recipe(
            name="default",
            system=system,
            on="FrozenLake-v1",
            budget="2000000steps",
            model={
                "gamma": 0.99, "epsilon": "linear:1:0.1:500000steps", "steps": 20000,
                "alpha": "harmonic:1:0.7visits",
            },
        ),
        Recipe(
            name="default",
            system=system,
            on="*",
            budget="200000steps",
            model={"epsilon": "linear:1:0.05:100000steps", "steps": 2000, **own},
        ),
    )  # fmt: skip


RECIPES: tuple[Recipe, ...] = tuple(r for system in _SYSTEMS for r in _recipes(system))

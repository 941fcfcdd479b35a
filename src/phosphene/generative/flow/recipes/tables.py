"""Flows on tables: three columns and more, a few hundred or thousand rows."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

_STUDENT: Mapping[str, Any] = {"whiten": True, "base": "student-t"}
"""Starts near the one Gaussian of the table's covariance, with tails that may grow."""

_SLOW = ("planar-flow", "radial-flow", "sylvester-flow", "continuous-flow", "neural-spline-flow")
"""Few of their parameters begin at the identity: they go further in each step."""

_TABLE_MODELS: Mapping[str, Mapping[str, Any]] = {
    "realnvp": {"layers": 4, "hidden": (32, 32), "limit": 1.0},
    "maf": {"layers": 2, "hidden": (64, 64), "limit": 1.0},
    "iaf": {"layers": 2, "hidden": (64, 64), "limit": 1.0},
    "nice": {"layers": 4, "hidden": (64, 64), "activation": "tanh"},
    "neural-spline-flow": {"layers": 4, "hidden": (32, 32), "mixing": "lu"},
    "planar-flow": {"layers": 16},
    "radial-flow": {"layers": 8},
    "sylvester-flow": {"layers": 4},
    "continuous-flow": {"hidden": (32, 32), "loss_steps": 4},
}

# Small networks, and a stop where the validation no longer improves: a few hundred rows are soon
# learned by heart. Nothing here was chosen by wine, breast cancer or diabetes.
RECIPES: tuple[Recipe, ...] = tuple(
    Recipe(
        name="default",
        system=system,
        event="real 4",
        budget="30s",
        model={**_STUDENT, **model},
        train={
            "batch_size": 256,
            "optimizer": "adamw",
            "lr": 3e-3 if system in _SLOW else 1e-3,
            "weight_decay": 0.1,
            "ema": 0.98,
            "evaluate_every": 10,
            "patience": 15,
        },
        notes="For tables of three columns and more, of a few hundred or thousand rows.",
    )
    for system, model in _TABLE_MODELS.items()
)

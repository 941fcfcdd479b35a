"""Recipes of the energy family. The first of a system is its default."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

_AVERAGED: Mapping[str, Any] = {"ema": 0.999, "schedule": "cosine"}

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="default",
        system="boltzmann-machine",
        on="bars3",
        budget="1000steps",
        model={"hidden": 5},
        train={"lr": 3e-2, "schedule": "cosine", "batch_size": 140},
        notes="Nine visible and five hidden units: the gradient is exact.",
    ),
    Recipe(
        name="default",
        system="rbm",
        on="digits-binary",
        budget="60s",
        model={"hidden": 200, "learning": "persistent", "chains": 100},
        train={**_AVERAGED, "lr": 2e-3, "batch_size": 100},
    ),
    Recipe(
        name="default",
        system="rbm",
        on="mnist-binary",
        budget="240s",
        model={"hidden": 500, "learning": "persistent", "chains": 100},
        train={**_AVERAGED, "lr": 2e-3, "batch_size": 100},
    ),
    Recipe(
        name="paper",
        system="rbm",
        on="mnist-binary",
        budget="50epochs",
        model={"hidden": 500, "learning": "cd", "steps": 25},
        train={"optimizer": "sgd", "lr": 0.05, "batch_size": 100, "schedule": "linear"},
        notes="Salakhutdinov and Murray (2008): 500 hidden units, CD-25.",
    ),
    Recipe(
        name="default",
        system="rbm",
        on="bars3",
        budget="4000steps",
        model={"hidden": 12, "learning": "tempering", "chains": 100},
        train={**_AVERAGED, "lr": 1e-2, "batch_size": 140},
    ),
    Recipe(
        name="default",
        system="gsn",
        on="bars3",
        budget="3000steps",
        model={"hidden": (64,)},
        train={**_AVERAGED, "lr": 3e-3, "batch_size": 140},
    ),
    Recipe(
        name="default",
        system="gsn",
        on="mnist-binary",
        budget="60s",
        model={"hidden": (500, 500)},
        train={**_AVERAGED, "batch_size": 64},
    ),
)

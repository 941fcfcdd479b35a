"""Recipes of diffusion models of vectors."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

_TRAIN: Mapping[str, Any] = {
    "batch_size": 512,
    "lr": 2e-3,
    "schedule": "cosine",
    "warmup": 100,
    "ema": 0.999,
}

RECIPES: tuple[Recipe, ...] = tuple(
    Recipe(name="plane", system=system, on=on, budget="60s", train=_TRAIN, model=model)
    for system, model in (
        ("ddpm", {"widths": (128,), "steps": 200}),
        ("score-sde", {"widths": (128,)}),
        ("flow-matching", {"widths": (128,)}),
    )
    for on in ("moons", "ring8", "checkerboard")
)

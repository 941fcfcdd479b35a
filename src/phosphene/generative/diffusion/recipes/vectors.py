"""Recipes of diffusion models of vectors and tables, and of grids of reals."""

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
_MODELS: Mapping[str, Mapping[str, Any]] = {
    "ddpm": {"steps": 200},
    "score-sde": {},
    "flow-matching": {},
}

_PLANES = tuple(
    Recipe(
        name="default",
        system=system,
        on=on,
        budget="60s",
        train=_TRAIN,
        model={**model, "widths": (128,)},
    )
    for system, model in _MODELS.items()
    for on in ("moons", "ring8", "grid25", "checkerboard", "spirals")
)

_OTHERS = tuple(
    Recipe(name="default", system=system, event=event, budget=budget, train=train, model=model)
    for system, model in _MODELS.items()
    for event, budget, train in (
        ("real 4", "120s", _TRAIN),
        ("real 4x8x8", "120s", {**_TRAIN, "batch_size": 64, "clip": 1.0}),
    )
)

RECIPES: tuple[Recipe, ...] = (*_PLANES, *_OTHERS)

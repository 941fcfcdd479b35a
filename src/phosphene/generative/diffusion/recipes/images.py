"""Recipes of diffusion models of images."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

_TRAIN: Mapping[str, Any] = {
    "batch_size": 64,
    "lr": 1e-3,
    "schedule": "cosine",
    "warmup": 100,
    "clip": 1.0,
    "ema": 0.999,
}

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="default",
        system="ddpm",
        on="mnist",
        context=("label",),
        budget="300s",
        precision="auto",
        model={"target": "v"},
        train=_TRAIN,
    ),
    Recipe(
        name="default",
        system="score-sde",
        on="mnist",
        context=("label",),
        budget="300s",
        precision="auto",
        train=_TRAIN,
    ),
    Recipe(
        name="images",
        system="flow-matching",
        on="mnist",
        context=("label",),
        budget="300s",
        precision="auto",
        train=_TRAIN,
    ),
)

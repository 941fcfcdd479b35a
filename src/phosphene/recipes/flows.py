"""Recipes of the normalizing flows. The first of a system is its default."""

from phosphene.recipes.recipe import Recipe

__all__ = ["RECIPES"]

_VECTORS = (
    Recipe(
        name="default",
        system="realnvp",
        data="moons",
        budget="30s",
        train={"batch_size": 256, "lr": 2e-3, "schedule": "cosine", "ema": 0.99},
    ),
)

_AUTOREGRESSIVE = (
    Recipe(
        name="default",
        system="maf",
        data="moons",
        budget="30s",
        train={"batch_size": 256, "lr": 2e-3, "schedule": "cosine", "ema": 0.99},
    ),
    Recipe(
        name="default",
        system="iaf",
        data="moons",
        budget="60s",
        train={"batch_size": 256, "lr": 2e-3, "schedule": "cosine", "ema": 0.99},
    ),
)

_IMAGES: tuple[Recipe, ...] = ()

RECIPES: tuple[Recipe, ...] = (*_VECTORS, *_AUTOREGRESSIVE, *_IMAGES)

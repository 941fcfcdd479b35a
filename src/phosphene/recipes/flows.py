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

_RESIDUAL = (
    Recipe(
        name="default",
        system="planar-flow",
        data="moons",
        budget="60s",
        model={"layers": 32},
        train={"batch_size": 512, "lr": 1e-2, "schedule": "cosine", "clip": 1.0, "ema": 0.99},
    ),
    Recipe(
        name="default",
        system="radial-flow",
        data="moons",
        budget="60s",
        model={"layers": 32},
        train={"batch_size": 512, "lr": 1e-2, "schedule": "cosine", "clip": 1.0, "ema": 0.99},
    ),
    Recipe(
        name="default",
        system="sylvester-flow",
        data="moons",
        budget="60s",
        model={"layers": 16},
        train={"batch_size": 512, "lr": 1e-2, "schedule": "cosine", "clip": 1.0, "ema": 0.99},
    ),
)

_IMAGES: tuple[Recipe, ...] = ()

RECIPES: tuple[Recipe, ...] = (*_VECTORS, *_AUTOREGRESSIVE, *_RESIDUAL, *_IMAGES)

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

_PAIRS = (
    Recipe(
        name="default",
        system="c-flow",
        data="sprites-masks",
        budget="5m",
        context=("image",),
        train={"batch_size": 64, "lr": 1e-3, "schedule": "cosine", "clip": 50.0, "ema": 0.99},
    ),
    Recipe(
        name="paper",
        system="c-flow",
        data="openmoji-lines",
        budget="12h",
        context=("image",),
        model={"levels": 3, "steps": 16, "hidden": 512, "condition_hidden": 512, "limit": 5.0},
        train={"batch_size": 16, "lr": 1e-4, "clip": 50.0, "ema": 0.999},
        notes="The architecture of the paper, for a GPU.",
    ),
)

_IMAGES: tuple[Recipe, ...] = ()

_SUPER_RESOLUTION = (
    Recipe(
        name="default",
        system="srflow",
        data="mnist-x4",
        context=("image",),
        budget="300s",
        train={"batch_size": 32, "lr": 1e-3, "schedule": "cosine", "clip": 50.0, "ema": 0.995},
    ),
    Recipe(
        name="paper",
        system="srflow",
        data="mnist-x4",
        context=("image",),
        budget="48h",
        model={
            "consistent": False,
            "steps": 16,
            "transitions": 2,
            "features": 64,
            "blocks": 23,
            "hidden": 64,
        },
        train={"batch_size": 16, "lr": 5e-4, "schedule": "linear"},
        notes="Published for 160 x 160 crops of photographs, with an encoder trained beforehand.",
    ),
)

RECIPES: tuple[Recipe, ...] = (
    *_VECTORS,
    *_AUTOREGRESSIVE,
    *_RESIDUAL,
    *_PAIRS,
    *_IMAGES,
    *_SUPER_RESOLUTION,
)

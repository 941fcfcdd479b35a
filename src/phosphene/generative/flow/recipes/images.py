"""Recipes of flows of images, and of images given others."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

_FAST_GLOW = {
    "steps": 8,
    "hidden": 64,
    "coupling": "spline",
    "bins": 6,
    "kernels": (3, 1, 1),
    "codec": "equalized",
    "activation": "relu",
}
"""Splines over equalized codes, and no wide convolution last: the most bits a second on a CPU."""

_IMAGES = (
    Recipe(
        name="default",
        system="glow",
        on="mnist",
        budget="600s",
        model=_FAST_GLOW,
        train={
            "batch_size": 64,
            "lr": 3e-3,
            "schedule": "cosine",
            "final_lr": 0.05,
            "warmup": 50,
            "clip": 2e4,
            "ema": 0.99,
        },
        precision="bf16",
        reaches={"bits_per_dim": 1.2},
        cpu_seconds=600,
        notes="Independent histograms have 1.73.",
    ),
    *(
        Recipe(
            name="default",
            system="continuous-flow",
            on=on,
            budget="600s",
            model={"hidden": (16, 16), "tolerance": 1e-3, "codec": "equalized"},
            train={
                "batch_size": 32,
                "lr": 5e-3,
                "schedule": "cosine",
                "warmup": 50,
                "clip": 2e4,
                "ema": 0.99,
            },
            notes="Narrow layers, a small batch and a coarse tolerance: gradients through the "
            "solver fit in memory. Few steps of fixed size are cheaper, and the network learns to "
            "deceive them: the loss falls below 0, which no code's can.",
        )
        for on in ("mnist", "openmoji")
    ),
    Recipe(
        name="openmoji",
        system="glow",
        on="openmoji",
        budget="30m",
        model={**_FAST_GLOW, "levels": 3, "hidden": 96},
        train={
            "batch_size": 32,
            "lr": 2e-3,
            "schedule": "cosine",
            "final_lr": 0.05,
            "warmup": 100,
            "clip": 1e5,
            "ema": 0.995,
        },
        precision="bf16",
        notes="The codes of flat color are mostly a few values, which equalization sees to.",
    ),
    Recipe(
        name="paper",
        system="glow",
        on="openmoji",
        budget="48h",
        model={
            "levels": 3,
            "steps": 32,
            "hidden": 512,
            "convolution": "dense",
            "codec": "centered",
            "limit": 0.0,
            "activation": "relu",
        },
        train={"batch_size": 64, "lr": 1e-3, "warmup": 1000, "ema": 0.999},
        notes="The architecture published for 32 x 32 photographs, for a GPU.",
    ),
    Recipe(
        name="images",
        system="realnvp",
        on="mnist",
        budget="600s",
        model={"levels": 2, "channels": 32, "blocks": 1, "codec": "equalized", "limit": 5.0},
        train={"batch_size": 64, "lr": 2e-3, "schedule": "cosine", "warmup": 50, "ema": 0.99},
        precision="bf16",
    ),
    Recipe(
        name="paper",
        system="realnvp",
        on="openmoji",
        budget="48h",
        model={
            "levels": 2,
            "channels": 64,
            "blocks": 8,
            "codec": "logit",
            "alpha": 0.05,
            "limit": 5.0,
        },
        train={"batch_size": 64, "lr": 1e-3, "weight_decay": 5e-5, "ema": 0.999},
        notes="The architecture published for 32 x 32 photographs, without batch normalization.",
    ),
)

_RESOLVE: Mapping[str, Any] = {
    # Small batches: steps are worth more than the little that larger ones save (validation).
    "batch_size": 16,
    "lr": 1e-3,
    "schedule": "cosine",
    "clip": 50.0,
    "ema": 0.995,
}

_SUPER_RESOLUTION = (
    Recipe(
        name="default",
        system="srflow",
        on="mnist-x4",
        context=("image",),
        budget="300s",
        model={"limit": 5.0},
        train=_RESOLVE,
    ),
    Recipe(
        name="default",
        system="srflow",
        on="openmoji-x4",
        context=("image",),
        budget="600s",
        model={"limit": 5.0},
        train=_RESOLVE,
    ),
    Recipe(
        name="paper",
        system="srflow",
        on="mnist-x4",
        context=("image",),
        budget="48h",
        model={
            "consistent": False,
            "steps": 16,
            "transitions": 2,
            "features": 64,
            "blocks": 23,
            "hidden": 64,
            "limit": 5.0,
        },
        train={"batch_size": 16, "lr": 5e-4, "schedule": "linear"},
        notes="Published for 160 x 160 crops of photographs, with an encoder trained beforehand.",
    ),
)

RECIPES: tuple[Recipe, ...] = (*_IMAGES, *_SUPER_RESOLUTION)

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
_SMALL: Mapping[str, Any] = {**_TRAIN, "batch_size": 128, "lr": 2e-3, "ema": 0.998}
_MODELS: Mapping[str, Mapping[str, Any]] = {
    "ddpm": {"target": "v"},
    "score-sde": {},
    "flow-matching": {},
}

_REACHES: Mapping[tuple[str, str], Mapping[str, float]] = {
    ("ddpm", "mnist"): {
        "kernel_distance": 1.0,
        "precision": 0.93,
        "recall": 0.85,
        "coverage": 0.90,
        "conditional_accuracy": 0.98,
    },
}
"""On the test split, at one seed."""

_DIGITS = tuple(
    Recipe(
        name="default",
        system=system,
        on=on,
        context=("label",),
        budget="300s" if on == "mnist" else "120s",
        precision="auto",
        model={**model, "guidance": 0.35},
        train=_TRAIN if on == "mnist" else _SMALL,
        reaches=_REACHES.get((system, on), {}),
        cpu_seconds=600 if (system, on) in _REACHES else None,
        notes="Labels are withheld from one example in ten; samples are guided by .35, the weight "
        "that was chosen for ddpm on validation digits of mnist.",
    )
    for system, model in _MODELS.items()
    for on in ("mnist", "digits")
)

_OTHERS = tuple(
    Recipe(
        name="default",
        system=system,
        on=on,
        budget="600s",
        precision="auto",
        model=model,
        train=_TRAIN,
    )
    for system, model in _MODELS.items()
    for on in ("openmoji", "mnist-binary", "digits-binary")
)

_PAPER = (
    Recipe(
        name="paper",
        system="ddpm",
        on="openmoji",
        budget="48h",
        model={
            "schedule": "linear",
            "target": "noise",
            "widths": (128, 256, 256, 256),
            "blocks": 2,
            "attention": (1,),
            "heads": 1,
            "patch": 1,
            "dropout": 0.1,
            "groups": 32,
        },
        train={"batch_size": 128, "lr": 2e-4, "warmup": 5000, "clip": 1.0, "ema": 0.9999},
        notes="Ho, Jain and Abbeel (2020): the network published for 32 x 32 photographs, for a "
        "GPU.",
    ),
    Recipe(
        name="paper",
        system="score-sde",
        on="openmoji",
        budget="48h",
        model={
            "process": "edm",
            "weighting": "edm",
            "widths": (128, 256, 256, 256),
            "blocks": 4,
            "attention": (1,),
            "heads": 1,
            "patch": 1,
            "dropout": 0.13,
            "groups": 32,
        },
        train={"batch_size": 512, "lr": 1e-3, "warmup": 20000, "ema": 0.9999},
        notes="Karras, Aittala, Aila and Laine (2022), for a GPU: DDPM++ widths, no augmentation.",
    ),
    Recipe(
        name="paper",
        system="flow-matching",
        on="openmoji",
        budget="48h",
        model={
            "widths": (256, 512, 512, 512),
            "blocks": 2,
            "attention": (1,),
            "heads": 4,
            "patch": 1,
            "groups": 32,
        },
        train={"batch_size": 256, "lr": 5e-4, "warmup": 45000, "schedule": "linear"},
        notes="Lipman et al. (2023): the network published for 32 x 32 photographs, for a GPU.",
    ),
)

RECIPES: tuple[Recipe, ...] = (*_DIGITS, *_OTHERS, *_PAPER)

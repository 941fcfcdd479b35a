"""Recipes of diffusion models that are made of others."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe, Stage

__all__ = ["RECIPES"]

_TRAIN: Mapping[str, Any] = {
    "optimizer": "adam",
    "schedule": "cosine",
    "warmup": 100,
    "clip": 1.0,
    "batch_size": 64,
    "lr": 1e-3,
}
_DIGITS: Mapping[str, Any] = {**_TRAIN, "batch_size": 128, "lr": 2e-3}
_AVERAGED: Mapping[str, Any] = {"ema": 0.998}

_CONTROLNET = tuple(
    Recipe(
        name="default",
        system="controlnet",
        on=on,
        budget="180s" if on.startswith("digits") else "600s",
        context=("label", "image") if labels else ("image",),
        train=_DIGITS if on.startswith("digits") else _TRAIN,
        stages={
            "base": Stage(share=0.5, precision="auto", train=_AVERAGED),
            "control": Stage(share=0.5, precision="auto", train=_AVERAGED),
        },
        notes=notes,
    )
    for on, labels, notes in (
        ("digits-edges", True, "The base is told the label, and the control the edges too."),
        ("mnist-edges", True, "The base is told the label, and the control the edges too."),
        ("openmoji-edges", False, "The base is told nothing, and the control the edges."),
    )
)

_LATENT = (
    *(
        Recipe(
            name="default",
            system="latent-diffusion",
            on=on,
            budget="600s",
            context=context,
            model={"autoencoder": {"code_dim": 4, "downsample": 4}},
            train=_TRAIN,
            stages={
                "autoencoder": Stage(
                    share=0.5, precision="auto", train={"batch_size": 32, "clip": 100.0}
                ),
                "denoiser": Stage(share=0.5, precision="auto", train=_AVERAGED),
            },
            notes=notes,
        )
        for on, context, notes in (
            ("openmoji", (), "Latents of 4 channels, 8 x 8 for images of 32 x 32."),
            ("mnist", ("label",), "Latents of 4 channels, 7 x 7; the denoiser is told the label."),
        )
    ),
    Recipe(
        name="paper",
        system="latent-diffusion",
        on="openmoji",
        budget="48h",
        model={
            "autoencoder": {"code_dim": 3, "downsample": 4, "hidden": 256, "blocks": 2},
            "denoiser_system": "ddpm",
            "denoiser": {
                "schedule": "linear",
                "target": "noise",
                "widths": (224, 448, 672, 896),
                "blocks": 2,
                "attention": (1, 2, 3),
                "heads": 8,
                "patch": 1,
                "groups": 32,
            },
        },
        train={"batch_size": 48, "lr": 9.6e-5, "ema": 0.9999},
        notes="Rombach et al. (2022): their LDM-4 of faces, for a GPU; images of 256 x 256.",
    ),
)

RECIPES: tuple[Recipe, ...] = (*_CONTROLNET, *_LATENT)

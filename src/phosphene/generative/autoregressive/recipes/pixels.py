"""Recipes of PixelCNN and PixelRNN. The first of a system is its default."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

# Small sets of small images take dropout and few passes; the larger rate pays with averaging.
_PIXELS: Mapping[str, Any] = {"schedule": "cosine", "warmup": 20}
_FEW: Mapping[str, Any] = {**_PIXELS, "lr": 6e-3, "batch_size": 64, "ema": 0.99}
_MANY: Mapping[str, Any] = {**_PIXELS, "lr": 4e-3, "batch_size": 32, "ema": 0.998}

_REACHES: Mapping[tuple[str, str], Mapping[str, float]] = {
    ("gated-pixelcnn", "mnist-binary"): {"nll": 88.0},
    ("gated-pixelcnn", "digits-binary"): {"nll": 17.3},
}

_PIXELCNN = tuple(
    Recipe(
        name="default",
        system=system,
        on=data,
        budget=budget,
        precision=precision,
        model=model,
        train=train,
        reaches=_REACHES.get((system, data), {}),
        cpu_seconds=600 if (system, data) in _REACHES else None,
        notes=notes,
    )
    for system, data, budget, precision, model, train, notes in (
        (
            "gated-pixelcnn",
            "mnist-binary",
            "300s",
            "auto",
            {"channels": 32, "layers": 5},
            {**_MANY, "evaluate_every": 500, "evaluate_limit": 500},
            "Two stacks of 5 gated layers.",
        ),
        (
            "gated-pixelcnn",
            "digits-binary",
            "1000steps",
            "fp32",
            {"channels": 32, "layers": 3, "dropout": 0.2},
            {**_FEW, "evaluate_every": 100},
            "",
        ),
        (
            "gated-pixelcnn",
            "digits",
            "1000steps",
            "fp32",
            {"channels": 32, "layers": 3, "dropout": 0.2},
            {**_FEW, "lr": 3e-3, "evaluate_every": 100},
            "17 grey levels, each with a probability of its own.",
        ),
        (
            "pixelcnn",
            "digits-binary",
            "1000steps",
            "fp32",
            {"channels": 32, "blocks": 4, "dropout": 0.2},
            {**_FEW, "evaluate_every": 100},
            "",
        ),
        (
            "pixelcnn",
            "mnist-binary",
            "300s",
            "auto",
            {"channels": 32, "blocks": 6},
            {**_MANY, "evaluate_every": 500, "evaluate_limit": 500},
            "",
        ),
        (
            "pixelcnn",
            "digits",
            "1000steps",
            "fp32",
            {"channels": 32, "blocks": 4, "dropout": 0.2},
            {**_FEW, "lr": 3e-3, "evaluate_every": 100},
            "17 grey levels, each with a probability of its own.",
        ),
        (
            "pixelcnn-plus-plus",
            "sprites16",
            "300s",
            "auto",
            {"channels": 32, "blocks": 3, "components": 5},
            {**_MANY, "lr": 2e-3, "clip": 1000.0, "evaluate_every": 250, "evaluate_limit": 200},
            "Three colors of 256 levels; the gradient's norm is of nats an image.",
        ),
        (
            "pixelcnn-plus-plus",
            "digits",
            "1000steps",
            "fp32",
            {"channels": 32, "blocks": 2, "components": 5, "dropout": 0.2},
            {**_FEW, "lr": 3e-3, "evaluate_every": 100},
            "",
        ),
    )
)

_PIXELCNN_PAPERS = (
    Recipe(
        name="paper",
        system="pixelcnn",
        on="sprites16",
        budget="100epochs",
        precision="auto",
        model={
            "channels": 128,
            "blocks": 15,
            "head": 2,
            "conditional": "categorical",
            "position_bias": False,
        },
        train={"optimizer": "rmsprop", "batch_size": 16},
        notes="Van den Oord, Kalchbrenner and Kavukcuoglu (2016), colors in 256 classes.",
    ),
    Recipe(
        name="paper",
        system="gated-pixelcnn",
        on="sprites16",
        budget="100epochs",
        precision="auto",
        model={
            "channels": 384,
            "layers": 20,
            "kernel": 5,
            "conditional": "categorical",
            "position_bias": False,
        },
        train={"batch_size": 128, "lr": 1e-4},
        notes="Van den Oord et al. (2016), the sizes for 32x32 images; for a graphics card.",
    ),
    Recipe(
        name="paper",
        system="pixelcnn-plus-plus",
        on="sprites16",
        budget="100epochs",
        precision="auto",
        model={
            "channels": 160,
            "blocks": 15,
            "components": 10,
            "dropout": 0.5,
            "position_bias": False,
        },
        train={"batch_size": 16, "lr": 1e-3, "ema": 0.9995},
        notes="Salimans et al. (2017), at one resolution; for a graphics card.",
    ),
)

# Small recurrent networks; small distortions, which the network is told, keep 1,297 digits fresh.
_FRESH: Mapping[str, Any] = {"dropout": 0.1, "shift": 0.5, "warp": 0.1}
_STEADY: Mapping[str, Any] = {
    "batch_size": 64,
    "lr": 4e-3,
    "schedule": "cosine",
    "ema": 0.998,
    "evaluate_every": 100,
}

_PIXELRNN = (
    Recipe(
        name="default",
        system="pixelrnn",
        on="digits-binary",
        budget="2400steps",
        model={"hidden": 32, **_FRESH},
        train=_STEADY,
        reaches={"nll": 16.8},
        cpu_seconds=240,
        notes="One Diagonal BiLSTM.",
    ),
    Recipe(
        name="row",
        system="pixelrnn",
        on="digits-binary",
        budget="2000steps",
        model={"hidden": 32, "layer": "row", "layers": 2, **_FRESH},
        train=_STEADY,
        reaches={"nll": 17.0},
        cpu_seconds=240,
        notes="Two Row LSTMs, which see triangles.",
    ),
    Recipe(
        name="default",
        system="pixelrnn",
        on="mnist-binary",
        budget="600s",
        model={"hidden": 32},
        train={**_STEADY, "batch_size": 32, "lr": 3e-3, "evaluate_every": 250},
        cpu_seconds=1200,
        notes="One Diagonal BiLSTM.",
    ),
    Recipe(
        name="paper",
        system="pixelrnn",
        on="mnist-binary",
        budget="50epochs",
        model={"layers": 7, "hidden": 16, "position_bias": False},
        train={"batch_size": 16, "optimizer": "rmsprop"},
        notes="Van den Oord et al. (2016): seven Diagonal BiLSTMs of 16 features; hours on a CPU.",
    ),
    Recipe(
        name="default",
        system="multiscale-pixelrnn",
        on="digits-binary",
        budget="2000steps",
        model={"hidden": 32, **_FRESH},
        train=_STEADY,
        reaches={"nll": 17.2},
        cpu_seconds=240,
        notes="The 4 x 4 image of every other pixel first, then the other pixels.",
    ),
    Recipe(
        name="default",
        system="multiscale-pixelrnn",
        on="mnist-binary",
        budget="600s",
        model={"hidden": 24},
        train={**_STEADY, "batch_size": 32, "lr": 3e-3, "evaluate_every": 250},
        cpu_seconds=1200,
        notes="The 14 x 14 image of every other pixel first, then the other pixels.",
    ),
)

RECIPES: tuple[Recipe, ...] = (*_PIXELCNN, *_PIXELCNN_PAPERS, *_PIXELRNN)

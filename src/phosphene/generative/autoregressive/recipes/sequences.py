"""Recipes of models that run along a sequence by convolutions."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

_COSINE: Mapping[str, Any] = {"schedule": "cosine", "warmup": 20}

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="default",
        system="wavenet",
        on="ar2",
        budget="30s",
        model={"layers": 3, "channels": 16, "skip": 32, "components": 2},
        train={**_COSINE, "batch_size": 32, "lr": 5e-3},
        notes="A source whose entropy rate is known: the floor of the likelihood.",
    ),
    Recipe(
        name="default",
        system="wavenet",
        on="speech",
        budget="600s",
        precision="auto",
        model={"layers": 9, "stacks": 2, "channels": 32, "skip": 64},
        train={
            **_COSINE,
            "batch_size": 4,
            "lr": 3e-3,
            "clip": 4000.0,
            "ema": 0.998,
            "evaluate_limit": 16,
        },
        reaches={"nll": 12400.0},
        cpu_seconds=1200,
        notes="Half seconds of one speaker; the gradient's norm is of nats a window of 4,000.",
    ),
    Recipe(
        name="paper",
        system="wavenet",
        on="speech",
        budget="100epochs",
        precision="auto",
        model={"layers": 10, "stacks": 3, "channels": 128, "skip": 256},
        train={"batch_size": 8, "lr": 1e-3, "clip": 4000.0, "ema": 0.999},
        notes="Van den Oord et al. (2016c): dilations 1..512, again and again; the paper does not "
        "say how wide. For a graphics card.",
    ),
    Recipe(
        name="default",
        system="tcn",
        on="markov3",
        budget="60s",
        model={"channels": 64, "blocks": 2, "kernel": 2},
        train={**_COSINE, "batch_size": 32, "lr": 5e-3},
        notes="A source whose entropy rate is known: the floor of the likelihood.",
    ),
    Recipe(
        name="paper",
        system="tcn",
        on="moby-dick",
        budget="20epochs",
        precision="auto",
        model={"channels": 450, "blocks": 3, "kernel": 3, "dropout": 0.1},
        train={"batch_size": 32, "lr": 1e-3, "schedule": "cosine"},
        notes="Bai, Kolter and Koltun (2018), their sizes for characters; Adam in place of plain "
        "descent, and another text.",
    ),
)

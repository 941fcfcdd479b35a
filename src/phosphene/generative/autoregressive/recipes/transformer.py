"""Recipes of the transformer. The first is its default."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

# Transformers take AdamW with a short second-moment memory, warm-up, decay to zero and clipping.
_ADAMW: Mapping[str, Any] = {
    "optimizer": "adamw",
    "betas": (0.9, 0.95),
    "weight_decay": 0.1,
    "schedule": "cosine",
    "warmup": 100,
}

_TRANSFORMER = (
    Recipe(
        name="default",
        system="transformer",
        on="moby-dick",
        budget="300s",
        precision="auto",
        model={"width": 192, "depth": 4, "heads": 3},
        train={
            **_ADAMW,
            "batch_size": 8,
            "lr": 2e-3,
            "clip": 200.0,
            "evaluate_every": 500,
            "evaluate_limit": 128,
        },
        reaches={"nll": 372.0},
        cpu_seconds=600,
        notes="Characters of a novel; the gradient's norm is of nats a chunk of 256.",
    ),
    Recipe(
        name="long",
        system="transformer",
        on="moby-dick",
        budget="900s",
        precision="auto",
        model={"width": 192, "depth": 6, "heads": 6, "dropout": 0.1},
        train={
            **_ADAMW,
            "batch_size": 16,
            "lr": 2e-3,
            "warmup": 200,
            "final_lr": 0.02,
            "clip": 1.0,
            "ema": 0.999,
            "evaluate_every": 400,
            "evaluate_limit": 128,
        },
        reaches={"nll": 366.0},
        cpu_seconds=1800,
        notes="The default for three times as long, deeper; ten times over the text.",
    ),
    Recipe(
        name="default",
        system="transformer",
        on="markov3",
        budget="60s",
        model={"width": 64, "depth": 2, "heads": 2},
        train={**_ADAMW, "batch_size": 16, "lr": 3e-3, "evaluate_limit": 500},
        notes="A source whose entropy rate is known: the floor of the likelihood.",
    ),
    Recipe(
        name="default",
        system="transformer",
        on="digits-binary",
        budget="120s",
        precision="auto",
        model={"width": 64, "depth": 3, "heads": 4, "dropout": 0.2},
        train={
            **_ADAMW,
            "batch_size": 64,
            "lr": 3e-3,
            "weight_decay": 0.3,
            "ema": 0.997,
            "evaluate_every": 100,
        },
        reaches={"nll": 17.2},
        cpu_seconds=240,
    ),
    Recipe(
        name="default",
        system="transformer",
        on="mnist-binary",
        budget="300s",
        precision="auto",
        model={"width": 128, "depth": 4, "heads": 2, "dropout": 0.05},
        train={
            **_ADAMW,
            "batch_size": 16,
            "lr": 2e-3,
            "ema": 0.998,
            "evaluate_every": 500,
            "evaluate_limit": 200,
        },
    ),
    Recipe(
        name="paper",
        system="transformer",
        on="moby-dick",
        budget="20epochs",
        precision="auto",
        model={
            "width": 768,
            "depth": 12,
            "heads": 12,
            "feed_forward": "gelu-tanh",
            "bias": True,
            "positions": "learned",
            "pairs": False,
            "tied": True,
            "dropout": 0.1,
        },
        train={**_ADAMW, "batch_size": 64, "lr": 2.5e-4, "warmup": 2000, "clip": 1.0},
        notes="Radford et al. (2018, 2019), GPT's base sizes; for a graphics card.",
    ),
)

RECIPES: tuple[Recipe, ...] = _TRANSFORMER

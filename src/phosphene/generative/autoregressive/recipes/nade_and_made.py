"""Recipes of tables, belief networks, MADE and NADE. The first of a system is its default."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

# Steps are cheap and digits few: dropout, averaged weights, and orders that are mixed in the end
# (each a function of the same weights) keep a wide layer from learning them by heart.
_MIXED: Mapping[str, Any] = {"hidden": (1000,), "dropout": 0.5, "order": "random", "orders": 8}

_VECTORS = (
    Recipe(
        name="default",
        system="tabular",
        on="bars3",
        budget="1steps",
        train={"batch_size": 1400},
        reaches={"nll": 2.75},
        cpu_seconds=5,
        notes="One batch of the whole data set: every example is counted once.",
    ),
    Recipe(
        name="default",
        system="fvsbn",
        on="mnist-binary",
        budget="60s",
        model={"penalty": 1e-4},
        train={"lr": 3e-3, "schedule": "cosine", "ema": 0.99},
    ),
    Recipe(
        name="default",
        system="fvsbn",
        on="digits-binary",
        budget="20steps",
        model={"penalty": 1e-3},
        train={"optimizer": "lbfgs", "lr": 1.0, "batch_size": 1297, "evaluate_every": 5},
        reaches={"nll": 18.4},
        cpu_seconds=20,
        notes="L-BFGS on all training digits, 20 iterations a step, to the one optimum.",
    ),
    Recipe(
        name="conditional",
        system="fvsbn",
        on="digits-binary",
        budget="400steps",
        context=("label",),
        model={"penalty": 1e-3, "weights": "per-class"},
        train={"batch_size": 256, "lr": 0.03, "schedule": "cosine", "evaluate_every": 50},
        cpu_seconds=20,
        notes="Weights for each class: a generative classifier; its likelihood is conditional.",
    ),
    Recipe(
        name="default",
        system="made",
        on="digits-binary",
        budget="5000steps",
        model=_MIXED,
        train={"lr": 3e-3, "schedule": "cosine", "ema": 0.998, "evaluate_every": 250},
        reaches={"nll": 16.9},
        cpu_seconds=120,
        notes="One layer of 1,000 units shared by 8 orders, whose mixture is the model.",
    ),
    Recipe(
        name="default",
        system="made",
        on="mnist-binary",
        budget="600s",
        model={**_MIXED, "orders": 4},
        train={"lr": 2e-3, "schedule": "cosine", "ema": 0.998, "evaluate_every": 500},
        reaches={"nll": 99.0},
        cpu_seconds=600,
    ),
    Recipe(
        name="paper",
        system="made",
        on="mnist-binary",
        budget="100epochs",
        model={"hidden": (8000,), "order": "random", "orders": 1, "masks": 32},
        train={"batch_size": 100, "lr": 1e-3},
        notes="Germain et al. (2015): one layer of 8,000 units, 32 masks; Adam in Adagrad's place.",
    ),
)

# Rectifiers with half of the hidden units dropped: on digits-binary a validation NLL of 16.7, and
# 17.5 with the paper's sigmoids (200 units, 3,000 steps, one order).
_NADE: Mapping[str, Any] = {"activation": "relu", "hidden": 300, "orders": 3, "dropout": 0.5}
_NADE_RATE: Mapping[str, Any] = {"batch_size": 64, "schedule": "cosine"}

_NADES = (
    Recipe(
        name="default",
        system="nade",
        on="digits-binary",
        budget="60s",
        model=_NADE,
        train={**_NADE_RATE, "lr": 3e-3, "ema": 0.99},
        reaches={"nll": 16.7},
        cpu_seconds=60,
        notes="Three orders, each with weights of its own; their mixture is the model.",
    ),
    Recipe(
        name="default",
        system="nade",
        on="mnist-binary",
        budget="600s",
        model={**_NADE, "hidden": 500, "orders": 1, "dropout": 0.3},
        train={**_NADE_RATE, "lr": 1e-3, "ema": 0.999},
        reaches={"nll": 94.5},
        cpu_seconds=600,
    ),
    Recipe(
        name="paper",
        system="nade",
        on="mnist-binary",
        budget="100epochs",
        model={"hidden": 500, "activation": "sigmoid"},
        train={"batch_size": 100},
        notes="Larochelle and Murray (2011): 500 sigmoid units; Adam in place of plain descent.",
    ),
    Recipe(
        name="default",
        system="order-agnostic-nade",
        on="digits-binary",
        budget="60s",
        train={**_NADE_RATE, "lr": 2e-3, "ema": 0.995},
        reaches={"nll": 16.6},
        cpu_seconds=60,
        notes="Two layers of 500 units, and a mixture of eight orders.",
    ),
    Recipe(
        name="default",
        system="order-agnostic-nade",
        on="mnist-binary",
        budget="600s",
        train={**_NADE_RATE, "lr": 1e-3, "ema": 0.999},
    ),
    Recipe(
        name="default",
        system="conv-nade",
        on="digits-binary",
        budget="120s",
        train={**_NADE_RATE, "lr": 2e-3, "ema": 0.995},
    ),
    Recipe(
        name="default",
        system="rnade",
        on="ring8",
        budget="30s",
        model={"hidden": 64, "components": 20},
        train={"batch_size": 256, "schedule": "cosine", "lr": 3e-3, "ema": 0.99},
    ),
)

RECIPES: tuple[Recipe, ...] = (*_VECTORS, *_NADES)

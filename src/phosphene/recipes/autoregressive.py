"""Recipes of the autoregressive family. The first of a system is its default."""

from collections.abc import Mapping
from typing import Any

from phosphene.recipes.recipe import Recipe

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
        data="moby-dick",
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
        notes="Characters of a novel; the gradient's norm is of nats a chunk of 256.",
    ),
    Recipe(
        name="long",
        system="transformer",
        data="moby-dick",
        budget="1800s",
        precision="auto",
        model={"width": 256, "depth": 6, "heads": 4, "dropout": 0.1},
        train={
            **_ADAMW,
            "batch_size": 16,
            "lr": 1.5e-3,
            "clip": 200.0,
            "evaluate_every": 500,
            "evaluate_limit": 200,
        },
        notes="The default for six times as long, wider and deeper; some 16 times over the text.",
    ),
    Recipe(
        name="default",
        system="transformer",
        data="markov3",
        budget="60s",
        model={"width": 64, "depth": 2, "heads": 2},
        train={**_ADAMW, "batch_size": 16, "lr": 3e-3, "evaluate_limit": 500},
        notes="A source whose entropy rate is known: the floor of the likelihood.",
    ),
    Recipe(
        name="default",
        system="transformer",
        data="digits-binary",
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
    ),
    Recipe(
        name="default",
        system="transformer",
        data="mnist-binary",
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
        data="moby-dick",
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
        data="digits-binary",
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
        data="digits-binary",
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
        data="mnist-binary",
        budget="600s",
        model={"hidden": 32},
        train={**_STEADY, "batch_size": 32, "lr": 3e-3, "evaluate_every": 250},
        cpu_seconds=1200,
        notes="One Diagonal BiLSTM.",
    ),
    Recipe(
        name="paper",
        system="pixelrnn",
        data="mnist-binary",
        budget="50epochs",
        model={"layers": 7, "hidden": 16, "position_bias": False},
        train={"batch_size": 16, "optimizer": "rmsprop"},
        notes="Van den Oord et al. (2016): seven Diagonal BiLSTMs of 16 features; hours on a CPU.",
    ),
    Recipe(
        name="default",
        system="multiscale-pixelrnn",
        data="digits-binary",
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
        data="mnist-binary",
        budget="600s",
        model={"hidden": 24},
        train={**_STEADY, "batch_size": 32, "lr": 3e-3, "evaluate_every": 250},
        cpu_seconds=1200,
        notes="The 14 x 14 image of every other pixel first, then the other pixels.",
    ),
)

# Steps are cheap and digits few: dropout, averaged weights, and orders that are mixed in the end
# (each a function of the same weights) keep a wide layer from learning them by heart.
_MIXED: Mapping[str, Any] = {"hidden": (1000,), "dropout": 0.5, "order": "random", "orders": 8}

_VECTORS = (
    Recipe(
        name="default",
        system="tabular",
        data="bars3",
        budget="1steps",
        train={"batch_size": 1400},
        reaches={"nll": 2.75},
        cpu_seconds=5,
        notes="One batch of the whole data set: every example is counted once.",
    ),
    Recipe(
        name="default",
        system="fvsbn",
        data="mnist-binary",
        budget="60s",
        model={"penalty": 1e-4},
        train={"lr": 3e-3, "schedule": "cosine", "ema": 0.99},
    ),
    Recipe(
        name="default",
        system="fvsbn",
        data="digits-binary",
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
        data="digits-binary",
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
        data="digits-binary",
        budget="5000steps",
        model=_MIXED,
        train={"lr": 3e-3, "schedule": "cosine", "ema": 0.998, "evaluate_every": 250},
        reaches={"nll": 17.1},
        cpu_seconds=120,
        notes="One layer of 1,000 units shared by 8 orders, whose mixture is the model.",
    ),
    Recipe(
        name="default",
        system="made",
        data="mnist-binary",
        budget="600s",
        model={**_MIXED, "orders": 4},
        train={"lr": 2e-3, "schedule": "cosine", "ema": 0.998, "evaluate_every": 500},
        cpu_seconds=1200,
    ),
    Recipe(
        name="paper",
        system="made",
        data="mnist-binary",
        budget="100epochs",
        model={"hidden": (8000,), "order": "random", "orders": 1, "masks": 32},
        train={"batch_size": 100, "lr": 1e-3},
        notes="Germain et al. (2015): one layer of 8,000 units, 32 masks; Adam in Adagrad's place.",
    ),
)

# Small sets of small images take dropout and few passes; the larger rate pays with averaging.
_PIXELS: Mapping[str, Any] = {"schedule": "cosine", "warmup": 20}
_FEW: Mapping[str, Any] = {**_PIXELS, "lr": 6e-3, "batch_size": 64, "ema": 0.99}
_MANY: Mapping[str, Any] = {**_PIXELS, "lr": 4e-3, "batch_size": 32, "ema": 0.998}

_PIXELCNN = tuple(
    Recipe(
        name="default",
        system=system,
        data=data,
        budget=budget,
        precision=precision,
        model=model,
        train=train,
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
        data="sprites16",
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
        data="sprites16",
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
        data="sprites16",
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

# Rectifiers with half of the hidden units dropped: on digits-binary a validation NLL of 16.7, and
# 17.5 with the paper's sigmoids (200 units, 3,000 steps, one order).
_NADE: Mapping[str, Any] = {"activation": "relu", "hidden": 300, "orders": 3, "dropout": 0.5}
_NADE_RATE: Mapping[str, Any] = {"batch_size": 64, "schedule": "cosine"}

_NADES = (
    Recipe(
        name="default",
        system="nade",
        data="digits-binary",
        budget="60s",
        model=_NADE,
        train={**_NADE_RATE, "lr": 3e-3, "ema": 0.99},
        notes="Three orders, each with weights of its own; their mixture is the model.",
    ),
    Recipe(
        name="default",
        system="nade",
        data="mnist-binary",
        budget="600s",
        model={**_NADE, "hidden": 500, "orders": 1, "dropout": 0.3},
        train={**_NADE_RATE, "lr": 1e-3, "ema": 0.999},
    ),
    Recipe(
        name="paper",
        system="nade",
        data="mnist-binary",
        budget="100epochs",
        model={"hidden": 500, "activation": "sigmoid"},
        train={"batch_size": 100},
        notes="Larochelle and Murray (2011): 500 sigmoid units; Adam in place of plain descent.",
    ),
    Recipe(
        name="default",
        system="order-agnostic-nade",
        data="digits-binary",
        budget="60s",
        train={**_NADE_RATE, "lr": 2e-3, "ema": 0.995},
        reaches={"nll": 16.6},
        cpu_seconds=60,
        notes="Two layers of 500 units, and a mixture of eight orders.",
    ),
    Recipe(
        name="default",
        system="order-agnostic-nade",
        data="mnist-binary",
        budget="600s",
        train={**_NADE_RATE, "lr": 1e-3, "ema": 0.999},
    ),
    Recipe(
        name="default",
        system="conv-nade",
        data="digits-binary",
        budget="120s",
        train={**_NADE_RATE, "lr": 2e-3, "ema": 0.995},
    ),
    Recipe(
        name="default",
        system="rnade",
        data="ring8",
        budget="30s",
        model={"hidden": 64, "components": 20},
        train={"batch_size": 256, "schedule": "cosine", "lr": 3e-3, "ema": 0.99},
    ),
)

RECIPES: tuple[Recipe, ...] = (
    *_VECTORS,
    *_NADES,
    *_PIXELCNN,
    *_PIXELCNN_PAPERS,
    *_PIXELRNN,
    *_TRANSFORMER,
)

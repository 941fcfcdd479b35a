"""Recipes of flows of vectors. The first of a system is its default."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

_SHARP: Mapping[str, Any] = {"activation": "relu"}
"""Densities in the plane have sharp edges and no example far from the others."""

_VECTORS = (
    Recipe(
        name="default",
        system="realnvp",
        on="moons",
        budget="30s",
        model=_SHARP,
        train={"batch_size": 256, "lr": 2e-3, "schedule": "cosine", "ema": 0.99},
    ),
)

_AUTOREGRESSIVE = (
    Recipe(
        name="default",
        system="maf",
        on="moons",
        budget="30s",
        model=_SHARP,
        train={"batch_size": 256, "lr": 2e-3, "schedule": "cosine", "ema": 0.99},
    ),
    Recipe(
        name="spline",
        system="maf",
        on="moons",
        budget="60s",
        model={**_SHARP, "monotone": "spline", "layers": 3},
        train={"batch_size": 256, "lr": 2e-3, "schedule": "cosine", "ema": 0.99},
        notes="The autoregressive neural spline flow (Durkan et al., 2019).",
    ),
    Recipe(
        name="digits",
        system="maf",
        on="digits",
        budget="30s",
        model={**_SHARP, "hidden": (100,), "limit": 5.0},
        train={"batch_size": 128, "lr": 1e-3, "schedule": "cosine", "ema": 0.99},
    ),
    Recipe(
        name="paper",
        system="maf",
        on="mnist",
        budget="1h",
        model={"layers": 5, "hidden": (1024,), "alpha": 1e-6, "limit": 0.0, **_SHARP},
        train={"batch_size": 100, "lr": 1e-4},
        notes="MAF (5) on MNIST (Papamakarios et al., 2017); ActNorm for batch normalization.",
    ),
    Recipe(
        name="default",
        system="iaf",
        on="moons",
        budget="60s",
        model=_SHARP,
        train={"batch_size": 256, "lr": 2e-3, "schedule": "cosine", "ema": 0.99},
    ),
    Recipe(
        name="paper",
        system="iaf",
        on="moons",
        budget="10m",
        model={"layers": 2, "hidden": (320, 320), "activation": "elu", "limit": 5.0},
        train={"batch_size": 100, "lr": 1e-3},
        notes="Two layers of 320 units, as for MNIST's codes (Kingma et al., 2016), on a density.",
    ),
)

_RESIDUAL = (
    Recipe(
        name="default",
        system="planar-flow",
        on="moons",
        budget="60s",
        model={"layers": 32},
        train={"batch_size": 512, "lr": 1e-2, "schedule": "cosine", "clip": 1.0, "ema": 0.99},
    ),
    Recipe(
        name="default",
        system="radial-flow",
        on="moons",
        budget="60s",
        model={"layers": 32},
        train={"batch_size": 512, "lr": 1e-2, "schedule": "cosine", "clip": 1.0, "ema": 0.99},
    ),
    Recipe(
        name="default",
        system="sylvester-flow",
        on="moons",
        budget="60s",
        model={"layers": 16},
        train={"batch_size": 512, "lr": 1e-2, "schedule": "cosine", "clip": 1.0, "ema": 0.99},
    ),
)

_PAIRS = (
    Recipe(
        name="default",
        system="c-flow",
        on="sprites-masks",
        budget="5m",
        context=("image",),
        model={"levels": 3},
        train={"batch_size": 64, "lr": 2e-3, "schedule": "cosine", "clip": 50.0, "ema": 0.99},
    ),
    Recipe(
        name="default",
        system="c-flow",
        on="openmoji-lines",
        budget="10m",
        context=("image",),
        model={"levels": 3},
        train={"batch_size": 32, "lr": 1e-3, "schedule": "cosine", "clip": 50.0, "ema": 0.99},
    ),
    Recipe(
        name="paper",
        system="c-flow",
        on="openmoji-lines",
        budget="12h",
        context=("image",),
        model={"levels": 4, "steps": 16, "hidden": 512, "condition_hidden": 512, "limit": 5.0},
        train={"batch_size": 16, "lr": 1e-4, "clip": 50.0, "ema": 0.999},
        notes="Of the size of the published flows of images, without their cycle term; for a GPU.",
    ),
)

_RESIDUAL_PAPERS = (
    Recipe(
        name="paper",
        system="planar-flow",
        on="ring8",
        budget="500000steps",
        model={"layers": 32, "slope": 1e-4},
        train={"batch_size": 100, "lr": 1e-5, "optimizer": "rmsprop"},
        notes="Layers, updates and optimizer of Rezende and Mohamed (2015), here fitted to data.",
    ),
    Recipe(
        name="paper",
        system="radial-flow",
        on="ring8",
        budget="500000steps",
        model={"layers": 32, "slope": 1e-4},
        train={"batch_size": 100, "lr": 1e-5, "optimizer": "rmsprop"},
        notes="Layers, updates and optimizer of Rezende and Mohamed (2015), here fitted to data.",
    ),
    Recipe(
        name="paper",
        system="sylvester-flow",
        on="ring8",
        budget="2000epochs",
        model={"layers": 16, "slope": 1e-4},
        train={"batch_size": 100, "lr": 5e-4, "optimizer": "adam"},
        notes="Layers and step size of van den Berg et al. (2018), here fitted to data.",
    ),
)

_CONTINUOUS = (
    Recipe(
        name="default",
        system="continuous-flow",
        on="moons",
        budget="120s",
        model={"hidden": (64, 64), "loss_steps": 5},
        train={"batch_size": 256, "lr": 1e-2, "schedule": "cosine", "ema": 0.99},
        notes="Trained on 5 Runge-Kutta steps, evaluated to a tolerance of 1e-5.",
    ),
    Recipe(
        name="paper",
        system="continuous-flow",
        on="moons",
        budget="10000steps",
        model={"hidden": (64, 64, 64), "layer": "concatsquash", "time": 0.5, "trace": "exact"},
        train={"batch_size": 100, "lr": 1e-3, "optimizer": "adam", "weight_decay": 1e-5},
        notes="The network of FFJORD's toy densities (Grathwohl et al., 2019), adaptive solver.",
    ),
)

_PLANE = ("moons", "ring8", "grid25", "checkerboard", "spirals")

# One recipe for all densities in the plane. Deep networks make the sharp edges of a checkerboard in
# half the steps of wide ones, and learn less by heart; the decay of the weights does the rest.
_SPLINES = (
    *(
        Recipe(
            name="default",
            system="neural-spline-flow",
            on=data,
            budget="3000steps",
            model={
                "layers": 6,
                "bins": 16,
                "bound": 3.0,
                "hidden": (96, 96, 96, 96),
                "mixing": "lu",
                "activation": "relu",
            },
            train={
                "batch_size": 1024,
                "optimizer": "adamw",
                "lr": 4e-3,
                "weight_decay": 0.2,
                "schedule": "cosine",
                "warmup": 200,
                "clip": 5.0,
                "ema": 0.999,
            },
        )
        for data in _PLANE
    ),
    Recipe(
        name="paper",
        system="neural-spline-flow",
        on="moons",
        budget="400000steps",
        model={
            "layers": 10,
            "bins": 8,
            "bound": 3.0,
            "hidden": (256, 256),
            "network": "residual",
            "mixing": "lu",
            "activation": "relu",
        },
        train={"batch_size": 512, "lr": 5e-4, "schedule": "cosine", "clip": 5.0},
        notes="The couplings of the published tables (Durkan et al., 2019), without dropout.",
    ),
)

_NICE = (
    Recipe(
        name="default",
        system="nice",
        on="mnist",
        budget="60s",
        model={"hidden": (512, 512)},
        train={"batch_size": 128, "lr": 1e-3, "schedule": "cosine", "ema": 0.99, "clip": 5.0},
        notes="The last layer's scales start at each pixel's own, from the first batch.",
    ),
    Recipe(
        name="default",
        system="nice",
        on="moons",
        budget="30s",
        model={"layers": 8},
        train={"batch_size": 256, "lr": 2e-3, "schedule": "cosine", "ema": 0.99},
    ),
    Recipe(
        name="paper",
        system="nice",
        on="mnist",
        budget="1500epochs",
        model={"layers": 4, "hidden": (1000, 1000, 1000, 1000, 1000)},
        train={"batch_size": 200, "lr": 1e-3},
        notes="Dinh, Krueger and Bengio (2015), trained there on 50,000 digits.",
    ),
)

RECIPES: tuple[Recipe, ...] = (
    *_VECTORS,
    *_AUTOREGRESSIVE,
    *_RESIDUAL,
    *_RESIDUAL_PAPERS,
    *_CONTINUOUS,
    *_PAIRS,
    *_SPLINES,
    *_NICE,
)

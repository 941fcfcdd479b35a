"""Recipes of the autoencoder family. The first of a system is its default.

``reaches`` holds what the test split must show (nats per example unless the name says otherwise),
measured by the command in ``docs/families/autoencoder.md`` with a margin for the seed; the learning
tests hold the recipes to it.
"""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe, Stage

__all__ = ["RECIPES"]

_AVERAGED: Mapping[str, Any] = {"ema": 0.999, "schedule": "cosine"}

# Residual blocks on 2x2 patches keep the resolution at which strokes are drawn; a larger rate than
# Adam's default pays once the weights are averaged.
_RESIDUAL: Mapping[str, Any] = {
    "network": "resnet",
    "hidden": (64,),
    "patch": 2,
    "activation": "silu",
    "latent_dim": 32,
}
_DISTORTED: Mapping[str, Any] = {"shift": 1.0, "warp": 0.1}

_MNIST = (
    Recipe(
        name="default",
        system="vae",
        on="mnist-binary",
        budget="120s",
        precision="auto",
        model={**_RESIDUAL, **_DISTORTED},
        train={**_AVERAGED, "lr": 2e-3, "batch_size": 64},
        reaches={"iwae_nll": 93.0},
        cpu_seconds=240,
        notes="Training digits are moved, turned and stretched, and the networks are told how.",
    ),
    Recipe(
        name="strong",
        system="vae",
        on="mnist-binary",
        budget="600s",
        precision="auto",
        model={**_RESIDUAL, **_DISTORTED},
        train={**_AVERAGED, "lr": 2e-3, "batch_size": 64},
        reaches={"iwae_nll": 89.5},
        cpu_seconds=1200,
        notes="The default for five times as long.",
    ),
    Recipe(
        name="conditional",
        system="vae",
        on="mnist-binary",
        budget="120s",
        precision="auto",
        context=("label",),
        model={**_RESIDUAL, **_DISTORTED},
        train={**_AVERAGED, "lr": 2e-3, "batch_size": 64},
        notes="Given the label (Sohn, Lee and Yan, 2015): its likelihoods are conditional.",
    ),
    Recipe(
        name="paper",
        system="vae",
        on="mnist-binary",
        budget="100epochs",
        model={"latent_dim": 20, "hidden": (500,), "activation": "tanh"},
        train={"batch_size": 100},
        notes="Kingma and Welling (2014): one layer of 500 tanh units; Adam in Adagrad's place.",
    ),
    Recipe(
        name="default",
        system="iwae",
        on="mnist-binary",
        budget="120s",
        precision="auto",
        model={"particles": 5, "latent_dim": 32, "hidden": (400, 400)},
        train=_AVERAGED,
    ),
    Recipe(
        name="paper",
        system="iwae",
        on="mnist-binary",
        budget="100epochs",
        model={"particles": 50, "latent_dim": 50, "hidden": (200, 200), "activation": "tanh"},
        train={"batch_size": 20},
        notes="Burda, Grosse and Salakhutdinov (2016), one stochastic layer, at one learning rate.",
    ),
    Recipe(
        name="default",
        system="constrained-vae",
        on="mnist-binary",
        budget="60s",
        model={"delta": 15.0, "latent_dim": 16},
        train=_AVERAGED,
    ),
    Recipe(
        name="default",
        system="semi-supervised-vae",
        on="mnist-binary",
        budget="3000steps",
        precision="auto",
        context=("label",),
        labels=100,
        labelled_fraction=0.125,
        model={
            "alpha": 20.0,
            "latent_dim": 3,
            "classifier": "conv",
            "classifier_hidden": (32, 64),
        },
        train={"batch_size": 64, "lr": 2e-3, "schedule": "cosine", "ema": 0.99},
        notes="100 labels; the other 7,900 training digits come without. A style of 3 dimensions "
        "hardly tells the digit; one of 32 does, and its bound is some nats tighter.",
    ),
    Recipe(
        name="paper",
        system="semi-supervised-vae",
        on="mnist-binary",
        budget="300epochs",
        context=("label",),
        labels=100,
        labelled_fraction=0.125,
        model={"latent_dim": 50, "hidden": (500,), "classifier_hidden": (500,), "alpha": 800.0},
        train={"batch_size": 100, "lr": 3e-4},
        notes="Kingma et al. (2014), M2: softplus units there, rectifiers here.",
    ),
    Recipe(
        name="default",
        system="stacked-semi-supervised-vae",
        on="mnist-binary",
        budget="120s",
        context=("label",),
        labels=100,
        labelled_fraction=0.125,
        train={"batch_size": 64, "lr": 2e-3, "schedule": "cosine", "ema": 0.99},
        notes="100 labels; M2 sees the codes of M1.",
    ),
)

_CODES: Mapping[str, Any] = {"codes": 64, "code_dim": 16, "hidden": 64}
_TOKENS: Mapping[str, Any] = {"width": 96, "depth": 4, "heads": 4, "dropout": 0.1}
_STAGES: Mapping[str, Stage] = {
    "codes": Stage(share=0.25, precision="auto", train={"batch_size": 64, "lr": 1e-3}),
    "prior": Stage(
        share=0.75,
        precision="auto",
        train={
            **_AVERAGED,
            "optimizer": "adamw",
            "betas": (0.9, 0.95),
            "weight_decay": 0.1,
            "warmup": 100,
            "batch_size": 64,
            "lr": 3e-3,
        },
    ),
}

_QUANTIZED = (
    Recipe(
        name="default",
        system="vq-vae",
        on="mnist",
        budget="60s",
        precision="auto",
        model=_CODES,
        train={"batch_size": 64, "schedule": "cosine"},
    ),
    Recipe(
        name="finite-scalar",
        system="vq-vae",
        on="mnist",
        budget="60s",
        precision="auto",
        model={"quantizer": "finite-scalar", "scalar_levels": (4, 4, 4), "hidden": 64},
        train={"batch_size": 64, "schedule": "cosine"},
        notes="Mentzer et al. (2023): a grid of 4 x 4 x 4 values in the codebook's place.",
    ),
    Recipe(
        name="default",
        system="kl-autoencoder",
        on="openmoji",
        budget="120s",
        precision="auto",
        train={"batch_size": 32, "schedule": "cosine", "lr": 1e-3},
    ),
    Recipe(
        name="default",
        system="vq-vae-prior",
        on="mnist",
        budget="300s",
        context=("label",),
        model={"codes": _CODES, "prior": _TOKENS},
        train={"schedule": "cosine"},
        stages=_STAGES,
        notes="The prior is given the label; its likelihoods are conditional.",
    ),
)

_GREY = (
    Recipe(
        name="default",
        system="vae",
        on="mnist",
        budget="120s",
        precision="auto",
        model=_RESIDUAL,
        train={**_AVERAGED, "lr": 1e-3, "clip": 100.0},
    ),
    Recipe(
        name="default",
        system="autoencoder",
        on="mnist",
        budget="60s",
        model={"latent_dim": 16},
        train=_AVERAGED,
    ),
    Recipe(
        name="default",
        system="denoising-autoencoder",
        on="mnist",
        budget="60s",
        train=_AVERAGED,
    ),
)

_SMALL = (
    Recipe(
        name="default",
        system="vae",
        on="digits-binary",
        budget="60s",
        model={"latent_dim": 16, "network": "resnet", "hidden": (32, 64), "activation": "silu"},
        train=_AVERAGED,
        reaches={"iwae_nll": 17.2},
        cpu_seconds=120,
    ),
    Recipe(
        name="default",
        system="linear-autoencoder",
        on="digits",
        budget="3000steps",
        model={"latent_dim": 8},
        train={"batch_size": 256, "schedule": "cosine", "lr": 3e-3},
    ),
    Recipe(
        name="default",
        system="linear-vae",
        on="moons",
        budget="2000steps",
        model={"latent_dim": 1},
        train={"batch_size": 256, "schedule": "cosine", "lr": 1e-2},
    ),
    Recipe(
        name="default",
        system="vae",
        on="moons",
        budget="30s",
        model={"latent_dim": 2, "hidden": (128, 128)},
        train={**_AVERAGED, "batch_size": 256},
    ),
)

_SPRITES = tuple(
    Recipe(
        name=name,
        system=system,
        on="sprites-binary",
        budget="120s",
        precision="auto",
        model={"latent_dim": 10, "network": "conv", "hidden": (32, 32, 64), **model},
        train=_AVERAGED,
        notes=notes,
    )
    for name, system, model, notes in (
        ("default", "beta-vae", {"beta": 4.0}, ""),
        ("default", "vae", {}, "The same network as the beta-VAE's, for comparison."),
    )
)

RECIPES: tuple[Recipe, ...] = (*_MNIST, *_GREY, *_SMALL, *_SPRITES, *_QUANTIZED)

"""Small settings of models made of models, in the family diffusion."""

from collections.abc import Callable

from phosphene.core.context import ContextSpec
from phosphene.core.event import Event

Settings = dict[str, object]

_SMALL = {"widths": (4,), "embedding": 8}


def _controlnet(event: Event) -> tuple[Settings, ...]:
    # A chain of few steps: bounds by a solver and long ways of samples are the bases' own affair.
    plain: Settings = {"base_system": "ddpm", "base": {**_SMALL, "steps": 4}}
    if event.levels == 2:
        return plain, {"base_system": "score-sde", "base": _SMALL}
    return (plain,)


def _latent_diffusion(event: Event) -> tuple[Settings, ...]:
    grid: Settings = {"autoencoder": {"code_dim": 2, "hidden": 8}, "denoiser": _SMALL}
    if event.levels == 2:
        vector: Settings = {"autoencoder": {"latent_dim": 2, "hidden": (8,)}}
        fine: Settings = {"autoencoder": {"code_dim": 2, "hidden": 8, "downsample": 2}}
        return (
            {**grid, **fine},
            {**vector, "autoencoder_system": "vae", "denoiser": {"widths": (8,), "blocks": 1}},
        )
    if event.levels == 17:
        codes: Settings = {"codes": 16, "code_dim": 4, "hidden": 8, "downsample": 2}
        other: Settings = {"autoencoder_system": "vq-vae", "denoiser_system": "flow-matching"}
        return grid, {**grid, **other, "autoencoder": codes}
    return (grid,)


def _edged(event: Event) -> ContextSpec:
    image = Event.image(1, (event.shape[1], event.shape[2]), levels=4)
    return ContextSpec(image=image, label=3 if event.shape[0] == 1 else None)


SETTINGS: dict[str, Callable[[Event], tuple[Settings, ...]]] = {
    "controlnet": _controlnet,
    "latent-diffusion": _latent_diffusion,
}

CONTEXTS: dict[str, Callable[[Event], ContextSpec]] = {"controlnet": _edged}
"""Contexts of systems that take another than labels."""

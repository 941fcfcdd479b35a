"""Small settings of the family autoencoder."""

from collections.abc import Callable

from phosphene.core.event import Event
from tests.laws.smallest import TINY_IMAGE

Settings = dict[str, object]


def _autoencoder(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"latent_dim": 2, "hidden": (16,)}
    return (
        (plain, {**plain, "network": "conv", "dropout": 0.1}) if event.has_image_shape else (plain,)
    )


def _denoising(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"latent_dim": 2, "hidden": (16,)}
    return plain, {**plain, "noise": "masking", "dropout": 0.1}


def _one(event: Event) -> tuple[Settings, ...]:
    return ({"latent_dim": 2, "hidden": (16,)},)


def _vae(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"latent_dim": 2, "hidden": (16,)}
    if event.kind == "binary":
        return plain, {**plain, "particles": 3, "dropout": 0.2, "warmup": 5}
    if event.kind == "real":
        choices = ("per-dimension", "shared", "fixed")
        return plain, *({**plain, "variance": variance} for variance in choices)
    if event == TINY_IMAGE:
        decoders = ("discretized-gaussian", "categorical")
        return plain, *({**plain, "decoder": decoder} for decoder in decoders)
    if event.has_image_shape and event.levels == 2:
        return plain, {**plain, "network": "resnet", "norm": "group", "dropout": 0.1}
    if event.has_image_shape and event.shape[0] == 1:
        return plain, {**plain, "network": "conv", "shift": 1, "free_bits": 0.1}
    return (plain,)


def _linear(event: Event) -> tuple[Settings, ...]:
    return ({"latent_dim": 1},)


def _semi_supervised(event: Event) -> tuple[Settings, ...]:
    return ({"latent_dim": 2, "hidden": (16,), "classifier_hidden": (16,)},)


def _stacked(event: Event) -> tuple[Settings, ...]:
    second: Settings = {"second_hidden": (16,), "classifier_hidden": (16,)}
    return ({"feature_dim": 3, "latent_dim": 2, "hidden": (16,), **second},)


def _vq_vae(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"codes": 4, "code_dim": 2, "hidden": 8}
    if event.levels == 2:
        return (
            plain,
            {**plain, "quantizer": "gradient", "downsample": 2, "dropout": 0.1},
            {**plain, "quantizer": "finite-scalar", "scalar_levels": (3, 2)},
        )
    return (plain,)


def _kl_autoencoder(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"code_dim": 2, "hidden": 8}
    if event.levels == 2:
        return plain, {**plain, "downsample": 2, "dropout": 0.1, "blocks": 0}
    return (plain,)


def _vq_vae_prior(event: Event) -> tuple[Settings, ...]:
    codes: Settings = {"codes": 2, "code_dim": 2, "hidden": 8}
    return ({"codes": codes, "prior_system": "fvsbn"},)


SETTINGS: dict[str, Callable[[Event], tuple[Settings, ...]]] = {
    "autoencoder": _autoencoder,
    "beta-vae": _one,
    "constrained-vae": _one,
    "denoising-autoencoder": _denoising,
    "iwae": _one,
    "linear-autoencoder": _linear,
    "linear-vae": _linear,
    "semi-supervised-vae": _semi_supervised,
    "stacked-semi-supervised-vae": _stacked,
    "vae": _vae,
    "vq-vae": _vq_vae,
    "kl-autoencoder": _kl_autoencoder,
    "vq-vae-prior": _vq_vae_prior,
}

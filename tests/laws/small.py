"""Settings that make each system small enough for the laws; a row that is not here uses none.

A new row is covered without an entry: give it one when its defaults are slow, or when it has a
choice (a decoder, a network) whose every branch should obey the laws. Labels are tried with the
first variant of each event.
"""

from collections.abc import Callable

from phosphene.catalog import System, systems
from phosphene.core.context import ContextSpec
from phosphene.core.event import Event

__all__ = [
    "LONG", "PARTLY_LABELED", "SHORT_ONLY", "UNTOLD", "context", "events", "kind_of", "settings",
]  # fmt: skip

Settings = dict[str, object]

PARTLY_LABELED = frozenset(
    {"semi-supervised-vae", "stacked-semi-supervised-vae", "vq-vae-prior"}
    | {row.name for row in systems() if row.family == "autoregressive" and row.context != "none"}
)
"""Systems for which a label that is missing, or -1, is a latent variable and not an error."""

UNTOLD = {"vq-vae-prior": ("codes-model",), "stacked-semi-supervised-vae": ("features",)}
"""Phases of systems which train a part that knows no context."""

TINY_IMAGE = Event.image(1, 2, levels=4)
"""Few enough states that a decoder of many levels can be summed over all of them."""

TINY_COLORS = Event.image(3, 2, levels=2)
"""Four pixels of three colors: few enough states to be summed over."""
LONG = {
    "binary": Event.binary(130),
    "binary-image": Event.image(1, 12, levels=2),
    "image": Event.image(3, (6, 8), levels=4),
    "real": Event.real(130),
    "tokens": Event.tokens(130, 4),
    "audio": Event.audio(130, levels=8),
}
"""Events of more values than a cache, a ring or a window that is cut short would hold."""

SHORT_ONLY = frozenset({"tabular"})
"""Systems that keep a table of all pasts, and so take no long events."""

_EVENTS: dict[str, tuple[Event, ...]] = {
    "binary": (Event.binary(9),),
    "binary-image": (Event.image(1, 8, levels=2),),
    "image": (Event.image(1, 8, levels=17), Event.image(3, 8, levels=256)),
    "real": (Event.real(2),),
    "tokens": (Event.tokens(6, 5),),
    "audio": (Event.audio(16, levels=8),),
}

_IN_TURNS: dict[str, tuple[Event, ...]] = {
    **_EVENTS,
    "binary-image": (Event.image(1, 3, levels=2),),
    "image": (Event.image(1, (3, 4), levels=5), Event.image(3, (2, 3), levels=4)),
    "tokens": (Event.tokens(5, 4),),
    "audio": (Event.audio(4, levels=8),),
}
"""For models that generate value after value: all states of most can be summed over."""

_FLOWS: dict[str, tuple[Event, ...]] = {
    **_EVENTS,
    "binary-image": (Event.image(1, 2, levels=2),),
    "image": (Event.image(3, 4, levels=4), Event.image(1, 2, levels=4)),
    "real": (Event.real(2), Event.real(5)),
}
"""For bijections, whose Jacobians are computed; all states of the smallest image are summed."""

_MORE_EVENTS: dict[tuple[str, str], tuple[Event, ...]] = {
    ("vae", "image"): (TINY_IMAGE,),
    ("pixelcnn", "image"): (TINY_COLORS,),
    ("gated-pixelcnn", "image"): (TINY_COLORS,),
    ("pixelcnn-plus-plus", "image"): (TINY_COLORS,),
}
"""More events for a row and kind, beside those of every row."""

_OWN_EVENTS: dict[tuple[str, str], tuple[Event, ...]] = {
    # Jacobians of traces are slow: each is a matrix for every step of a solver.
    ("continuous-flow", "image"): (Event.image(3, 2, levels=4), Event.image(1, 2, levels=4)),
}
"""Events for a row and kind, instead of those of every row."""


def kind_of(event: Event) -> str:
    """The kind of event as rows of the catalogue name it."""
    return "binary-image" if event.has_image_shape and event.levels == 2 else event.kind


def events(row: System) -> dict[str, tuple[Event, ...]]:
    """Examples of each kind of event, suited to the row."""
    base = {"autoregressive": _IN_TURNS, "flow": _FLOWS}.get(row.family, _EVENTS)
    return {
        kind: _OWN_EVENTS.get((row.name, kind), own) + _MORE_EVENTS.get((row.name, kind), ())
        for kind, own in base.items()
    }


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


def _boltzmann(event: Event) -> tuple[Settings, ...]:
    chains: Settings = {"sweeps": 3, "ais_chains": 10, "ais_temperatures": 5, "chains": 8}
    if event.dimensions > 9:
        return chains, {**chains, "hidden": 2}
    return {**chains, "hidden": 2}, {**chains, "hidden": 2, "learning": "persistent"}


def _rbm(event: Event) -> tuple[Settings, ...]:
    chains: Settings = {"gibbs": 5, "ais_chains": 10, "ais_temperatures": 5, "chains": 8}
    few: Settings = {**chains, "hidden": 4}
    if event.dimensions > 9:
        return few, {**chains, "hidden": 20, "learning": "tempering"}
    tempered: Settings = {**few, "learning": "tempering", "temperatures": 3}
    return few, {**few, "learning": "cd", "steps": 2}, tempered, {**chains, "hidden": 12}


def _gsn(event: Event) -> tuple[Settings, ...]:
    small: Settings = {"hidden": (8,), "burn_in": 3, "walkback": 2}
    return small, {**small, "kernel": "factorised"}


def _vq_vae(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"codes": 4, "code_dim": 2, "hidden": 8}
    if event.levels == 2:
        return (
            plain,
            {**plain, "quantizer": "gradient", "downsample": 2, "dropout": 0.1},
            {**plain, "quantizer": "finite-scalar", "scalar_levels": (3, 2)},
        )
    return (plain,)


def _vq_vae_prior(event: Event) -> tuple[Settings, ...]:
    codes: Settings = {"codes": 2, "code_dim": 2, "hidden": 8}
    return ({"codes": codes, "prior_system": "fvsbn"},)


def _made(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"hidden": (12,)}
    deep: Settings = {"hidden": (10, 10), "dropout": 0.1, "activation": "tanh"}
    if event.kind == "binary":
        many: Settings = {"order": "random", "orders": 2, "masks": 2}
        return plain, {**deep, **many, "direct": False}, {**deep, "residual": True}
    if event.kind == "real":
        return (
            {**plain, "components": 3},
            {**deep, "components": 1, "order": "random"},
            {**plain, "conditional": "logistic-mixture", "components": 2},
        )
    if event.kind == "image":
        return plain, {**deep, "conditional": "logistic-bins", "components": 2}
    return (plain,)


def _pixelrnn(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"hidden": 4, "layers": 2, "kernel": 3}
    row: Settings = {**plain, "layer": "row", "dropout": 0.2, "shift": 0.5, "warp": 0.1}
    if event.levels == 2:
        return plain, row, {**plain, "layers": 1, "position_bias": False}
    return plain, {**row, "conditional": "logistic-bins", "components": 2}


def _tabular(event: Event) -> tuple[Settings, ...]:
    # Impossible codes would have the laws compare infinities.
    return {"smoothing": 1.0}, {"smoothing": 0.1}


def _fvsbn(event: Event) -> tuple[Settings, ...]:
    return ({"weights": "per-class"},) if event.has_image_shape else ({}, {"penalty": 0.1})


def _transformer(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"width": 8, "depth": 2, "heads": 2, "mlp_ratio": 2.0}
    if event.kind == "tokens":
        llama: Settings = {"norm": "rms", "feed_forward": "swiglu", "tied": True}
        gpt: Settings = {"positions": "learned", "feed_forward": "gelu-tanh", "bias": True}
        return plain, {**plain, **llama, "dropout": 0.1, "pairs": True}, {**plain, **gpt}
    if event.kind in ("audio", "binary"):
        return plain, {**plain, "positions": "sinusoidal", "depth": 1}
    return plain, {**plain, "positions": "learned"}


def _nade(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"hidden": 8}
    if event.kind == "binary":
        dropped: Settings = {"dropout": 0.3, "input_dropout": 0.2}
        return plain, {**plain, "orders": 2, "activation": "relu", **dropped}
    if event.kind == "image" and event.levels != 2:
        bins: Settings = {"conditional": "logistic-bins", "components": 2}
        return plain, {**plain, "activation": "tanh", "inputs": "scaled", **bins}
    return (plain,)


def _pixelcnn(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"channels": 9, "blocks": 1, "first_kernel": 5}
    stack: Settings = {**plain, "residual": False, "head": 0, "position_bias": False}
    if event.levels == 2:
        return plain, {**stack, "blocks": 2, "dropout": 0.1}, {**plain, "shift": 1, "warp": 0.1}
    return plain, {**stack, "kernel": 5, "conditional": "logistic-bins", "components": 2}


def _gated_pixelcnn(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"channels": 9, "layers": 2, "first_kernel": 5}
    if event.levels == 2:
        small: Settings = {**plain, "layers": 1, "head": 0, "first_kernel": 3, "dropout": 0.1}
        return plain, small, {**plain, "shift": 1, "warp": 0.1}
    bins: Settings = {"conditional": "logistic-bins", "components": 2, "position_bias": False}
    return plain, {**plain, **bins}


def _wavenet(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"layers": 2, "stacks": 2, "channels": 4, "skip": 5}
    if event.kind == "binary":
        return plain, {**plain, "layers": 1, "stacks": 1, "kernel": 3}
    if event.kind == "audio":
        return plain, {**plain, "conditional": "logistic-bins", "components": 2}
    return plain, {**plain, "kernel": 3, "stacks": 1}


def _tcn(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"channels": 8, "blocks": 2, "kernel": 2}
    if event.kind == "real":
        return plain, {**plain, "conditional": "logistic-mixture", "components": 2}
    return plain, {**plain, "kernel": 3, "blocks": 1, "dropout": 0.2}


def _rnade(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"hidden": 8, "components": 2}
    logistic: Settings = {"mixture": "logistic", "activation": "tanh", "dropout": 0.2}
    return plain, {**plain, **logistic, "scale_mean_gradient": False}


def _order_agnostic(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"hidden": (8,), "ensemble": 2, "components": 2}
    if event.kind == "binary":
        return plain, {**plain, "hidden": (8, 8), "dropout": 0.2}
    if event.kind == "image" and event.levels != 2:
        return plain, {**plain, "conditional": "logistic-bins", "inputs": "scaled"}
    return (plain,)


def _conv_nade(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"channels": 4, "blocks": 1, "ensemble": 2}
    if event.levels == 2:
        return plain, {**plain, "dropout": 0.2, "norm": "group"}
    return plain, {**plain, "conditional": "logistic-bins", "components": 2}


def _pixelcnn_pp(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"channels": 4, "blocks": 1, "components": 2}
    if event.levels == 2:
        return plain, {**plain, "dropout": 0.1, "shift": 1, "warp": 0.1}
    return plain, {**plain, "blocks": 2, "radius": 2, "first_kernel": 3, "position_bias": False}


def _nice(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"layers": 3, "hidden": (8,)}
    if event.kind == "real":
        return plain, {**plain, "base": "mixture", "components": 2}
    return (plain,) if event.dimensions > 9 else (plain, {**plain, "codec": "logit"})


def _neural_spline(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"layers": 2, "hidden": (8,), "bins": 4}
    residual: Settings = {**plain, "network": "residual", "hidden": (6, 6), "mixing": "lu"}
    return plain, residual, {**plain, "mixing": "random", "base": "student-t"}


def _realnvp(event: Event) -> tuple[Settings, ...]:
    if event.has_image_shape:
        image: Settings = {"levels": 2, "channels": 2, "blocks": 1}
        if event.shape[1] == 2:
            return {**image, "levels": 1}, {**image, "codec": "centered"}
        return (image,)
    plain: Settings = {"layers": 3, "hidden": (8,)}
    return plain, {**plain, "base": "student-t"}, {**plain, "base": "mixture"}


def _glow(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"levels": 1, "steps": 1, "hidden": 4}
    if event.shape[1] == 2:
        return plain, {**plain, "coupling": "spline", "bins": 4, "codec": "equalized"}
    free: Settings = {"convolution": "dense", "coupling": "additive", "codec": "logit"}
    return {**plain, "levels": 2}, {**plain, **free, "steps": 2, "base": "normal"}


def _masked_flow(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"layers": 2, "hidden": (8,)}
    spline: Settings = {**plain, "monotone": "spline", "bins": 4, "order": "random"}
    if event.dimensions > 12:
        return ({**plain, "layers": 1, "hidden": (4,)},)
    return plain, {**spline, "hidden": (8, 8), "residual": True, "activation": "silu"}


def _maf(event: Event) -> tuple[Settings, ...]:
    first, *others = _masked_flow(event)
    return first, *({**other, "norm": "none"} for other in others)


def _c_flow(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"levels": 1, "steps": 2, "hidden": 4, "condition_hidden": 4}
    if event.shape[1:] == (2, 2):
        plain["codec"] = "logit"
        return (plain,)
    return ({**plain, "levels": 2, "steps": 1, "codec": "logit", "condition_weight": 0.5},)


def _residual(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"layers": 3}
    return plain, {**plain, "direction": "sampling", "base": "learned"}


def _continuous(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"hidden": (6,), "time": 0.3}
    if event == Event.real(2):
        steps: Settings = {"trace": "hutchinson", "noise": "normal", "loss_steps": 2}
        return plain, {**plain, "layer": "concat", **steps}, {**plain, "gradient": "adjoint"}
    if event.dimensions == 4:
        return ({**plain, "network": "mlp", "loss_steps": 2},)
    return ({**plain, "hidden": (4,)} if event.has_image_shape else plain,)


def _sylvester(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"layers": 2}
    factored: Settings = {**plain, "rank": max(1, event.dimensions - 1), "orthogonal": "qr"}
    return plain, {**factored, "direction": "sampling"}


def _srflow(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {"steps": 2, "features": 6, "blocks": 1, "hidden": 6}
    return plain, {**plain, "consistent": False, "transitions": 1}


def _low_resolution(event: Event) -> ContextSpec:
    c, height, width = event.shape
    factor = min(4, height, width)
    small = Event.image(c, (height // factor, width // factor), levels=4)
    return ContextSpec(image=small, label=3 if c == 1 else None)


def _multiscale(event: Event) -> tuple[Settings, ...]:
    # The small image of a 2 x 3 one is a single row, where a row has none above to learn from.
    variants = _pixelrnn(event)
    return variants[:1] if event.shape == (3, 2, 3) else variants


_SETTINGS: dict[str, Callable[[Event], tuple[Settings, ...]]] = {
    "autoencoder": _autoencoder,
    "beta-vae": _one,
    "boltzmann-machine": _boltzmann,
    "constrained-vae": _one,
    "denoising-autoencoder": _denoising,
    "fvsbn": _fvsbn,
    "gated-pixelcnn": _gated_pixelcnn,
    "glow": _glow,
    "gsn": _gsn,
    "iaf": _masked_flow,
    "iwae": _one,
    "linear-autoencoder": _linear,
    "linear-vae": _linear,
    "made": _made,
    "maf": _maf,
    "pixelcnn": _pixelcnn,
    "pixelcnn-plus-plus": _pixelcnn_pp,
    "pixelrnn": _pixelrnn,
    "multiscale-pixelrnn": _multiscale,
    "nade": _nade,
    "neural-spline-flow": _neural_spline,
    "nice": _nice,
    "order-agnostic-nade": _order_agnostic,
    "rnade": _rnade,
    "c-flow": _c_flow,
    "continuous-flow": _continuous,
    "conv-nade": _conv_nade,
    "rbm": _rbm,
    "planar-flow": _residual,
    "radial-flow": _residual,
    "realnvp": _realnvp,
    "semi-supervised-vae": _semi_supervised,
    "srflow": _srflow,
    "stacked-semi-supervised-vae": _stacked,
    "sylvester-flow": _sylvester,
    "vae": _vae,
    "vq-vae": _vq_vae,
    "vq-vae-prior": _vq_vae_prior,
    "tabular": _tabular,
    "tcn": _tcn,
    "transformer": _transformer,
    "wavenet": _wavenet,
}


def _paired(event: Event) -> ContextSpec:
    image = Event.image(1, event.shape[1:], levels=4)
    return ContextSpec(image=image, label=3 if event.dimensions > 9 else None)


_CONTEXTS: dict[str, Callable[[Event], ContextSpec]] = {
    "c-flow": _paired,
    "srflow": _low_resolution,
}
"""Contexts of systems that take another than labels."""


def context(name: str, event: Event) -> ContextSpec | None:
    """What a row is conditioned on for an event; None for labels."""
    return _CONTEXTS[name](event) if name in _CONTEXTS else None


def settings(name: str, event: Event) -> tuple[Settings, ...]:
    """The variants of a row for an event."""
    return _SETTINGS[name](event) if name in _SETTINGS else ({},)

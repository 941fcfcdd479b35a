"""Small settings of the family flow."""

from collections.abc import Callable

from phosphene.core.context import ContextSpec
from phosphene.core.event import Event

Settings = dict[str, object]


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


def _paired(event: Event) -> ContextSpec:
    image = Event.image(1, event.shape[1:], levels=4)
    return ContextSpec(image=image, label=3 if event.dimensions > 9 else None)


SETTINGS: dict[str, Callable[[Event], tuple[Settings, ...]]] = {
    "glow": _glow,
    "iaf": _masked_flow,
    "maf": _maf,
    "neural-spline-flow": _neural_spline,
    "nice": _nice,
    "c-flow": _c_flow,
    "continuous-flow": _continuous,
    "planar-flow": _residual,
    "radial-flow": _residual,
    "realnvp": _realnvp,
    "srflow": _srflow,
    "sylvester-flow": _sylvester,
}

CONTEXTS: dict[str, Callable[[Event], ContextSpec]] = {
    "c-flow": _paired,
    "srflow": _low_resolution,
}
"""Contexts of systems that take another than labels."""

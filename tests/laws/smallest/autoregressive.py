"""Small settings of the family autoregressive."""

from collections.abc import Callable

from phosphene.core.event import Event

Settings = dict[str, object]


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


def _multiscale(event: Event) -> tuple[Settings, ...]:
    # The small image of a 2 x 3 one is a single row, where a row has none above to learn from.
    variants = _pixelrnn(event)
    return variants[:1] if event.shape == (3, 2, 3) else variants


SETTINGS: dict[str, Callable[[Event], tuple[Settings, ...]]] = {
    "fvsbn": _fvsbn,
    "gated-pixelcnn": _gated_pixelcnn,
    "made": _made,
    "pixelcnn": _pixelcnn,
    "pixelcnn-plus-plus": _pixelcnn_pp,
    "pixelrnn": _pixelrnn,
    "multiscale-pixelrnn": _multiscale,
    "nade": _nade,
    "order-agnostic-nade": _order_agnostic,
    "rnade": _rnade,
    "conv-nade": _conv_nade,
    "tabular": _tabular,
    "tcn": _tcn,
    "transformer": _transformer,
    "wavenet": _wavenet,
}

"""Small settings of the family diffusion."""

from collections.abc import Callable

from phosphene.core.event import Event

Settings = dict[str, object]


def _network(event: Event) -> Settings:
    if event.has_image_shape:
        return {"widths": (4,) if min(event.shape[1:]) < 4 else (4, 4), "patch": 1}
    return {"widths": (8,), "blocks": 1}


def _ddpm(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {**_network(event), "steps": 4, "schedule": "linear"}
    more: Settings = {**plain, "schedule": "sigmoid", "target": "v", "weighting": "min-snr"}
    if event.dimensions > 9:
        return (plain,)
    return plain, {**more, "variance": "posterior", "dropout": 0.2}


def _score_sde(event: Event) -> tuple[Settings, ...]:
    plain = _network(event)
    if event.discrete:
        if event.shape != (1, 8, 8):
            return (plain,)
        return plain, {**plain, "bound": "ode", "process": "vp", "tolerance": 0.1}
    wide: Settings = {**plain, "process": "edm", "weighting": "edm"}
    return plain, wide, {**plain, "process": "learned"}, {**plain, "process": "ve"}


def _flow_matching(event: Event) -> tuple[Settings, ...]:
    plain: Settings = {**_network(event), "tolerance": 1e-3}
    if event.dimensions > 9:  # coarsely: a law does not ask how exact an estimate is
        return ({**plain, "tolerance": 0.1},)
    if event.discrete:
        return (plain,)
    return plain, {**plain, "times": "logit-normal", "shift": 2.0, "trace": "hutchinson"}


SETTINGS: dict[str, Callable[[Event], tuple[Settings, ...]]] = {
    "ddpm": _ddpm,
    "flow-matching": _flow_matching,
    "score-sde": _score_sde,
}

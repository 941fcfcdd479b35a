"""Settings that make each system small enough for the laws; a row that is not here uses none.

A new row is covered without an entry: give it one when its defaults are slow, or when it has a
choice (a decoder, a network) whose every branch should obey the laws. Labels are tried with the
first variant of each event.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from phosphene.catalog import System, systems
from phosphene.core.context import ContextSpec
from phosphene.core.event import Event
from tests.laws.smallest import TINY_IMAGE

__all__ = [
    "LONG", "PARTLY_LABELED", "SHORT_ONLY", "UNTOLD", "context", "events", "kind_of", "settings",
]  # fmt: skip

Settings = dict[str, object]

PARTLY_LABELED = frozenset(
    {"semi-supervised-vae", "stacked-semi-supervised-vae", "vq-vae-prior"}
    | {row.name for row in systems() if row.family == "autoregressive" and row.context != "none"}
)
"""Systems for which a label that is missing, or -1, is a latent variable and not an error."""

UNTOLD = {
    "controlnet": ("base-model",),
    "latent-diffusion": ("autoencoder-model", "autoencoder-codebook"),
    "stacked-semi-supervised-vae": ("features",),
    "vq-vae-prior": ("codes-model",),
}
"""Phases of systems which train a part that knows no context."""


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
    ("flow-matching", "image"): (Event.image(1, 4, levels=4), Event.image(3, 2, levels=4)),
    ("flow-matching", "binary"): (Event.binary(5),),
    ("flow-matching", "binary-image"): (Event.image(1, 4, levels=2),),
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


def _tables(name: str) -> dict[str, Callable[[Event], Any]]:
    """One table of all families' files."""
    files = sorted((Path(__file__).parent / "smallest").glob("[a-z]*.py"))
    modules = [import_module(f"tests.laws.smallest.{file.stem}") for file in files]
    return {row: make for module in modules for row, make in getattr(module, name, {}).items()}


_SETTINGS: dict[str, Callable[[Event], tuple[Settings, ...]]] = _tables("SETTINGS")
_CONTEXTS: dict[str, Callable[[Event], ContextSpec]] = _tables("CONTEXTS")


def context(name: str, event: Event) -> ContextSpec | None:
    """What a row is conditioned on for an event; None for labels."""
    return _CONTEXTS[name](event) if name in _CONTEXTS else None


def settings(name: str, event: Event) -> tuple[Settings, ...]:
    """The variants of a row for an event."""
    return _SETTINGS[name](event) if name in _SETTINGS else ({},)

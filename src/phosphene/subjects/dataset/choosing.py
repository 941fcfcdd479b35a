"""The recipe of a system for a data set: its own, or that of the nearest data of its kind."""

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from phosphene.catalog.recipe import Recipe, named, recipes
from phosphene.core.event import Event
from phosphene.data.table import adapters, names

__all__ = ["kind_of", "select"]


def select(
    system: str,
    data: str | None = None,
    name: str = "default",
    event: Event | None = None,
    available: Collection[str] | None = None,
) -> Recipe:
    """The recipe of that name for a system, best matched to the data.

    That is the recipe for this data set, or else the one for data of the same kind (see
    :func:`kind_of`) whose examples are nearest in size and levels: settings that fit one set of
    images are a better start for another than the constructor's defaults. Settings of another kind
    are not: a network that sees eight values of a toy process hears nothing. Where no recipe is for
    the kind, the constructor's defaults hold, and a note says so.

    Args:
        system: A name of the catalogue.
        data: What the data set is called; None takes the recipe's.
        name: ``default``, ``paper``, ...
        event: What one example is; None where the data are not loaded yet, which leaves their name.
        available: What the data hold beside the examples: ``label``, ``image``, ...; None where
            that is not known.

    Example:
        >>> select("wavenet", "wav:./songs", event=Event.audio(8000)).model["layers"]
        9
        >>> select("wavenet", "npz:notes.npz", event=Event.tokens(64, 12)).model
        {}
    """
    known = named(system, name)
    if data is None:
        return known[0] if known else _unnamed(system, "mnist-binary")
    for recipe in known:
        if recipe.on == data:
            return recipe
    if not known:
        return _unnamed(system, data)
    kind = kind_of(event) if event is not None else _kind_by_name(data)
    # The numbers to reach, and of labels, belong to the data they were measured on.
    about: dict[str, Any] = {"on": data, "reaches": {}, "cpu_seconds": None, "labels": None}
    if kind is None:
        return replace(known[0], **about)
    fitting = [r for r in known if kind_of(_event_of(r)) == kind]
    if available is not None:  # a recipe that needs labels is not for data without
        fitting = [r for r in fitting if set(r.context) <= set(available)] or fitting
    if fitting:
        return replace(min(fitting, key=lambda r: _distance(_event_of(r), event)), **about)
    notes = f"no recipe of {system} is for {_IN_WORDS[kind]}: these are the constructor's defaults"
    others = {r.name for r in recipes(system) if kind_of(_event_of(r)) == kind}
    if others:
        notes += f" (--recipe {', '.join(sorted(others))} has settings for them)"
    return replace(
        known[0], **about, model={}, train={}, precision="fp32", stages={}, notes=notes, plain=True
    )


_IN_WORDS = {
    "binary": "vectors of bits",
    "binary-image": "binary images",
    "image": "images of more than two levels",
    "real": "reals",
    "real-image": "images of reals",
    "tokens": "tokens",
    "audio": "sound",
}


def kind_of(event: Event) -> str:
    """The kind of data that one recipe's settings may serve, as the catalogue names events.

    Example:
        >>> kind_of(Event.image(1, 28, levels=2)), kind_of(Event.binary(9)), kind_of(Event.real(2))
        ('binary-image', 'binary', 'real')
    """
    if not event.has_image_shape:
        return event.kind
    if event.levels is None:
        return "real-image"
    return "binary-image" if event.levels == 2 else "image"


def _event_of(recipe: Recipe) -> Event:
    """What the recipe's data hold, by the table of data sets: nothing is loaded."""
    if recipe.event:
        return Event.parse(recipe.event)
    return Event.parse(next(row.event for row in names() if row.name == recipe.on))


def _kind_by_name(data: str) -> str | None:
    """The kind of a data set of the table, or of what an adapter always reads; None if unknown."""
    for row in names():
        if row.name == data:
            return kind_of(Event.parse(row.event))
    return next((a.kind or None for a in adapters() if a.name == data.partition(":")[0]), None)


def _distance(one: Event, other: Event | None) -> float:
    """How far two events of one kind are apart in size and levels, in factors."""
    if other is None:
        return 0.0
    size = abs(math.log(one.dimensions / other.dimensions))
    return size + abs(math.log((one.levels or 1) / (other.levels or 1)))


def _unnamed(system: str, data: str) -> Recipe:
    return Recipe(name="default", system=system, on=data, budget="60s")

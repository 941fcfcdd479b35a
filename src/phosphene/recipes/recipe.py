"""A recipe: system, data, settings, and the numbers it must reach."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from phosphene import catalog
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.data.table import adapters, names

__all__ = ["Recipe", "Stage", "check_subject", "kind_of", "recipes", "select", "select_for"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """How one stage of a model is trained.

    Args:
        share: Its part of the budget.
        train: Trainer settings that differ from :class:`TrainSettings`' defaults.
        precision: As a recipe's.
    """

    share: float
    train: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "fp32"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training that is known to work.

    Args:
        name: ``default``, ``paper``, ...
        system: A name of the catalogue.
        data: A data set's name; empty for agents, and where ``event`` stands.
        event: What examples are like of a kind of data that no name stands for, as the catalogue
            writes events: ``real 4`` for tables.
        env: The environment that an agent is trained in; ``*`` for settings that suit any other.
        budget: As ``--budget``.
        model: Hyperparameters that differ from the constructor's defaults.
        train: Trainer settings that differ from :class:`TrainSettings`' defaults.
        context: Which parts of the data's context the model is given, such as ``("label",)``.
        labels: Keep only this many labels of the training split of ``data``: a benchmark of
            semi-supervised learning. Of other data all labels are used.
        labelled_fraction: Part of the examples that is labelled, by repeating those that are; None
            for systems that do not learn from examples without labels.
        precision: ``fp32``, ``bf16``, or ``auto``: bf16 where a timing shows that it pays.
        reaches: Metric name to the value that must be reached on the test split.
        cpu_seconds: On how many seconds of two cores it reaches them.
        stages: How each stage is trained, of a system that has stages; ``train`` then holds what
            is common to them.
        notes: What a user should know.
        plain: Whether no recipe is for the data's kind, so that these are the constructor's
            defaults.
    """

    name: str
    system: str
    data: str = ""
    event: str = ""
    env: str = ""
    budget: str
    model: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    context: tuple[str, ...] = ()
    labels: int | None = None
    labelled_fraction: float | None = None
    precision: str = "fp32"
    reaches: Mapping[str, float] = field(default_factory=dict)
    cpu_seconds: float | None = None
    stages: Mapping[str, Stage] = field(default_factory=dict)
    notes: str = ""
    plain: bool = False


def recipes() -> list[Recipe]:
    """All recipes, the first of a system being its default."""
    from phosphene.recipes import (
        agents,
        autoencoder,
        energy,
        flows,
        pixels,
        sequences,
        tables,
        transformer,
        vectors,
    )

    families = (
        autoencoder, vectors, pixels, sequences, transformer, energy, flows, tables, agents,
    )  # fmt: skip
    return [recipe for family in families for recipe in family.RECIPES]


def check_subject(system: str, data: object | None, env: str | None) -> bool:
    """Whether the system is an agent; refuses data for an agent, and an environment for a model."""
    agent = catalog.find(system).kind == "agent"
    if agent and data is not None:
        raise ConfigError(f"{system!r} is an agent: it takes an environment (--env), not data")
    if env is not None and not agent:
        raise ConfigError(f"{system!r} is no agent: it takes data (--data), not an environment")
    return agent


def select(
    system: str, data: str | None = None, name: str = "default", event: Event | None = None
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

    Example:
        >>> select("wavenet", "wav:./songs", event=Event.audio(8000)).model["layers"]
        9
        >>> select("wavenet", "npz:notes.npz", event=Event.tokens(64, 12)).model
        {}
    """
    named = _named(system, name)
    if data is None:
        return named[0] if named else _unnamed(system, "mnist-binary")
    for recipe in named:
        if recipe.data == data:
            return recipe
    if not named:
        return _unnamed(system, data)
    kind = kind_of(event) if event is not None else _kind_by_name(data)
    # The numbers to reach, and of labels, belong to the data they were measured on.
    about: dict[str, Any] = {"data": data, "reaches": {}, "cpu_seconds": None, "labels": None}
    if kind is None:
        return replace(named[0], **about)
    fitting = [r for r in named if kind_of(_event_of(r)) == kind]
    if fitting:
        return replace(min(fitting, key=lambda r: _distance(_event_of(r), event)), **about)
    notes = f"no recipe of {system} is for {_IN_WORDS[kind]}: these are the constructor's defaults"
    others = {r.name for r in recipes() if r.system == system and kind_of(_event_of(r)) == kind}
    if others:
        notes += f" (--recipe {', '.join(sorted(others))} has settings for them)"
    return replace(
        named[0], **about, model={}, train={}, precision="fp32", stages={}, notes=notes, plain=True
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
    if not event.is_image:
        return event.kind
    if event.levels is None:
        return "real-image"
    return "binary-image" if event.levels == 2 else "image"


def _event_of(recipe: Recipe) -> Event:
    """What the recipe's data hold, by the table of data sets: nothing is loaded."""
    if recipe.event:
        return Event.parse(recipe.event)
    return Event.parse(next(row.event for row in names() if row.name == recipe.data))


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
    return Recipe(name="default", system=system, data=data, budget="60s")


def select_for(system: str, env: str | None = None, name: str = "default") -> Recipe:
    """The recipe of that name for an agent, in that environment.

    In an environment that no recipe names, it is the recipe for any other (``*``).

    Example:
        >>> select_for("ppo").env, select_for("ppo", "Pendulum-v1").env
        ('CartPole-v1', 'Pendulum-v1')
    """
    named = _named(system, name)
    for recipe in named:
        if recipe.env == (env or named[0].env) or recipe.env == (env or "").partition("?")[0]:
            return replace(recipe, env=env or recipe.env)
    for recipe in named:
        if recipe.env == "*":
            return replace(recipe, env=env or "")
    assert env is not None
    return replace(named[0], env=env, reaches={}, cpu_seconds=None)


def _named(system: str, name: str) -> list[Recipe]:
    own = [r for r in recipes() if r.system == system]
    named = [r for r in own if r.name == name]
    if own and not named:
        raise UnknownNameError(f"recipe of {system}", name, {r.name for r in own})
    return named

"""A recipe: system, data, settings, and the numbers it must reach."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from phosphene import catalog
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event

__all__ = ["Recipe", "Stage", "check_subject", "recipes", "select", "select_for", "suited"]


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
        data: A data set's name; empty for agents.
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
    """

    name: str
    system: str
    data: str = ""
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


def recipes() -> list[Recipe]:
    """All recipes, the first of a system being its default."""
    from phosphene.recipes import (
        agents,
        autoencoder,
        energy,
        flows,
        pixels,
        sequences,
        transformer,
        vectors,
    )

    families = (autoencoder, vectors, pixels, sequences, transformer, energy, flows, agents)
    return [recipe for family in families for recipe in family.RECIPES]


def check_subject(system: str, data: object | None, env: str | None) -> bool:
    """Whether the system is an agent; refuses data for an agent, and an environment for a model."""
    agent = catalog.find(system).kind == "agent"
    if agent and data is not None:
        raise ConfigError(f"{system!r} is an agent: it takes an environment (--env), not data")
    if env is not None and not agent:
        raise ConfigError(f"{system!r} is no agent: it takes data (--data), not an environment")
    return agent


def select(system: str, data: str | None = None, name: str = "default") -> Recipe:
    """The recipe of that name for a system, best matched to the data.

    With data that no recipe names, the system's recipe is used with its data replaced: settings
    that fit one set of images are a better start for another than the constructor's defaults.
    """
    named = _named(system, name)
    for recipe in named:
        if data is None or recipe.data == data:
            return recipe
    if named:
        # Settings that fit one set of images are a better start for another than none; the
        # numbers to reach, and of labels, belong to the data they were measured on.
        return replace(
            named[0], data=data or named[0].data, reaches={}, cpu_seconds=None, labels=None
        )
    return Recipe(name="default", system=system, data=data or "mnist-binary", budget="60s")


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


def suited(recipe: Recipe, event: Event) -> Recipe:
    """The recipe for an event: a network for images gives way to the model's own defaults.

    Example:
        >>> suited(select("vae", "mnist-binary"), Event.real(2)).model
        {}
    """
    networks = {recipe.model.get(name, "mlp") for name in ("network", "classifier")}
    if event.is_image or networks == {"mlp"}:
        return recipe
    return replace(recipe, model={})

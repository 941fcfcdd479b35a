"""A recipe: system, data, settings, and the numbers it must reach."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from phosphene import catalog
from phosphene.core.errors import UnknownNameError

__all__ = ["Recipe", "Stage", "named", "recipes"]


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
        on: What it learns from, by its address: the name of a data set, an environment; ``*`` for
            settings that suit any other; empty where ``event`` stands.
        event: What examples are like of a kind of data that no name stands for, as the catalogue
            writes events: ``real 4`` for tables.
        budget: As ``--budget``.
        model: Hyperparameters that differ from the constructor's defaults.
        train: Trainer settings that differ from :class:`TrainSettings`' defaults.
        context: Which parts of the data's context the model is given, such as ``("label",)``.
        labels: Keep only this many labels of the training split: a benchmark of semi-supervised
            learning. Of other data all labels are used.
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
    on: str = ""
    event: str = ""
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


def recipes(system: str | None = None) -> list[Recipe]:
    """The recipes of a system, or all; the first of a system is its default.

    Recipes stand beside the rows of their systems, so that those of one ask for one family.

    Example:
        >>> {recipe.system for recipe in recipes("maf")}
        {'maf'}
    """
    homes = catalog.families() if system is None else [catalog.home(system)]
    found = (import_module(f"{name}.recipes") for name in homes if name and _has(name))
    all_of_them = (recipe for family in found for recipe in family.RECIPES)
    return [recipe for recipe in all_of_them if system in (None, recipe.system)]


@cache
def _has(family: str) -> bool:
    """Whether a family has recipes: one that only solves has none."""
    return find_spec(f"{family}.recipes") is not None


def named(system: str, name: str) -> list[Recipe]:
    """The recipes of that name of a system; all its recipes are of other names, or it has none.

    Raises:
        UnknownNameError: It has recipes, and none of that name.
    """
    own = recipes(system)
    found = [r for r in own if r.name == name]
    if own and not found:
        raise UnknownNameError(f"recipe of {system}", name, {r.name for r in own})
    return found

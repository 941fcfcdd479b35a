"""Lessons by name: what a part of the learning machinery does, shown on an example."""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast, get_type_hints

from phosphene.catalog import find, systems
from phosphene.core.config import parameters_of
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.lesson import Lesson
from phosphene.core.ranges import check_declared
from phosphene.core.rng import check_seed

__all__ = ["default_folder", "help_of_options", "learn", "lessons", "options_of"]


@cache
def lessons() -> dict[str, str]:
    """The lessons of the catalogue, and what each shows.

    Example:
        >>> "perceptron" in lessons()
        True
    """
    return {row.name: row.title for row in systems(kind="lesson")}


def learn(topic: str, *, seed: int = 0, **options: Any) -> Lesson:
    """Run a demonstration.

    Args:
        topic: A lesson of the catalogue: :func:`lessons`.
        seed: Of its random numbers.
        options: Its own settings (:func:`options_of`).

    Raises:
        UnknownNameError: There is no such lesson, or it has no such option.
        ConfigError: An option has a value that it cannot take.

    Example:
        >>> learn("perceptron").numbers["mistakes"] > 0
        True
    """
    check_seed(seed)
    function = _function(topic)
    own = options_of(topic)
    for name in options:
        if name not in own:
            raise UnknownNameError(f"option of the lesson {topic!r}", name, own)
    check_declared({name: p.annotation for name, p in own.items()}, options)
    return function(seed=seed, **options)


def options_of(topic: str) -> Mapping[str, inspect.Parameter]:
    """The settings of a lesson: the keyword arguments of its function, beside the seed."""
    function = _function(topic)
    hints = get_type_hints(function, include_extras=True)
    return {
        name: p.replace(annotation=hints[name])
        for name, p in parameters_of(function).items()
        if name != "seed"
    }


def help_of_options(topic: str) -> str:
    """The docstring that says what the options are."""
    return _function(topic).__doc__ or ""


def _function(topic: str) -> Callable[..., Lesson]:
    if topic in lessons():
        return cast(Callable[..., Lesson], find(topic).load())
    found = {row.name: row.kind for row in systems()}
    if topic in found:
        raise ConfigError(
            f"{topic!r} is a {found[topic]}, not a lesson; the lessons are {', '.join(lessons())}"
        )
    raise UnknownNameError("lesson", topic, lessons())


def default_folder(topic: str) -> Path:
    """Where a lesson is written if nobody says: ``lessons/TOPIC`` of the working folder."""
    return Path("lessons") / topic

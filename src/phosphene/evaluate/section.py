"""Sections of a report, registered by what a model must be able to do and by the kind of data.

A section is one function that gives HTML, in a file of ``evaluate/sections/``, or of another
package that names its module by an entry point of the group ``phosphene.sections``:

    @section(needs=(Samples,), kinds=("images",))
    def brightest(shown: Shown) -> str:
        x = views.draws(shown.model, 64, shown.first(64).context, seed=shown.seed)
        return page.section("Samples", page.figure(picture(x, shown.model.event)))

The report of every run for which it is true then has it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.model import Model
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.evaluate.data_kind import DataKind, kind_of
from phosphene.evaluate.registry import Registry, guarded
from phosphene.evaluate.score import Score
from phosphene.train.folder import Run

__all__ = ["SECTIONS", "Examples", "Section", "Shown", "section"]


@dataclass(frozen=True)
class Examples:
    """Some test examples.

    Args:
        index: Which they are (n,).
        x: The examples (n, *event.shape).
        context: What a conditional model is given; None for others.
    """

    index: Tensor
    x: Tensor
    context: Context | None

    def upto(self, n: int) -> "Examples":
        """The first n of them."""
        context = None if self.context is None else self.context[slice(0, n)]
        return Examples(self.index[:n], self.x[:n], context)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a report shows: a model, its data and how it was trained.

    Args:
        model: A trained model.
        test: Held-out examples.
        train: The examples it was trained on.
        seed: Chooses examples and samples.
        scores: Of its evaluation; may be empty.
        run: Where it was trained; None for a model that has no run.
    """

    model: Model
    test: Dataset
    train: Dataset
    seed: int = 0
    scores: Mapping[str, Score] = field(default_factory=dict)
    run: Run | None = None

    @cached_property
    def kind(self) -> DataKind:
        """What kind of data they are."""
        return kind_of(self.test.event, self.test)

    def at(self, index: Tensor) -> Examples:
        """The test examples at these positions."""
        x, context = self.test.take(index)
        return Examples(index, x, context if self.model.context else None)

    def first(self, n: int) -> Examples:
        """Up to n test examples, chosen by the seed."""
        order = torch.randperm(len(self.test), generator=generator(self.seed, 41))
        return self.at(order[: min(n, len(self.test))])


Draw: TypeAlias = Callable[[Shown], str]


@dataclass(frozen=True)
class Section:
    """A function with what it needs.

    Args:
        name: Of its module and of the function.
        draw: Gives HTML, or nothing.
        needs: Capabilities that the model must have; of several in a tuple, one.
        kinds: The kinds of data that it is true for; none for all.
        place: Where it stands, the smallest first.
    """

    name: str
    draw: Draw
    needs: tuple[type | tuple[type, ...], ...]
    kinds: tuple[str, ...]
    place: float

    def html(self, shown: Shown) -> str:
        """The section, where it is true for the model and the data; else nothing.

        Raises:
            ConfigError: A section of another package fails.
        """
        able = all(isinstance(shown.model, need) for need in self.needs)
        if not able or (self.kinds and shown.kind.name not in self.kinds):
            return ""
        return guarded("section", self.draw, shown)


SECTIONS: Registry[Section] = Registry(
    "section", files=("evaluate/sections/*.py",), group="phosphene.sections"
)
"""Every section, in the order of a report."""


def section(
    *,
    needs: tuple[type | tuple[type, ...], ...] = (),
    kinds: tuple[str, ...] = (),
    place: float = 450.0,
) -> Callable[[Draw], Draw]:
    """Register a function as a section.

    Args:
        needs: Capabilities that the model must have (:mod:`phosphene.core.protocols`); of several
            in a tuple, one.
        kinds: The kinds of data that it is true for (:mod:`phosphene.evaluate.data_kind`); none for
            all.
        place: Where it stands, the smallest first: scores head the page at 0, what a model makes
            stands at 100 and above, codes at 300, learning at 400, all scores at 500, settings
            at 600.
    """

    def register(draw: Draw) -> Draw:
        name = f"{draw.__module__}.{getattr(draw, '__name__', repr(draw))}"
        SECTIONS.add(Section(name, draw, needs, kinds, place))
        return draw

    return register

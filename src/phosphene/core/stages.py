"""Models that are trained in stages: each part on the output of the parts before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from phosphene.core.model import Model
from phosphene.core.protocols import Capability

__all__ = ["HandsOver", "Part", "Staged"]


@dataclass(frozen=True)
class Part:
    """One stage's model.

    Args:
        system: Its name in the catalogue.
        settings: How it was built.
        model: The part itself, within the whole.
        told: Which parts of the context it is given.
    """

    system: str
    settings: Mapping[str, Any]
    model: Model
    told: tuple[str, ...] = ()


@runtime_checkable
class Staged(Protocol, metaclass=Capability):
    """A model that is trained in stages, in this order."""

    stages: tuple[str, ...]

    def part(self, stage: str) -> Part:
        """The model of a stage."""
        ...

    def outputs(self, stage: str, x: Tensor) -> Tensor:
        """What a stage after the first is trained on, made of examples by the parts before it."""
        ...

    @classmethod
    def beginning_with(
        cls, system: str, config: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The settings of a model whose first part is a model that exists."""
        ...


@runtime_checkable
class HandsOver(Protocol, metaclass=Capability):
    """A staged model of which a part begins with what the parts before it have learned."""

    def hand_over(self, stage: str, model: Model) -> None:
        """Tell the model of a stage, which is about to be trained, or to read its checkpoint."""
        ...

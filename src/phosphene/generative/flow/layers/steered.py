"""A flow whose steps are conditioned on the states of another flow at the same depth."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.generative.flow.layers.split import Split
from phosphene.generative.flow.layers.transform import Transform

__all__ = ["Recorded", "States", "Steered", "SteeredSplit", "recorded"]


@dataclass(frozen=True, kw_only=True)
class States(Context):
    """A context, and the states of a flow after each of its steps, in the order of the steps.

    Args:
        states: Each (n, c, h, w).
    """

    states: list[Tensor]

    @classmethod
    def of(cls, context: Context | None, states: list[Tensor]) -> "States":
        """The states beside what a context holds."""
        parts = {} if context is None else {f.name: getattr(context, f.name) for f in _PARTS}
        return cls(**parts, states=states)


_PARTS = fields(Context)


class Recorded(Transform):
    """A step that appends its output to the context's list of states, if there is one.

    Args:
        step: The step.
    """

    def __init__(self, step: Transform) -> None:
        super().__init__()
        self.step = step

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """The step; its output is appended."""
        z, log_det = self.step.forward_and_log_det(x, context)
        if isinstance(context, States):
            context.states.append(z)
        return z, log_det

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """The step's inverse."""
        return self.step.inverse_and_log_det(z, context)

    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The step's own."""
        return self.step.prepare(x, context)


def recorded(flow: Transform, y: Tensor) -> list[Tensor]:
    """The states of y after each :class:`Recorded` step of a flow, in order."""
    context = States(states=[])
    flow.forward_and_log_det(y, context)
    return context.states


class Steered(Transform):
    """The step of one flow that is conditioned on the i-th state of another, as on an image.

    Args:
        step: Built for a context image of the state's shape.
        index: i.
    """

    def __init__(self, step: Transform, index: int) -> None:
        super().__init__()
        self.step, self.index = step, index

    def _told(self, context: Context | None) -> Context:
        assert isinstance(context, States), "a steered step needs the states that steer it"
        return replace(context, image=context.states[self.index])

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """The step, told."""
        return self.step.forward_and_log_det(x, self._told(context))

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """The step's inverse, told the same."""
        return self.step.inverse_and_log_det(z, self._told(context))

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The step's inverse alone."""
        return self.step.inverse(z, self._told(context))

    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The step's own."""
        return self.step.prepare(x, self._told(context))


class SteeredSplit(Split):
    """A split whose prior p(x2 | x1, h) sees a state h of another flow beside x1.

    Args:
        channels: Of x.
        told: Channels of h, which has x's height and width.
        index: Which of the states h is.
        context: What the prior depends on besides: label and vector.
    """

    def __init__(
        self, channels: int, told: int, index: int, *, context: ContextSpec | None = None
    ) -> None:
        super().__init__(channels, context=context)
        kept, off = self.sizes
        self.index = index
        self.network = nn.Conv2d(kept + told, 2 * off, 3, padding=1)
        nn.init.zeros_(self.network.weight)
        assert self.network.bias is not None
        nn.init.zeros_(self.network.bias)

    def _moments(self, kept: Tensor, context: Context | None) -> tuple[Tensor, Tensor]:
        assert isinstance(context, States), "a steered split needs the states that steer it"
        return super()._moments(torch.cat((kept, context.states[self.index]), 1), context)

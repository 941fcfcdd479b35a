"""A model's network at one level for all, with its condition and without."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.generative.diffusion.guidance import ClassifierFree, Guidance
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.samplers.table import Asked
from phosphene.generative.diffusion.target import Target

__all__ = ["Told", "asked", "input_scale"]


def input_scale(level: Level[Any], scales: bool) -> Any:
    """1 / sqrt(alpha^2 + sigma^2), by which x_t has unit variance where paths do not keep it."""
    return (level.alpha**2 + level.sigma**2) ** -0.5 if scales else None


class Told:
    """A network under a condition: what samplers ask and guidance changes.

    Args:
        network: Called with x, a time (1,) and a context.
        target: What it gives.
        context: One row an example.
        scales: Whether x is scaled to unit variance first.
        pace: What the network is told of the time 1.
    """

    def __init__(
        self,
        network: Any,
        target: Target,
        context: Context,
        *,
        scales: bool = False,
        pace: float = 1.0,
    ) -> None:
        self.network, self.target, self.context = network, target, context
        self.scales, self.pace = scales, pace
        self._pairs: Context | None = None

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        """What the network gives under the condition."""
        return self._asked(x, level, self.context)

    def both(self, x: Tensor, level: Level[float]) -> tuple[Tensor, Tensor]:
        """With the condition, and without it."""
        if self._pairs is None:
            pattern = torch.tensor([False, True], device=x.device).repeat(len(x))
            self._pairs = replace(self.context.repeat(2), dropped=pattern)
        m = self._asked(x.repeat_interleave(2, 0), level, self._pairs)
        told, untold = m.unflatten(0, (-1, 2)).unbind(1)
        return told, untold

    def _asked(self, x: Tensor, level: Level[float], context: Context) -> Tensor:
        if self.scales:
            x = x * input_scale(level, self.scales)
        time = x.new_full((1,), level.time * self.pace)
        given: Tensor = self.network(x, time, context)
        return given


def asked(
    told: Told, *, weight: float, rescale: float, guide: Guidance | None, drops: float, named: bool
) -> Asked:
    """The network as a sampler asks it: plain, or guided.

    Args:
        told: The network under its condition.
        weight: Of classifier-free guidance.
        rescale: Of it.
        guide: Another guidance, in its place.
        drops: How often training withheld the condition.
        named: Whether the model is conditioned on anything.

    Raises:
        ConfigError: There is nothing to guide toward.
    """
    if guide is not None:
        if weight or rescale:
            raise ConfigError("guide takes the place of guidance and rescale; give one of them")
        return guide.of(told)
    guidance = ClassifierFree(weight, rescale)
    if weight == 0:
        if rescale:
            raise ConfigError(f"rescale belongs to guidance, whose weight is 0; got {rescale}")
        return told
    if not named:
        raise ConfigError(
            f"guidance is toward a condition, and the model has none; got a weight of {weight}"
        )
    if drops == 0:
        raise ConfigError(
            "guidance needs the model without its condition, which it never learned: train it "
            "with drop above 0"
        )
    return guidance.of(told)

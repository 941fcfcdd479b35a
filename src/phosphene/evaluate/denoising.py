"""How a model's samples come about, and examples that it draws from others."""

from typing import Any

from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.model import Model
from phosphene.core.protocols import Refines, SamplesPath
from phosphene.core.ranges import Within
from phosphene.core.rng import generator
from phosphene.evaluate.batches import condition, evaluating
from phosphene.evaluate.missing_capability import lacking
from phosphene.evaluate.views import options_for

__all__ = ["paths", "refined"]

_STRENGTH = Within(0, 1, above=True)


def paths(
    model: Model,
    n: int,
    context: Context | None = None,
    *,
    frames: int = 8,
    seed: int = 0,
    **settings: Any,
) -> Tensor:
    """The way of samples from noise, (frames, n, *event.shape), as floats on the codes' scale.

    Args:
        model: A model that shows it.
        n: How many samples.
        context: What a conditional model is conditioned on, one row a sample.
        frames: States that are shown, the last of which is the sample.
        seed: The same seed gives the same samples, as :func:`~phosphene.evaluate.views.draws`.
        settings: Of the sampler, by name; None is what nobody said.

    Raises:
        EventError: The model does not show how its samples come about.
        ConfigError: Its sampler does not know one of the settings.
    """
    if not isinstance(model, SamplesPath):
        raise lacking(model, SamplesPath, why="draws its samples in no steps that could be shown")
    options = options_for(model, model.sample_path, **settings)
    context = condition(model, context, n)
    context = None if context is None else context.to(model.device)
    with evaluating(model):
        g = generator(seed, 31, device=model.device)
        shown: Any = model.sample_path
        states: Tensor = shown(n, context, frames=frames, generator=g, **options)
    return states.cpu()


def refined(
    model: Model,
    x: Tensor,
    strength: float,
    context: Context | None = None,
    *,
    seed: int = 0,
    **settings: Any,
) -> Tensor:
    """Examples like x (n, *event.shape): the nearer, the smaller the strength.

    Args:
        model: A model that refines.
        x: Examples (n, *event.shape).
        strength: Above 0 and at most 1, where nothing is left of x.
        context: What a conditional model is conditioned on, one row an example.
        seed: The same seed gives the same draws.
        settings: Of the sampler, by name; None is what nobody said.

    Raises:
        EventError: The model does not refine.
        ConfigError: The strength is out of range, or the sampler does not know one of the settings.
    """
    _STRENGTH.check("strength", strength)
    if not isinstance(model, Refines):
        raise lacking(model, Refines, why="draws no examples like one that is given")
    options = options_for(model, model.refine, **settings)
    context = condition(model, context, len(x))
    context = None if context is None else context.to(model.device)
    with evaluating(model):
        g = generator(seed, 33, device=model.device)
        draw: Any = model.refine
        y: Tensor = draw(x.to(model.device), strength, context, generator=g, **options)
    return y.cpu()

"""Views of a model: draws, paths between codes, directions, neighbors."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.model import Model
from phosphene.core.protocols import (
    Conditionals,
    Decodes,
    Encodes,
    Inpaints,
    Interpolates,
    Samples,
    SamplesMean,
    Translates,
)
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.evaluate.batches import condition, evaluating
from phosphene.evaluate.missing_capability import lacking
from phosphene.generative.autoencoder.prior import PriorKind, fit_prior

__all__ = [
    "draws",
    "filled",
    "fitted_draws",
    "interpolations",
    "neighbors",
    "options_for",
    "project",
    "spread",
    "surprise",
    "translations",
    "traversals",
]


def draws(
    model: Model,
    n: int,
    context: Context | None = None,
    *,
    seed: int = 0,
    mean: bool = False,
    **settings: Any,
) -> Tensor:
    """Samples (n, *event.shape), or the means they scatter around where a model has them.

    Args:
        model: A model that samples.
        n: How many.
        context: What a conditional model is conditioned on, one row a sample.
        seed: The same seed gives the same samples.
        mean: Means of p(x|z) instead of draws from it.
        settings: Passed on to samplers that know them; None is what nobody said.

    Raises:
        EventError: The model does not sample, or has no means.
        ConfigError: Its sampler does not know one of the settings.
    """
    draw: Callable[..., Tensor]
    if mean and isinstance(model, SamplesMean):
        draw = model.sample_mean
    elif not mean and isinstance(model, Samples):
        draw = model.sample
    elif mean:
        raise lacking(model, SamplesMean, why="has no means of samples to draw")
    else:
        raise lacking(model, Samples, why="has no samples to draw")
    options = options_for(model, draw, **settings)
    context = condition(model, context, n)
    context = None if context is None else context.to(model.device)
    with evaluating(model):
        g = generator(seed, 31, device=model.device)
        x: Tensor = draw(n, context, generator=g, **options).cpu()
    return x


_VERBS = {
    "inpaint": "fill in an example",
    "refine": "draw from an image",
    "interpolate": "interpolate",
    "sample_mean": "show means",
    "sample_path": "show the way of a sample",
}


def options_for(model: Model, draw: Callable[..., Any], **given: Any) -> dict[str, Any]:
    """The settings that are given; the method that draws must know them.

    Raises:
        ConfigError: It does not.
    """
    options = {name: value for name, value in given.items() if value is not None}
    for name in options:
        if name not in inspect.signature(draw).parameters:
            verb = _VERBS.get(getattr(draw, "__name__", ""))
            said, who = name.replace("_", "-"), type(model).__name__
            raise ConfigError(
                f"{who} takes no {said} to {verb}" if verb else f"{who} has no sampling {said}"
            )
    return options


def filled(
    model: Model,
    x: Tensor,
    known: Tensor,
    context: Context | None = None,
    *,
    seed: int = 0,
    **settings: Any,
) -> Tensor:
    """Examples that keep x where ``known`` is True, and are drawn by the model elsewhere.

    Args:
        model: A model that inpaints.
        x: Examples (n, *event.shape); what is not known means nothing.
        known: Booleans of x's shape, or of the event's.
        context: What a conditional model is conditioned on, one row an example.
        seed: The same seed gives the same draws.
        settings: Passed on to models that know them; None is what nobody said.

    Raises:
        EventError: The model does not inpaint, or cannot with this mask.
        ConfigError: It does not know one of the settings.
    """
    if not isinstance(model, Inpaints):
        why = "cannot go on from a part that is known: it does not inpaint"
        raise lacking(model, Inpaints, why=why)
    options = options_for(model, model.inpaint, **settings)
    context = condition(model, context, len(x))
    context = None if context is None else context.to(model.device)
    # Given only where there is one: many inpaint(x, mask) take no context.
    given = () if context is None else (context,)
    known = known.expand_as(x).to(model.device)
    with evaluating(model):
        g = generator(seed, 32, device=model.device)
        fill: Callable[..., Tensor] = model.inpaint
        y = fill(x.to(model.device), known, *given, generator=g, **options)
    return y.cpu()


def surprise(model: Model, x: Tensor, context: Context | None = None) -> Tensor | None:
    """Nats of each value of x (n, D) given those before it; None where a model does not tell."""
    if not (isinstance(model, Conditionals) and model.members == 1):
        return None
    context = condition(model, context, len(x))
    if context is not None:
        if context.label is not None and bool((context.label < 0).any()):
            return None  # a marginal over labels has no conditionals of its own here
        context = context.to(model.device)
    x = x.to(model.device)
    with evaluating(model):
        params = model.conditionals(x, context)
        nats: Tensor = -model.conditional.log_prob(params, x.flatten(1))
    return nats.double().cpu()


def _decode(model: Model, z: Tensor, context: Context | None) -> Tensor:
    if not isinstance(model, Decodes):
        raise _no_codes(model)
    with evaluating(model):
        x = model.decode(z, context) if context is not None else model.decode(z)
    return x.cpu()


def _encode(model: Model, x: Tensor, context: Context | None) -> Tensor:
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        raise _no_codes(model)
    x = x.to(model.device)
    with evaluating(model):
        return model.encode(x, context) if context is not None else model.encode(x)


def _no_codes(model: Model) -> EventError:
    return lacking(model, Encodes, Decodes, why="has no codes: it cannot encode and decode")


def interpolations(
    model: Model,
    a: Tensor,
    b: Tensor,
    count: int = 10,
    context: Context | None = None,
    **settings: Any,
) -> Tensor:
    """Points between a and b: the model's own way, or decoded straight lines between their codes.

    Args:
        model: A model that interpolates, or that encodes and decodes.
        a: Examples (n, *shape) at the start.
        b: Examples (n, *shape) at the end.
        count: Points on a line, ends included.
        context: Of a, for conditional models; it holds along the line.
        settings: Passed on to models that interpolate their own way; None is what nobody said.

    Returns:
        (n, count, *shape) means on the scale of the event's codes.
    """
    context = condition(model, context, len(a))
    if isinstance(model, Interpolates):
        options = options_for(model, model.interpolate, **settings)
        there = None if context is None else context.to(model.device)
        walk: Callable[..., Tensor] = model.interpolate
        with evaluating(model):
            between = walk(a.to(model.device), b.to(model.device), count, there, **options)
        return between.cpu()
    if isinstance(model, Decodes):
        options_for(model, model.decode, **settings)
    start, end = _encode(model, a, context), _encode(model, b, context)
    weights = torch.linspace(0, 1, count).tolist()
    return torch.stack([_decode(model, torch.lerp(start, end, w), context) for w in weights], dim=1)


def spread(model: Model, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each dimension of the codes of x, flattened: (d,) twice."""
    z = _encode(model, x, condition(model, context, len(x))).flatten(1)
    return z.mean(0).cpu(), z.std(0).cpu()


def traversals(
    model: Model,
    x: Tensor,
    moments: tuple[Tensor, Tensor],
    *,
    dimensions: int = 8,
    steps: int = 9,
    reach: float = 2.5,
    context: Context | None = None,
) -> tuple[Tensor, list[int]]:
    """Move one dimension of an example's code at a time, across what the data's codes cover.

    Args:
        model: A model that encodes and decodes.
        x: One example (1, *shape).
        moments: Of the codes of the data (:func:`spread`).
        dimensions: How many dimensions, those that vary most.
        steps: Points along each.
        reach: How many standard deviations to either side.
        context: Of the example, for conditional models.

    Returns:
        (dimensions, steps, *shape) means, and which dimensions they are.
    """
    context = condition(model, context, len(x))
    code = _encode(model, x, context)
    mean, deviation = moments
    order = deviation.argsort(descending=True)[:dimensions].tolist()
    rows = []
    for d in order:
        z = code.flatten(1).expand(steps, -1).clone()
        z[:, d] = mean[d] + deviation[d] * torch.linspace(-reach, reach, steps, device=z.device)
        rows.append(_decode(model, z.reshape(steps, *code.shape[1:]), context))
    return torch.stack(rows), order


def translations(model: Model, x: Tensor) -> Tensor:
    """Each example in its own style under every label.

    Args:
        model: A model that translates between labels.
        x: Examples (n, *shape); their own labels are the model's guess.

    Returns:
        (n, classes, *shape) means on the scale of the event's codes.

    Raises:
        EventError: The model does not translate.
    """
    classes = model.context.label
    if not isinstance(model, Translates) or classes is None:
        raise lacking(model, Translates, why="does not translate examples to other labels")
    labels = torch.arange(classes, device=model.device).repeat(len(x))
    with evaluating(model):
        many = x.to(model.device).repeat_interleave(classes, 0)
        y = model.translate(many, Context(label=labels))
    changed: Tensor = y.unflatten(0, (len(x), classes))
    return changed.cpu()


def neighbors(samples: Tensor, train: Tensor, k: int = 3) -> tuple[Tensor, Tensor]:
    """The k training examples nearest to each sample by Euclidean distance.

    Returns:
        Their positions (n, k), and the distances (n, k).
    """
    a, b = samples.float().flatten(1), train.float().flatten(1)
    distances, index = torch.cdist(a, b).topk(min(k, len(b)), largest=False)
    return index, distances


def project(codes: Tensor) -> tuple[Tensor, float]:
    """Codes (n, d) on their two directions of largest variance, and the part of it they hold.

    Example:
        >>> points, share = project(torch.randn(50, 2).double())
        >>> points.shape, round(share, 6)
        (torch.Size([50, 2]), 1.0)
    """
    z = codes.double().flatten(1)
    centered = z - z.mean(0)
    _, s, v = torch.linalg.svd(centered, full_matrices=False)
    kept = min(2, v.shape[0])
    points = centered @ v[:kept].T
    if kept < 2:
        points = torch.cat([points, torch.zeros_like(points)], dim=1)
    total = s.square().sum().clamp(min=1e-300)
    return points, float(s[:2].square().sum() / total)


def fitted_draws(
    model: Model,
    train: Dataset,
    n: int,
    context: Context | None = None,
    *,
    seed: int = 0,
    kind: PriorKind = "mixture",
    components: int = 40,
    rows: int = 5000,
) -> Tensor:
    """Decoded draws from a density of the codes, fitted after training.

    The averaged posterior of a VAE is not its prior, and an autoencoder has none; z drawn from
    where the training codes lie is decoded to what the decoder has learned.

    Args:
        model: A model with codes.
        train: Training examples, whose codes are fitted.
        n: How many to draw.
        context: What a conditional model is conditioned on, one row a draw.
        seed: Seeds the fit and the draws.
        kind: ``normal`` or ``mixture`` of Gaussians.
        components: Of a mixture.
        rows: Most training examples used.

    Returns:
        Means (n, *event.shape), floats on the scale of the codes.

    Raises:
        EventError: The model has no codes.
    """
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        raise lacking(model, Encodes, Decodes, why="has no codes to fit a prior to")
    index = torch.arange(min(rows, len(train)))
    x, known = train.take(index)
    c = known.to(model.device) if model.context else None
    components = max(1, min(components, len(x) // 50))
    with evaluating(model):
        prior = fit_prior(
            model,
            x.to(model.device),
            c,
            kind=kind,
            components=components,
            seed=seed,
        )
        shape = _encode(model, x[:1].to(model.device), None if c is None else c[:1]).shape[1:]
    z = prior.sample(n, generator(seed, 43)).to(model.device, model.dtype).view(n, *shape)
    return _decode(model, z, None if context is None else context.to(model.device)).cpu()

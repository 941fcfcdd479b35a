"""Likelihoods that say what they are: exact, a bound, importance-weighted, an estimate.

Everything is in nats per example, summed over dimensions, and accumulated in float64. Discrete
events are scored as probabilities of codes, so that any two families compare on the same data.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.protocols import Bounded, Density, Estimated
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.evaluate.batches import batches, condition, evaluating
from phosphene.evaluate.data_kind import kind_of
from phosphene.evaluate.missing_capability import lacking
from phosphene.evaluate.score import Score, mean_score

__all__ = [
    "Progress",
    "Score",
    "bits_per_dim",
    "evidence_bound",
    "exact_log_prob",
    "importance_weighted",
    "likelihood",
]

Progress = Callable[[str, float], None]
"""Told the name of what is being computed and the fraction of it that is done."""

_ELEMENTS = 1 << 22
"""Scalars of x that one call to a model may spread over: 16 MB in float32."""


def _parts(particles: int, most: int) -> list[int]:
    """Particles in parts of nearly equal size, none of 1 unless there is only 1.

    A single particle's bound may have its divergence in closed form, and is then no log-weight that
    could be joined with others.
    """
    parts = -(-particles // most)
    return [particles // parts + (i < particles % parts) for i in range(parts)]


def _check_particles(particles: int) -> None:
    if particles < 1:
        raise ConfigError(f"particles must be 1 or more, got {particles}")


def _rows(event: Event, particles: int = 1) -> int:
    return max(1, min(1024, _ELEMENTS // (event.dimensions * particles)))


def _rows_exact(event: Event) -> int:
    """Fewer rows where a model may hold a probability of every code, or attend over a sequence."""
    rows = _rows(event, max(1, (event.levels or 1) // 16))
    return min(rows, kind_of(event).most_rows)


def exact_log_prob(
    model: Model, x: Tensor, context: Context | None = None, *, progress: Progress | None = None
) -> Tensor:
    """``log_prob`` of every example, (n,) float64 nats, in batches; the estimate of an ODE."""
    if isinstance(model, Density):
        log_prob = model.log_prob
    elif isinstance(model, Estimated):
        estimate = model.estimate_log_prob

        def log_prob(x: Tensor, context: Context | None = None) -> Tensor:
            return estimate(x, context)[0]
    else:
        raise lacking(model, Density)
    parts, done = [], 0
    with evaluating(model):
        for xs, c in batches(model, x, context, _rows_exact(model.event)):
            parts.append(log_prob(xs, c).double().cpu())
            done += len(xs)
            if progress:
                progress("nll", min(1.0, done / len(x)))
    return torch.cat(parts)


def importance_weighted(
    model: Model,
    x: Tensor,
    context: Context | None = None,
    *,
    particles: int = 500,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    r"""The importance-weighted bound of every example, (n,) float64 nats.

    .. math:: \log \frac1K \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k | x)}, \quad z_k \sim q(z | x)

    (Burda, Grosse and Salakhutdinov, 2016.) Where K particles of one example exceed the memory
    budget they come in parts, joined by a logsumexp, so exactly K particles are always used.

    Args:
        model: A model with ``elbo``.
        x: Examples (n, *event.shape).
        context: What they are conditioned on.
        particles: K; with 1 this is the evidence bound.
        seed: Seeds the particles.
        progress: Told how far it is.

    Raises:
        ConfigError: ``particles`` is below 1.
    """
    _check_particles(particles)
    if not isinstance(model, Bounded):
        raise lacking(model, Bounded)
    counts = _parts(particles, max(4, _ELEMENTS // model.event.dimensions))
    values, start = [], 0
    with evaluating(model):
        for xs, c in batches(model, x, context, _rows(model.event, particles)):
            g = generator(seed, start, device=model.device)
            logs = [
                model.elbo(xs, c, particles=k, generator=g).double() + math.log(k) for k in counts
            ]
            values.append((torch.stack(logs).logsumexp(0) - math.log(particles)).cpu())
            start += len(xs)
            if progress:
                progress("iwae_nll", min(1.0, start / len(x)))
    return torch.cat(values)


def evidence_bound(
    model: Model, x: Tensor, context: Context | None = None, *, draws: int = 8, seed: int = 0
) -> Tensor:
    """The evidence lower bound of every example, the mean of some draws, (n,) float64 nats."""
    total = torch.zeros(len(x), dtype=torch.float64)
    for draw in range(draws):
        total += importance_weighted(model, x, context, particles=1, seed=seed + draw)
    return total / draws


def bits_per_dim(nll: Score, event: Event) -> Score:
    """Nats to bits per dimension, nll / (D ln 2), of the same kind; discrete events only.

    Example:
        >>> uniform = Score(64 * math.log(17), "exact")
        >>> round(bits_per_dim(uniform, Event.image(1, 8, levels=17)).value, 4)
        4.0875
    """
    if not event.discrete:
        raise ConfigError(f"bits per dimension need discrete codes, and the event is {event}")
    scale = event.dimensions * math.log(2)
    stderr = None if nll.stderr is None else nll.stderr / scale
    return Score(nll.value / scale, nll.kind, stderr, note=nll.note)


def _estimated(model: Model, x: Tensor, context: Context | None) -> Score:
    assert isinstance(model, Estimated)
    values, errors = [], []
    with evaluating(model):
        for xs, c in batches(model, x, context, _rows(model.event)):
            value, error = model.estimate_log_prob(xs, c)
            values.append(value.double().cpu())
            errors.append(error.double().cpu())
    score = mean_score(-torch.cat(values), model.likelihood)
    # The examples share one estimate of the normalizer, so its error does not average out.
    shared = float(torch.cat(errors).mean())
    return Score(score.value, score.kind, math.hypot(score.stderr or 0.0, shared))


def _bounded(
    model: Model,
    x: Tensor,
    context: Context | None,
    particles: int,
    seed: int,
    progress: Progress | None,
) -> dict[str, Score]:
    elbo = evidence_bound(model, x, context, seed=seed)
    scores = {"elbo": mean_score(elbo, "bound")}
    if particles > 1 and model.weights_particles:
        iwae = importance_weighted(
            model, x, context, particles=particles, seed=seed + 1000, progress=progress
        )
        note = f"{particles} particles"
        scores["iwae_nll"] = mean_score(-iwae, "importance-weighted", note)
        scores["iwae_gap"] = mean_score(iwae - elbo, "importance-weighted", note)
    return _noted(scores, model.bound_note) if model.bound_note else scores


def _noted(scores: dict[str, Score], note: str) -> dict[str, Score]:
    return {
        name: replace(score, note=f"{score.note}, {note}" if score.note else note)
        for name, score in scores.items()
    }


def _given(model: Model, context: Context | None, n: int) -> list[str]:
    """What the examples are scored given; an unknown label is summed over, and not given."""
    told = condition(model, context, n)
    found = []
    for name in model.context.names:
        part = name
        if told is not None and name == "label" and told.label is not None:
            known = told.label >= 0
            if not bool(known.any()):
                continue
            part = "label" if bool(known.all()) else "label where it is known"
        found.append(part)
    return found


def likelihood(
    model: Model,
    data: Dataset | Tensor,
    context: Context | None = None,
    *,
    particles: int = 500,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Score]:
    """Every likelihood that is true for a model, each with its kind.

    ``nll`` where the model has an exact density, an ODE's or an estimate; ``elbo`` where it has a
    bound; ``iwae_nll`` and ``iwae_gap`` (importance-weighted minus evidence bound) where the
    particles of that bound weight one another; and ``bits_per_dim`` of the best of these on
    discrete events.

    Args:
        model: Any model; one without a likelihood gives no scores.
        data: A data set, or examples (n, *event.shape).
        context: What the examples are conditioned on; a data set brings its own.
        particles: Importance-weighted particles per example.
        seed: Seeds the particles; the same seed gives the same scores.
        progress: Told how far it is.

    Raises:
        EventError: The examples are not of the model's event, or lack the context it needs.
        ConfigError: ``particles`` is below 1.
    """
    if isinstance(data, Tensor):
        x = data
    else:
        x, context = data.take(torch.arange(len(data)))
    model.event.check(x)
    _check_particles(particles)
    scores: dict[str, Score] = {}
    if isinstance(model, Density):
        kind = "ode" if model.likelihood == "ode" else "exact"
        scores["nll"] = mean_score(-exact_log_prob(model, x, context, progress=progress), kind)
    elif isinstance(model, Estimated):
        scores["nll"] = _estimated(model, x, context)
    if isinstance(model, Bounded):
        scores |= _bounded(model, x, context, particles, seed, progress)
    given = _given(model, context, len(x))
    if given:  # such a number is smaller than that of a model which is told nothing
        scores = _noted(scores, f"given the {' and '.join(given)}")
    best = scores.get("nll") or scores.get("iwae_nll")
    if best is None and "elbo" in scores:
        elbo = scores["elbo"]
        best = replace(elbo, value=-elbo.value)
    if best is not None and model.event.discrete:
        scores["bits_per_dim"] = bits_per_dim(best, model.event)
    return scores

"""Everything that can be said about a model with numbers, picked by what it can do."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, DivergedError
from phosphene.core.model import Model
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.evaluate.disentanglement import disentanglement
from phosphene.evaluate.features import ClassifierFeatures, Features, default_name, make_features
from phosphene.evaluate.fidelity import FEWEST, fidelity
from phosphene.evaluate.latents import active_units, encode
from phosphene.evaluate.likelihood import (
    Progress,
    condition,
    evaluating,
    exact_log_prob,
    importance_weighted,
    likelihood,
)
from phosphene.evaluate.score import Score, mean_score, standard_error

__all__ = ["divergence", "draw", "evaluate_model", "reconstruction"]

_ROWS = 256


def draw(
    model: Model, n: int, context: Context | None = None, *, seed: int = 0, rows: int = _ROWS
) -> Tensor:
    """Samples (n, *event.shape) on the CPU, in batches, a function of the seed."""
    context = condition(model, context)
    parts = []
    with evaluating(model):
        for start in range(0, n, rows):
            size = min(rows, n - start)
            c = None if context is None else context[start : start + size].to(model.device)
            g = generator(seed, 21, start, device=model.device)
            parts.append(model.sample(size, c, generator=g).cpu())
    return torch.cat(parts)


def reconstruction(model: Model, x: Tensor, context: Context | None = None) -> dict[str, Score]:
    """Mean squared error of reconstructions and, on discrete events, the PSNR it means.

    Codes are scaled to [0, 1] first, so that the peak is 1 and data of any number of levels
    compare; real events keep their units.
    """
    context = condition(model, context)
    top = 1.0 if model.event.levels is None else model.event.levels - 1.0
    errors = []
    with evaluating(model):
        for start in range(0, len(x), _ROWS):
            part = x[start : start + _ROWS].to(model.device)
            c = None if context is None else context[start : start + _ROWS].to(model.device)
            # Given only where there is one: many reconstruct(x) take no context.
            decoded = model.reconstruct(part) if c is None else model.reconstruct(part, c)
            gap = (decoded.double() - part.double()) / top
            errors.append(gap.square().flatten(1).mean(1).cpu())
    squared = torch.cat(errors)
    scores = {"mse": mean_score(squared, "reconstruction")}
    if model.event.discrete:
        per_example = -10 * squared.clamp(min=1e-12).log10()
        scores["psnr"] = mean_score(per_example, "reconstruction", "dB, peak 1")
    return scores


def divergence(
    model: Model, test: Dataset, *, particles: int = 500, seed: int = 0
) -> dict[str, Score]:
    r"""KL(p || model) = E_p[log p(x) - log q(x)] in nats where the true log-density p is known.

    Exact up to the test sample for a model with a density; an upper bound for one with a bound.
    """
    if test.log_prob is None:
        return {}
    x, context = test.take(torch.arange(len(test)))
    if hasattr(model, "log_prob"):
        log_q, kind = exact_log_prob(model, x, context), "exact"
        kind = "ode" if model.likelihood == "ode" else "exact"
    elif hasattr(model, "elbo"):
        log_q = importance_weighted(model, x, context, particles=particles, seed=seed + 1000)
        kind = "importance-weighted"
    else:
        return {}
    log_p = test.log_prob(x).detach().double().cpu()
    return {"kl": mean_score(log_p - log_q, kind, "KL(data || model), nats")}


def _conditional_accuracy(
    samples: Tensor, labels: Tensor, test: Dataset, extract: ClassifierFeatures
) -> Score:
    right = (extract.classify(samples) == labels).double()
    assert test.y is not None
    floor = float((extract.classify(test.x) == test.y).double().mean())
    note = "samples that the digit classifier gives the label they were asked for"
    return Score(
        float(right.mean()), "classifier", standard_error(right), floor, note, "classifier"
    )


def _sampled(
    model: Model,
    test: Dataset,
    train: Dataset,
    samples: int,
    seed: int,
    features: str | Features | None,
    progress: Progress | None,
) -> dict[str, Score]:
    rows = torch.randint(len(test), (samples,), generator=generator(seed, 22))
    context = test.take(rows)[1] if model.context else None
    if progress:
        progress("sample", 0.0)
    drawn = draw(model, samples, context, seed=seed)
    extract = features
    if extract is None or isinstance(extract, str):
        extract = make_features(extract or default_name(test), train)
    scores = fidelity(drawn, test, train, features=extract, seed=seed, progress=progress)
    labelled = context is not None and context.label is not None
    if labelled and isinstance(extract, ClassifierFeatures) and test.name.startswith("mnist"):
        assert context is not None
        assert context.label is not None
        accuracy = _conditional_accuracy(drawn, context.label, test, extract)
        scores["conditional_accuracy"] = accuracy
    return scores


def _encoded(model: Model, test: Dataset, seed: int) -> dict[str, Score]:
    x, context = test.take(torch.arange(len(test)))
    z = encode(model, x, context)
    scores = {
        "active_units": Score(
            active_units(z), "exact", note=f"of {z.shape[1]}: variance of the code above 0.01"
        )
    }
    if test.factors is not None and z.shape[1] > 1:
        scores |= disentanglement(z, test.factors, seed=seed)
    return scores


def _finite(scores: dict[str, Score]) -> dict[str, Score]:
    for name, score in scores.items():
        if math.isnan(score.value):
            raise DivergedError(f"{name} is not a number: the model's weights are not finite")
    return scores


def evaluate_model(
    model: Model,
    dataset_test: Dataset,
    dataset_train: Dataset,
    *,
    samples: int = 1000,
    particles: int = 500,
    seed: int = 0,
    features: str | Features | None = None,
    progress: Progress | None = None,
) -> dict[str, Score]:
    """Every score that is true for a model, by name.

    Likelihoods (``nll``, ``elbo``, ``iwae_nll``, ``iwae_gap``, ``bits_per_dim``), the divergence
    from a known density (``kl``), reconstructions (``mse``, ``psnr``), codes (``active_units``, and
    ``mig``, ``dci_*``, ``sap`` where factors are known) and fidelity of samples with floors
    (``frechet_distance``, ``kernel_distance``, ``precision``, ``recall``, ``density``,
    ``coverage``, ``c2st_accuracy``, ``sliced_wasserstein``, ``diversity``,
    ``memorization_ratio``).

    Args:
        model: Any model.
        dataset_test: Held-out examples of the model's event.
        dataset_train: The examples it was trained on.
        samples: How many samples are drawn for fidelity.
        particles: Importance-weighted particles per example.
        seed: Seeds everything random; the same seed gives the same scores.
        features: Features for fidelity; None for those that fit the data.
        progress: Told what is being computed and the fraction of it that is done.

    Raises:
        EventError: The data are not of the model's event, or lack the context it needs.
        ConfigError: ``samples`` or ``particles`` is too small, or the features do not fit.
    """
    if samples < FEWEST:
        raise ConfigError(f"samples must be {FEWEST} or more, got {samples}")
    x, context = dataset_test.take(torch.arange(len(dataset_test)))
    scores = _finite(
        likelihood(model, x, context, particles=particles, seed=seed, progress=progress)
    )
    parts: list[tuple[str, str, Callable[[], dict[str, Score]]]] = [
        ("reconstruct", "mse", lambda: reconstruction(model, x, context)),
        ("encode", "active_units", lambda: _encoded(model, dataset_test, seed)),
        (
            "sample",
            "sample",
            lambda: _sampled(model, dataset_test, dataset_train, samples, seed, features, progress),
        ),
    ]
    if dataset_test.log_prob is not None:
        scores |= divergence(model, dataset_test, particles=particles, seed=seed)
    for method, name, compute in parts:
        if hasattr(model, method):
            if progress:
                progress(name, 0.0)
            scores |= _finite(compute())
    return scores

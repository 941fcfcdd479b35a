"""Everything that can be said about a model with numbers, picked by what it can do."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, DivergedError
from phosphene.core.model import Model
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.data.tokenizers import ByteTokenizer
from phosphene.evaluate.baselines import baselines
from phosphene.evaluate.disentanglement import disentanglement
from phosphene.evaluate.features import ClassifierFeatures, Features, default_name, make_features
from phosphene.evaluate.fidelity import FEWEST, fidelity
from phosphene.evaluate.images import SSIM_WINDOW, psnr, ssim
from phosphene.evaluate.latents import (
    active_units,
    aggregate_mmd,
    encode,
    linear_probe,
    path_distance,
)
from phosphene.evaluate.likelihood import (
    Progress,
    condition,
    evaluating,
    evidence_bound,
    exact_log_prob,
    importance_weighted,
    likelihood,
)
from phosphene.evaluate.score import Score, mean_score, standard_error
from phosphene.evaluate.super_resolution import super_resolution, super_resolves
from phosphene.generative.autoencoder.layers.quantize import perplexity

__all__ = ["Scores", "divergence", "draw", "evaluate_model", "reconstruction"]

_Part: TypeAlias = tuple[str, str, Callable[[], dict[str, Score]]]
_ROWS = 256
_INVERTED = 1000
"""The most examples that a bijection is sent forth and back for."""
_PROBED = 5000
"""The most training examples that codes are computed for."""


def draw(
    model: Model, n: int, context: Context | None = None, *, seed: int = 0, rows: int = _ROWS
) -> Tensor:
    """Samples (n, *event.shape) on the CPU, in batches, a function of the seed."""
    context = condition(model, context, n)
    parts = []
    with evaluating(model):
        for start in range(0, n, rows):
            size = min(rows, n - start)
            c = None if context is None else context[start : start + size].to(model.device)
            g = generator(seed, 21, start, device=model.device)
            parts.append(model.sample(size, c, generator=g).cpu())
    return torch.cat(parts)


def reconstruction(model: Model, x: Tensor, context: Context | None = None) -> dict[str, Score]:
    """Error of reconstructions: ``mse`` and, on discrete events, ``psnr``; ``ssim`` of images.

    Codes are scaled to [0, 1] first, so that the peak is 1 and data of any number of levels
    compare; real events keep their units. Images below 11 pixels have no SSIM.
    """
    context = condition(model, context, len(x))
    top = 1.0 if model.event.levels is None else model.event.levels - 1.0
    similar = model.event.kind == "image" and min(model.event.shape[1:]) >= SSIM_WINDOW
    errors, similarities = [], []
    with evaluating(model):
        for start in range(0, len(x), _ROWS):
            part = x[start : start + _ROWS].to(model.device)
            c = None if context is None else context[start : start + _ROWS].to(model.device)
            # Given only where there is one: many reconstruct(x) take no context.
            decoded = model.reconstruct(part) if c is None else model.reconstruct(part, c)
            decoded, part = decoded.double().cpu() / top, part.double().cpu() / top
            errors.append((decoded - part).square().flatten(1).mean(1))
            if similar:
                similarities.append(ssim(decoded, part))
    squared = torch.cat(errors)
    scores = {"mse": mean_score(squared, "reconstruction")}
    if model.event.discrete:
        scores["psnr"] = mean_score(psnr(squared), "reconstruction", "dB, peak 1")
    if similar:
        scores["ssim"] = mean_score(torch.cat(similarities), "reconstruction")
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
    if hasattr(model, "log_prob") or model.likelihood == "ode":
        log_q, kind = exact_log_prob(model, x, context), "exact"
        kind = "ode" if model.likelihood == "ode" else "exact"
    elif hasattr(model, "elbo"):
        if particles > 1 and model.weights_particles:
            log_q = importance_weighted(model, x, context, particles=particles, seed=seed + 1000)
            kind = "importance-weighted"
        else:
            log_q, kind = evidence_bound(model, x, context, seed=seed), "bound"
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
    extract: Features,
    progress: Progress | None,
) -> dict[str, Score]:
    rows = torch.randint(len(test), (samples,), generator=generator(seed, 22))
    context = test.take(rows)[1] if model.context else None
    if progress:
        progress("sample", 0.0)
    drawn = draw(model, samples, context, seed=seed)
    scores = fidelity(drawn, test, train, features=extract, seed=seed, progress=progress)
    labelled = context is not None and context.label is not None
    if labelled and isinstance(extract, ClassifierFeatures) and test.name.startswith("mnist"):
        assert context is not None
        assert context.label is not None
        accuracy = _conditional_accuracy(drawn, context.label, test, extract)
        scores["conditional_accuracy"] = accuracy
    return scores


def _codebook(model: Model, x: Tensor) -> dict[str, Score]:
    """How many codes are used alike, of a model with a codebook: exp(entropy of their use)."""
    with evaluating(model):
        used = torch.cat([model.tokens(p.to(model.device)).cpu() for p in x.split(_ROWS)])
    size = model.codes.code_event.levels if hasattr(model, "codes") else model.code_event.levels
    value = float(perplexity(used, int(size)))
    return {"codebook_perplexity": Score(value, "count", note=f"of {size} codes")}


def _accuracy(right: Tensor, kind: str, note: str) -> Score:
    return mean_score(right.double(), kind, note)


def _classified(model: Model, test: Dataset) -> dict[str, Score]:
    """Accuracy of the model's own classifier, where it has one and the data have labels."""
    if test.y is None or not bool((test.y >= 0).any()):
        return {}
    known = test.y >= 0
    others = bool(set(model.context.names) - {"label"})  # many classify(x) take no context
    parts = []
    with evaluating(model):
        for rows in torch.arange(len(test)).split(_ROWS):
            x, context = test.take(rows)
            told = (context.to(model.device),) if others else ()
            parts.append(model.classify(x.to(model.device), *told).argmax(1).cpu())
    right = (torch.cat(parts) == test.y)[known]
    return {"accuracy": _accuracy(right, "classifier", "of the model's own classifier")}


def _posterior(model: Model, x: Tensor, context: Context | None, seed: int) -> dict[str, Score]:
    """How far draws of q(z|x) are from the prior N(0, I), all examples together."""
    context = condition(model, context, len(x))
    parts = []
    with evaluating(model):
        for start in range(0, len(x), _ROWS):
            c = None if context is None else context[start : start + _ROWS].to(model.device)
            mu, logvar = model.posterior(x[start : start + _ROWS].to(model.device), c)
            g = generator(seed, 23, start, device=model.device)
            e = torch.randn(mu.shape, generator=g, dtype=mu.dtype, device=mu.device)
            parts.append((mu + (0.5 * logvar).exp() * e).double().flatten(1).cpu())
    z = torch.cat(parts)
    value, error = aggregate_mmd(z, seed=seed)
    prior = torch.randn(z.shape, generator=generator(seed, 24), dtype=z.dtype)
    floor = aggregate_mmd(prior, seed=seed)[0]
    note = "squared, unbiased, of draws of q(z|x)"
    return {"aggregate_mmd": Score(value, "against N(0, I)", error, floor, note)}


def _encoded(
    model: Model, test: Dataset, train: Dataset, seed: int, extract: Features
) -> dict[str, Score]:
    x, context = test.take(torch.arange(len(test)))
    rows = torch.randperm(len(train), generator=generator(seed, 25))[:_PROBED]
    x_train, context_train = train.take(rows)
    z, z_train = encode(model, x, context), encode(model, x_train, context_train)
    count = active_units(z)
    note = f"of {z.shape[1]}: variance of the code above 0.01"
    scores = {"active_units": Score(count, "count", note=note)}
    if hasattr(model, "posterior") and len(z) >= FEWEST:
        scores |= _posterior(model, x, context, seed)
    if not model.context and hasattr(model, "decode"):
        value, error = path_distance(model, x, train.x[rows[:1000]], extract, seed=seed)
        note = "decoded paths between codes: inside over ends; 1 where there are no holes"
        kind = f"{extract.name} features"
        scores["path_distance"] = Score(value, kind, error, note=note, features=extract.name)
    y, y_train = test.y, None if train.y is None else train.y[rows]
    if y is not None and y_train is not None and all(bool((v >= 0).any()) for v in (y, y_train)):
        right = linear_probe((z_train, y_train), (z, y))
        note = "of labels by a linear classifier on codes"
        if model.context:
            note = "of labels from codes that were encoded given them: chance if independent"
        scores["probe_accuracy"] = _accuracy(right, "classifier", note)
    if test.factors is not None and train.factors is not None and z.shape[1] > 1:
        factors = torch.cat([test.factors, train.factors[rows]])
        scores |= disentanglement(torch.cat([z, z_train]), factors, seed=seed)
    return scores


def _inverse(model: Model, x: Tensor, context: Context | None) -> dict[str, Score]:
    """How far a bijection is from what it comes back to, in floating point."""
    context = condition(model, context, len(x))
    x = x[:_INVERTED]
    worst = 0.0
    with evaluating(model):
        for start in range(0, len(x), _ROWS):
            part = x[start : start + _ROWS].to(model.device)
            c = None if context is None else context[start : start + len(part)].to(model.device)
            error = model.inverse_error(part, c)
            worst = max(worst, float(error.max())) if bool(error.isfinite().all()) else math.inf
    note = f"{len(x):,} examples, of the largest value"
    return {"inverse_error": Score(worst, "largest", note=note)}


class Scores(dict[str, Score]):
    """Scores by name; ``left_out`` says which are not among them, and why."""

    def __init__(self) -> None:
        super().__init__()
        self.left_out: dict[str, str] = {}

    def take(self, found: dict[str, Score], model: Model) -> None:
        """Add what is defined; a score that is none is left out and the others stand.

        Raises:
            DivergedError: No score can be trusted, since the model's weights are not finite.
        """
        for name, score in found.items():
            if not math.isnan(score.value):
                self[name] = score
            elif finite(model):
                self.left_out[name] = "not a number for this model and these data"
            else:
                raise DivergedError(f"{name} is not a number: the model's weights are not finite")


def finite(model: Model) -> bool:
    """Whether no weight is NaN or infinite."""
    return all(bool(p.isfinite().all()) for p in model.parameters())


def _per_symbol(scores: dict[str, Score], test: Dataset) -> dict[str, Score]:
    """The likelihood in the units that fields of text and of sound are used to."""
    found: dict[str, Score] = {}
    if "bits_per_dim" not in scores:
        return found
    bits = scores["bits_per_dim"]
    if test.tokenizer is not None:
        name = "byte" if isinstance(test.tokenizer, ByteTokenizer) else "character"
        nats = math.log(2)
        error = None if bits.stderr is None else bits.stderr * nats
        found[f"nats_per_{name}"] = replace(bits, value=bits.value * nats, stderr=error)
    if test.event.kind == "audio":
        found["bits_per_sample"] = bits
    return found


def _parts(
    model: Model,
    test: Dataset,
    train: Dataset,
    samples: int,
    seed: int,
    features: str | Features | None,
    progress: Progress | None,
) -> list[_Part]:
    """What else is computed: the method it needs, the name that progress shows, and how."""
    x, context = test.take(torch.arange(len(test)))
    again: _Part = ("reconstruct", "mse", lambda: reconstruction(model, x, context))
    classify: _Part = ("classify", "accuracy", lambda: _classified(model, test))
    used: _Part = ("tokens", "codebook_perplexity", lambda: _codebook(model, x))
    if features is None and (test.tokenizer is not None or test.sample_rate is not None):
        # Distances between flat vectors say nothing about texts, nor about waves.
        return [classify] if test.tokenizer is not None else [again, classify, used]
    if features is None or isinstance(features, str):
        features = make_features(features or default_name(test), train)
    encoded = partial(_encoded, model, test, train, seed, features)
    parts: list[_Part] = [again, classify, used, ("encode", "active_units", encoded)]
    if min(len(test), len(train)) >= FEWEST:
        drawn = partial(_sampled, model, test, train, samples, seed, features, progress)
        parts.append(("sample", "sample", drawn))
    return parts


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
) -> Scores:
    """Every score that is true for a model, by name.

    Likelihoods (``nll``, ``elbo``, ``iwae_nll``, ``iwae_gap``, ``bits_per_dim``), the divergence
    from a known density (``kl``), how well a bijection inverts (``inverse_error``),
    reconstructions (``mse``, ``psnr``, ``ssim``), codes
    (``active_units``, ``aggregate_mmd``, ``path_distance``, ``probe_accuracy`` where there are
    labels, ``mig``, ``dci_*``, ``sap`` where factors are known), the model's own classifier
    (``accuracy``), the use of a codebook (``codebook_perplexity``), images made of their low
    resolution (:mod:`phosphene.evaluate.super_resolution`) and, with at least 20 examples
    of each split, fidelity of samples with floors (``frechet_distance``, ``kernel_distance``,
    ``precision``, ``recall``, ``density``, ``coverage``, ``c2st_accuracy``,
    ``sliced_wasserstein``, ``diversity``,
    ``memorization_ratio``).

    Text and sound get ``nats_per_character`` (or ``nats_per_byte``) and ``bits_per_sample``, the
    same of simple models (:func:`phosphene.evaluate.baselines.baselines`), and, unless features are
    given, nothing that compares flat vectors.

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
    scores = Scores()
    found = likelihood(model, x, context, particles=particles, seed=seed, progress=progress)
    scores.take(found, model)
    scores.take(_per_symbol(scores, dataset_test), model)
    if scores:
        scores.take(baselines(dataset_test, dataset_train), model)
    if hasattr(model, "inverse_error"):
        scores.take(_inverse(model, x, context), model)
    if dataset_test.log_prob is not None:
        scores.take(divergence(model, dataset_test, particles=particles, seed=seed), model)
    for method, name, compute in _parts(
        model, dataset_test, dataset_train, samples, seed, features, progress
    ):
        if hasattr(model, method):
            if progress:
                progress(name, 0.0)
            scores.take(compute(), model)
    if super_resolves(model, dataset_test):
        if progress:
            progress("super-resolution", 0.0)
        scores.take(super_resolution(model, dataset_test, seed=seed), model)
    return scores

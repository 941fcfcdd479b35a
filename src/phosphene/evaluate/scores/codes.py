"""What codes hold: active dimensions, how they fill the prior, holes, labels, true factors."""

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.model import Model
from phosphene.core.protocols import Decodes, Encodes, Posterior
from phosphene.core.rng import generator
from phosphene.evaluate.batches import ROWS, batches, evaluating
from phosphene.evaluate.disentanglement import disentanglement
from phosphene.evaluate.fidelity import FEWEST
from phosphene.evaluate.latents import (
    active_units,
    aggregate_mmd,
    encode,
    linear_probe,
    path_distance,
)
from phosphene.evaluate.metric import Metric
from phosphene.evaluate.missing_capability import lacking
from phosphene.evaluate.score import Score, mean_score
from phosphene.evaluate.scorer import Held, How, scorer

__all__ = ["against_prior", "codes"]

_PROBED = 5000
"""The most training examples that codes are computed for."""


@scorer(
    place=70,
    needs=(Encodes,),
    when=lambda model, held, how: how.features is not None,
    metrics=(
        Metric(
            "active_units",
            "Active latent dimensions",
            about="Those whose mean moves with the data.",
        ),
        Metric(
            "aggregate_mmd",
            "Codes against the prior",
            about="Squared maximum mean discrepancy of all codes together; 0 where they fill the "
            "prior.",
            better="lower",
        ),
        Metric(
            "path_distance",
            "Holes between codes",
            about="How far decoded paths between codes stray from data, against their ends.",
            better="lower",
            card=23,
        ),
        Metric(
            "probe_accuracy",
            "Linear probe",
            about="Labels read off the codes by a linear classifier.",
            better="higher",
            card=21,
        ),
        Metric(
            "mig",
            "Mutual information gap",
            about="Disentanglement; higher is better.",
            better="higher",
            column=6,
        ),
        Metric(
            "dci_disentanglement",
            "DCI disentanglement",
            about="One factor a code; higher is better.",
            better="higher",
        ),
        Metric(
            "dci_completeness",
            "DCI completeness",
            about="One code a factor; higher is better.",
            better="higher",
        ),
        Metric(
            "dci_informativeness",
            "DCI informativeness",
            about="Factors read off the codes.",
            better="higher",
        ),
        Metric("sap", "SAP score", about="Disentanglement; higher is better.", better="higher"),
    ),
)
def codes(model: Model, held: Held, how: How) -> dict[str, Score]:
    """Everything that is asked of the codes of test and of training examples, computed once."""
    (x, context), train = held.examples, held.train
    rows = torch.randperm(len(train), generator=generator(how.seed, 25))[:_PROBED]
    z, z_train = encode(model, x, context), encode(model, *train.take(rows))
    note = f"of {z.shape[1]}: variance of the code above 0.01"
    scores = {"active_units": Score(active_units(z), "count", note=note)}
    if isinstance(model, Posterior) and len(z) >= FEWEST:
        scores["aggregate_mmd"] = against_prior(model, x, context, how.seed)
    if isinstance(model, Decodes) and not model.context:
        scores["path_distance"] = _holes(model, x, train.x[rows[:1000]], how)
    scores |= _probed(model, held, rows, z, z_train)
    test = held.test
    if test.factors is not None and train.factors is not None and z.shape[1] > 1:
        factors = torch.cat([test.factors, train.factors[rows]])
        scores |= disentanglement(torch.cat([z, z_train]), factors, seed=how.seed)
    return scores


def against_prior(model: Model, x: Tensor, context: Context | None, seed: int) -> Score:
    """How far draws of q(z|x) are from the prior N(0, I), all examples together."""
    if not isinstance(model, Posterior):
        raise lacking(model, Posterior)
    parts = []
    with evaluating(model):
        for k, (part, c) in enumerate(batches(model, x, context)):
            mu, logvar = model.posterior(part, c)
            g = generator(seed, 23, k * ROWS, device=model.device)
            e = torch.randn(mu.shape, generator=g, dtype=mu.dtype, device=mu.device)
            parts.append((mu + (0.5 * logvar).exp() * e).double().flatten(1).cpu())
    z = torch.cat(parts)
    value, error = aggregate_mmd(z, seed=seed)
    prior = torch.randn(z.shape, generator=generator(seed, 24), dtype=z.dtype)
    floor = aggregate_mmd(prior, seed=seed)[0]
    return Score(value, "against N(0, I)", error, floor, "squared, unbiased, of draws of q(z|x)")


def _holes(model: Model, x: Tensor, reference: Tensor, how: How) -> Score:
    assert how.features is not None
    name = how.features.name
    value, error = path_distance(model, x, reference, how.features, seed=how.seed)
    note = "decoded paths between codes: inside over ends; 1 where there are no holes"
    return Score(value, f"{name} features", error, note=note, features=name)


def _probed(model: Model, held: Held, rows: Tensor, z: Tensor, z_train: Tensor) -> dict[str, Score]:
    """Labels read off the codes, where both splits have some."""
    y, y_train = held.test.y, None if held.train.y is None else held.train.y[rows]
    if y is None or y_train is None or not all(bool((v >= 0).any()) for v in (y, y_train)):
        return {}
    right = linear_probe((z_train, y_train), (z, y))
    note = "of labels by a linear classifier on codes"
    if model.context:
        note = "of labels from codes that were encoded given them: chance if independent"
    return {"probe_accuracy": mean_score(right.double(), "classifier", note)}

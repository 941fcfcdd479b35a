"""Likelihoods, each with its kind, and the divergence from a density that is known."""

from phosphene.core.model import Model
from phosphene.core.protocols import Bounded, Density, Estimated
from phosphene.data.dataset import Dataset
from phosphene.evaluate.likelihood import (
    evidence_bound,
    exact_log_prob,
    importance_weighted,
    likelihood,
)
from phosphene.evaluate.metric import Metric
from phosphene.evaluate.score import Score, mean_score
from phosphene.evaluate.scorer import Held, How, scorer

__all__ = ["divergence", "known_density", "likelihoods"]


@scorer(
    place=10,
    says="",
    needs=((Density, Estimated, Bounded),),
    metrics=(
        Metric(
            "nll",
            "Negative log-likelihood",
            unit="nats",
            about="Surprise of a test example; lower is better.",
            better="lower",
            card=10,
            ranks=1,
        ),
        Metric(
            "iwae_nll",
            "Negative log-likelihood",
            unit="nats",
            about="Surprise of a test example, by importance weighting; lower is better.",
            better="lower",
            card=11,
            instead="nll",
            ranks=2,
        ),
        Metric(
            "elbo",
            "Evidence lower bound",
            unit="nats",
            about="A floor under the log-likelihood; higher is better.",
            better="higher",
            card=12,
            ranks=3,
        ),
        Metric(
            "iwae_gap",
            "Gap of the bound",
            unit="nats",
            about="How much importance weighting adds to the evidence lower bound.",
        ),
        Metric(
            "bits_per_dim",
            "Bits per dimension",
            unit="bits",
            about="Negative log-likelihood per pixel.",
            better="lower",
            card=13,
            instead="bits_per_sample",
            column=1,
        ),
    ),
)
def likelihoods(model: Model, held: Held, how: How) -> dict[str, Score]:
    """Every likelihood that is true for the model."""
    x, context = held.examples
    return likelihood(
        model, x, context, particles=how.particles, seed=how.seed, progress=how.progress
    )


def divergence(
    model: Model, test: Dataset, *, particles: int = 500, seed: int = 0
) -> dict[str, Score]:
    r"""KL(p || model) = E_p[log p(x) - log q(x)] in nats where the true log-density p is known.

    Exact up to the test sample for a model with a density; an upper bound for one with a bound.
    """
    if test.log_prob is None:
        return {}
    x, context = Held(test, test).examples
    if isinstance(model, Density) or model.likelihood == "ode":
        log_q = exact_log_prob(model, x, context)
        kind = "ode" if model.likelihood == "ode" else "exact"
    elif isinstance(model, Bounded):
        if particles > 1 and model.weights_particles:
            log_q = importance_weighted(model, x, context, particles=particles, seed=seed + 1000)
            kind = "importance-weighted"
        else:
            log_q, kind = evidence_bound(model, x, context, seed=seed), "bound"
    else:
        return {}
    log_p = test.log_prob(x).detach().double().cpu()
    return {"kl": mean_score(log_p - log_q, kind, "KL(data || model), nats")}


@scorer(
    place=30,
    needs=((Density, Estimated, Bounded),),
    when=lambda model, held, how: held.test.log_prob is not None,
    metrics=(
        Metric(
            "kl",
            "KL divergence from the truth",
            unit="nats",
            about="The true density is known; 0 is perfect.",
            better="lower",
            card=14,
        ),
    ),
)
def known_density(model: Model, held: Held, how: How) -> dict[str, Score]:
    """The divergence, where the data know their density."""
    return divergence(model, held.test, particles=how.particles, seed=how.seed)

"""Every likelihood of the catalogue says what it is: its kind, and how it comes about."""

import pytest
import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.core.rng import generator
from phosphene.data import load
from phosphene.data.dataset import Dataset
from phosphene.evaluate.likelihood import likelihood
from phosphene.evaluate.scores.likelihoods import divergence
from phosphene.generative.autoencoder.vae import VAE
from phosphene.generative.autoregressive.nade import NADE
from phosphene.generative.composed.code_prior import CodePrior
from tests.laws.completion import shaken
from tests.laws.covers import cover
from tests.laws.support import cases, context_of, data_of, lived
from tests.laws.test_laws import MODELS

# The first variant of each event, alone and told something.
CASES = [case for row in MODELS for case in cases(row)]
FIRST = {(c.row.name, str(c.event), str(c.context)): c for c in reversed(CASES)}
KINDS = {"exact": "exact", "ode": "ode", "estimate": "estimate"}


@pytest.mark.parametrize("case", FIRST.values(), ids=lambda case: case.name)
def test_kinds_and_notes_are_true(case):
    model = lived(case.make, case.row, steps=1, own=True).eval()
    x, context = data_of(model, 6), context_of(model, 6, same=True)
    scores = likelihood(model, x, context, particles=3)
    assert bool(scores) == (model.likelihood != "none")
    if "nll" in scores:
        assert scores["nll"].kind == KINDS[model.likelihood]
    if hasattr(model, "elbo"):
        assert scores["elbo"].kind == "bound"
        assert ("iwae_nll" in scores) == model.weights_particles
    for name in ("iwae_nll", "iwae_gap"):
        if name in scores:
            assert scores[name].kind == "importance-weighted"
            assert scores[name].note.startswith("3 particles")
    if "bits_per_dim" in scores:
        best = next(scores[k] for k in ("nll", "iwae_nll", "elbo") if k in scores)
        assert (scores["bits_per_dim"].kind, scores["bits_per_dim"].note) == (best.kind, best.note)
    for score in scores.values():
        for part in model.context.names:
            assert part in score.note
        spread = hasattr(model, "dequantizer") or getattr(model, "dequantized", False)
        assert ("dequantization" in (score.note or "")) == spread


# Of each system that has a bound, codes and reals, alone and told something.
BOUNDED = [
    case
    for row in MODELS
    for case in cover(
        [c for c in FIRST.values() if c.row is row and hasattr(c.make(), "elbo")],
        lambda c: {("discrete", c.event.discrete), ("told", bool(c.context))},
    )
]


@pytest.mark.parametrize("case", BOUNDED, ids=lambda case: case.name)
def test_what_is_called_importance_weighted_is(case):
    """Weighted particles tighten a bound; the mean over particles stays what it was."""
    model = shaken(lived(case.make, case.row, steps=1, own=True).double()).eval()
    x, context = data_of(model, 8), context_of(model, 8, same=True)

    def bound(particles, seed):
        with torch.no_grad():
            return model.elbo(x, context, particles=particles, generator=generator(seed)).mean()

    one = torch.stack([bound(1, k) for k in range(40)])
    many = torch.stack([bound(8, 100 + k) for k in range(8)])
    error = float(one.std()) / 40**0.5 + float(many.std()) / 8**0.5 + 1e-9
    gain = float(many.mean() - one.mean())
    if model.weights_particles:
        assert gain > error
    else:
        assert abs(gain) < 4 * error


def test_the_bound_of_codes_is_not_called_importance_weighted():
    model = CodePrior(
        Event.image(1, 8, levels=2), codes={"codes": 2, "hidden": 8}, prior_system="fvsbn"
    )
    scores = likelihood(model, data_of(model, 4), particles=500)
    assert scores.keys() == {"elbo", "bits_per_dim"}
    assert {score.kind for score in scores.values()} == {"bound"}
    assert scores["elbo"].note == "by one code of each example"


def test_a_divergence_by_one_particle_is_a_bound():
    test = load("moons", "test")
    test = test.subset(torch.arange(20))
    model = VAE(Event.real(2), latent_dim=1, hidden=(4,))
    assert divergence(model, test, particles=1)["kl"].kind == "bound"
    assert divergence(model, test, particles=2)["kl"].kind == "importance-weighted"


def test_a_label_that_is_unknown_is_not_given():
    model = NADE(Event.binary(4), context=ContextSpec(label=3), hidden=2)
    x = data_of(model, 4)
    some = Context(label=torch.tensor([0, -1, 2, 1]))
    assert likelihood(model, x)["nll"].note is None
    assert likelihood(model, x, some)["nll"].note == "given the label where it is known"
    whole = Context(label=torch.tensor([0, 1, 2, 1]))
    assert likelihood(model, x, whole)["nll"].note == "given the label"
    unlabelled = Dataset(name="a", split="test", event=model.event, x=x)
    assert likelihood(model, unlabelled)["nll"].note is None

"""M1+M2: two phases that do not disturb each other, and a bound of the stacked model."""

import math

import pytest
import torch

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoencoder.stacked import StackedSemiSupervisedVAE

LABELS = ContextSpec(label=3)
EVENTS = [Event.binary(4), Event.image(1, 6, levels=2), Event.image(3, 4), Event.real(2, 3)]


def tiny(event, **settings):
    small = {"feature_dim": 2, "latent_dim": 2, "hidden": (8,), "second_hidden": (8,)}
    with seeded(0):
        return StackedSemiSupervisedVAE(event, context=LABELS, **{**small, **settings})


def examples(event, n=12):
    g = generator(0)
    if event.levels is None:
        return torch.randn(n, *event.shape, generator=g)
    return torch.randint(event.levels, (n, *event.shape), generator=g)


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_every_parameter_has_one_phase_and_a_gradient_there(event):
    model = tiny(event, shift=1 if event.has_image_shape else 0)
    batch = Batch.of(examples(event), Context(label=torch.full((12,), -1)))
    model.prepare(batch)
    phases = model.phases()
    seen = [id(p) for phase in phases for p in phase.parameters]
    assert sorted(seen) == sorted(id(p) for p in model.parameters())
    for phase in phases:
        model.zero_grad()
        phase.loss(batch).total.backward()
        mine = {id(p) for p in phase.parameters}
        for p in model.parameters():
            assert (p.grad is not None and bool(p.grad.isfinite().all())) == (id(p) in mine)


@pytest.mark.parametrize("event", EVENTS, ids=str)
@torch.no_grad()
def test_samples_styles_and_labels(event):
    model, x = tiny(event), examples(event)
    label = Context(label=torch.arange(12) % 3)
    for context in (None, label):
        event.check(model.sample(12, context, generator=generator(0)))
        assert model.elbo(x, context).shape == (12,)
        assert model.reconstruct(x, context).shape == x.shape
    a = model.sample(12, label, generator=generator(0))
    assert torch.equal(a, model.sample(12, label, generator=generator(0)))
    assert model.translate(x, label).shape == x.shape
    assert model.encode(x).shape == (12, 2)
    assert torch.allclose(model.classify(x).sum(1), torch.ones(12))


@torch.no_grad()
@pytest.mark.parametrize("label", [None, 1])
def test_bounds_are_ordered_and_below_the_exact_value(label):
    model = tiny(Event.binary(4)).double()
    x = torch.cartesian_prod(*[torch.tensor([0, 1])] * 4)
    context = None if label is None else Context(label=torch.full((16,), label))
    # p(x) by plain Monte Carlo over the model: z1 drawn as sample() draws it.
    n = 40_000
    many = None if label is None else Context(label=torch.full((n,), label))
    z1 = model.second.sample(n, many, generator=generator(5))
    params = model.features.decode_params(z1)
    p = torch.stack([model.features.output.log_prob(params, row[None]).exp() for row in x])
    exact, error = p.mean(1).log(), p.std(1) / math.sqrt(n) / p.mean(1)
    assert float(p.mean(1).sum()) == pytest.approx(1.0, abs=3e-3)
    means, errors = [], []
    for particles in (1, 8, 40):
        g = generator(particles)
        draws = torch.stack(
            [model.elbo(x, context, particles=particles, generator=g) for _ in range(10)]
        )
        means.append(draws.mean(0))
        errors.append(draws.std(0) / math.sqrt(10))
    for low, high, a, b in zip(means, means[1:], errors, errors[1:], strict=False):
        assert (low <= high + 4 * (a + b)).all()
    assert (means[-1] <= exact + 4 * (errors[-1] + error)).all()
    assert (exact - means[-1]).max() < 0.2


@pytest.mark.parametrize(
    ("event", "context", "settings", "error", "words"),
    [
        (Event.binary(4), None, {}, EventError, "needs a context of labels alone"),
        (Event.binary(4), ContextSpec(vector=Event.real(2)), {}, EventError, "got vector"),
        (Event.tokens(4, 5), LABELS, {}, EventError, "no order"),
        (Event.binary(4), LABELS, {"feature_dim": 0}, ConfigError, "at least 1"),
        (Event.binary(4), LABELS, {"shift": 2}, ConfigError, "shift=2"),
    ],
)
def test_bad_settings(event, context, settings, error, words):
    with pytest.raises(error, match=words):
        StackedSemiSupervisedVAE(event, context=context, **settings)

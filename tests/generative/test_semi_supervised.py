"""Semi-supervised VAE: the bounds against enumeration, masks, style and label."""

import math

import numpy as np
import pytest
import torch

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoencoder.semi_supervised import SemiSupervisedVAE

LABELS = ContextSpec(label=3)
EVENTS = [Event.binary(4), Event.image(1, 6, levels=2), Event.image(3, 4), Event.real(2, 3)]


def tiny(seed=0, event=None, **settings):
    settings = {"latent_dim": 1, "hidden": (8,), "classifier_hidden": (8,), **settings}
    with seeded(seed):
        model = SemiSupervisedVAE(event or Event.binary(4), context=LABELS, **settings).double()
    with torch.no_grad():  # weights large enough that nothing is nearly constant
        for p in model.parameters():
            p.mul_(2)
        model.head.weight.mul_(0.1)  # a posterior near the prior: importance weights are tame
        model.head.bias.zero_()
    return model


def every_x():
    return torch.cartesian_prod(*[torch.tensor([0, 1])] * 4)


def exact_joint(model, x):
    """log p(x, y) (n, K) by Gauss-Hermite quadrature over the one latent."""
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(60))
    log_w = (weights / math.sqrt(2 * math.pi)).log()
    params = model._params(nodes[:, None].expand(3, 60, 1))
    params = params[:, :, None].expand(-1, -1, len(x), -1, -1)
    per_class = [model.output.log_prob(p, x) for p in params]
    return torch.stack([(q + log_w[:, None]).logsumexp(0) for q in per_class], 1) - math.log(3)


def examples(event, n=12):
    g = generator(0)
    if event.levels is None:
        return torch.randn(n, *event.shape, generator=g)
    return torch.randint(event.levels, (n, *event.shape), generator=g)


@torch.no_grad()
def test_exact_joint_sums_to_one():
    assert float(exact_joint(tiny(), every_x()).logsumexp((0, 1))) == pytest.approx(0, abs=1e-6)


@torch.no_grad()
def test_unlabelled_bound_is_logsumexp_over_labels_where_the_classifier_is_optimal():
    model, x = tiny(), every_x()
    eps = torch.randn(16, 1, generator=generator(1), dtype=torch.float64)
    bounds = model._bounds(x, eps)
    model._log_q = lambda x, uniform=None: torch.log_softmax(bounds, 1)
    model._noise = lambda n, generator: eps
    assert torch.allclose(model.elbo(x), bounds.logsumexp(1), atol=1e-10)


@torch.no_grad()
def test_unlabelled_bound_is_below_logsumexp_for_any_classifier():
    model, x = tiny(), every_x()
    eps = torch.randn(16, 1, generator=generator(1), dtype=torch.float64)
    model._noise = lambda n, generator: eps
    assert (model.elbo(x) < model._bounds(x, eps).logsumexp(1)).all()


@torch.no_grad()
@pytest.mark.parametrize("label", [None, 0, 2])
def test_bounds_are_ordered_and_below_the_exact_value(label):
    model, x = tiny(), every_x()
    joint = exact_joint(model, x)
    context = None if label is None else Context(label=torch.full((16,), label))
    exact = joint.logsumexp(1) if label is None else joint[:, label] + math.log(3)
    means, errors = [], []
    for particles in (1, 10, 200):
        g = generator(particles)
        draws = torch.stack(
            [model.elbo(x, context, particles=particles, generator=g) for _ in range(20)]
        )
        means.append(draws.mean(0))
        errors.append(draws.std(0) / math.sqrt(20))
    for low, high, a, b in zip(means, means[1:], errors, errors[1:], strict=False):
        assert (low <= high + 4 * (a + b)).all()
    assert (means[-1] <= exact + 4 * errors[-1]).all()
    assert (exact - means[-1]).max() < 0.1


@torch.no_grad()
def test_loss_is_the_masked_sum_of_its_parts():
    model, x = tiny(alpha=7.0, classifier_dropout=0.0), every_x()
    label = torch.tensor([-1, 0, 1, 2] * 4)
    batch = Batch.of(x, Context(label=label))
    loss = model.loss(batch)
    eps = Batch.of(x).normal((1,)).double()
    bounds, log_q = model._bounds(x, eps), model._log_q(x)
    total = 0.0
    for i in range(16):
        if label[i] < 0:
            total -= float((log_q[i].exp() * (bounds[i] - log_q[i])).sum())
        else:
            total -= float(bounds[i, label[i]] + 7.0 * log_q[i, label[i]])
    assert float(loss.total) == pytest.approx(total / 16)
    known = label >= 0
    cross_entropy = -log_q[known, label[known]].sum() / 16
    assert float(loss.terms["cross_entropy"].mean()) == pytest.approx(float(cross_entropy))


@pytest.mark.parametrize("labels", ["none", "some", "all"])
@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_every_parameter_has_a_gradient_whatever_is_labelled(event, labels):
    model = SemiSupervisedVAE(event, context=LABELS, latent_dim=2)
    x = examples(event)
    label = torch.arange(12) % 3
    keep = {"none": 0, "some": 4, "all": 12}[labels]
    label = torch.where(torch.arange(12) < keep, label, -1)
    batch = Batch.of(x, Context(label=label))
    model.prepare(batch)
    model.loss(batch).total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("network", ["conv", "resnet"])
def test_image_networks(network):
    event = Event.image(1, 6, levels=2)
    model = SemiSupervisedVAE(
        event, context=LABELS, network=network, classifier=network, shift=1, latent_dim=2
    )
    batch = Batch.of(examples(event), Context(label=torch.arange(12) % 3 - 1))
    loss = model.loss(batch)
    loss.total.backward()
    assert all(p.grad is not None for p in model.parameters())
    halves = [model.loss(batch[part]).total for part in (slice(0, 6), slice(6, 12))]
    assert torch.allclose(loss.total, sum(halves) / 2, rtol=1e-4)


@pytest.mark.parametrize("event", EVENTS, ids=str)
@torch.no_grad()
def test_samples_and_translations(event):
    model = SemiSupervisedVAE(event, context=LABELS, latent_dim=2)
    x = examples(event)
    label = Context(label=torch.arange(12) % 3)
    for context in (None, label, Context(label=torch.full((12,), -1))):
        event.check(model.sample(12, context, generator=generator(0)))
        assert model.elbo(x, context).shape == (12,)
        assert model.reconstruct(x, context).shape == x.shape
    a = model.sample(12, label, generator=generator(0))
    assert torch.equal(a, model.sample(12, label, generator=generator(0)))
    other = model.translate(x, label)
    assert other.shape == x.shape
    assert torch.equal(other, model.decode(model.encode(x), label))
    p = model.classify(x)
    assert torch.allclose(p.sum(1), torch.ones(12))


@torch.no_grad()
def test_unknown_label_decodes_to_the_mean_over_labels():
    model = tiny()
    z = torch.randn(5, 1, dtype=torch.float64)
    each = [model.decode(z, Context(label=torch.full((5,), y))) for y in range(3)]
    assert torch.allclose(model.decode(z), torch.stack(each).mean(0))


def test_withheld_labels_are_unknown():
    model, x = tiny(), every_x()
    label = torch.zeros(16, dtype=torch.long)
    dropped = Context(label=label, dropped=torch.ones(16, dtype=torch.bool))
    a = model.elbo(x, dropped, generator=generator(0))
    assert torch.equal(a, model.elbo(x, generator=generator(0)))


@pytest.mark.parametrize(
    ("event", "context", "settings", "error", "words"),
    [
        (Event.binary(4), None, {}, EventError, "needs a context of labels alone"),
        (Event.binary(4), ContextSpec(vector=Event.real(2)), {}, EventError, "got vector"),
        (Event.binary(4), ContextSpec(label=1), {}, EventError, "at least 2 classes"),
        (Event.tokens(4, 5), LABELS, {}, EventError, "no order"),
        (Event.binary(4), LABELS, {"latent_dim": 0}, ConfigError, "latent_dim"),
        (Event.binary(4), LABELS, {"alpha": -1.0}, ConfigError, "alpha"),
        (Event.binary(4), LABELS, {"shift": 2}, ConfigError, "shift=2"),
        (Event.binary(4), LABELS, {"hidden": ()}, ConfigError, "at least one width"),
        (Event.binary(4), LABELS, {"network": "conv"}, ConfigError, "needs an image event"),
        (Event.real(4), LABELS, {"decoder": "bernoulli"}, EventError, "cannot model"),
    ],
)
def test_bad_settings(event, context, settings, error, words):
    with pytest.raises(error, match=words):
        SemiSupervisedVAE(event, context=context, **settings)


def test_bad_data():
    model, x = tiny(), every_x()
    with pytest.raises(EventError, match=r"labels must lie in 0\.\.2"):
        model.elbo(x, Context(label=torch.full((16,), 3)))
    with pytest.raises(EventError, match="3 rows for 16 examples"):
        model.elbo(x, Context(label=torch.zeros(3, dtype=torch.long)))
    with pytest.raises(ConfigError, match="particles must be at least 1"):
        model.elbo(x, particles=0)
    with pytest.raises(EventError, match="codes must lie in"):
        model.classify(x + 1)

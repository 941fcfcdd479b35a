"""The VAE: bounds against exact likelihoods, particles against a naive loop, noise, settings."""

import math

import numpy as np
import pytest
import torch

from phosphene.core.batch import Batch, Noise
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, PhospheneError
from phosphene.core.event import Event
from phosphene.core.rng import seeded
from phosphene.core.trainable import load_tensors, tensors
from phosphene.generative.autoencoder.importance import ImportanceWeightedAutoencoder
from phosphene.generative.autoencoder.prior import LatentPrior, fit_prior
from phosphene.generative.autoencoder.vae import VAE
from phosphene.nn.gaussian import log_normal, log_standard_normal

EVENTS = [
    Event.binary(9),
    Event.image(1, 8, levels=2),
    Event.image(3, (6, 9), levels=256),
    Event.real(2),
    Event.audio(12, levels=16),
]


def build(event, seed=0, **settings):
    with seeded(seed):
        return VAE(event, **{"latent_dim": 3, "hidden": (12,), **settings})


def examples(event, n=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    if event.levels is None:
        return torch.randn(n, *event.shape, generator=g)
    return torch.randint(event.levels, (n, *event.shape), generator=g, dtype=torch.uint8)


def settled(event, steps=30, **settings):
    """A model in float64 whose posterior has moved."""
    model = build(event, **settings).double()
    x = examples(event, 32)
    model.prepare(Batch.of(x))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(steps):
        optimizer.zero_grad()
        model.loss(Batch.of(x, seed=step)).total.backward()
        optimizer.step()
    return model


@pytest.fixture(scope="module")
def binary():
    return settled(Event.binary(4), latent_dim=1)


def all_states(d):
    return torch.cartesian_prod(*[torch.arange(2)] * d).to(torch.uint8)


def exact_log_prob(model, x):
    """By Gauss-Hermite quadrature over the one-dimensional latent."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    z = torch.from_numpy(nodes)[:, None]
    log_weights = torch.from_numpy(np.log(weights / weights.sum()))
    with torch.no_grad():
        params = model.decode_params(z)[:, None].expand(-1, len(x), -1, -1)
        return torch.logsumexp(log_weights[:, None] + model.output.log_prob(params, x), 0)


def test_marginal_sums_to_one(binary):
    assert abs(float(exact_log_prob(binary, all_states(4)).exp().sum()) - 1) < 1e-10


def test_bounds_rise_to_the_exact_likelihood(binary):
    x = all_states(4)
    exact = exact_log_prob(binary, x).mean()
    bounds = []
    with torch.no_grad():
        for particles in (1, 10, 100, 1000):
            g = torch.Generator().manual_seed(particles)
            rounds = [binary.elbo(x, particles=particles, generator=g) for _ in range(40)]
            bounds.append(float(torch.stack(rounds).mean()))
    assert bounds == sorted(bounds)
    assert bounds[0] < float(exact)
    assert abs(bounds[-1] - float(exact)) < 2e-3


def test_gap_of_the_elbo_is_the_divergence_from_the_posterior(binary):
    """ELBO + KL(q(z|x) || p(z|x)) = log p(x), every term by quadrature."""
    x = all_states(4)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    w = torch.from_numpy(weights / weights.sum())[:, None]
    with torch.no_grad():
        mu, logvar = binary.posterior(x)
        z = mu + (0.5 * logvar).exp() * torch.from_numpy(nodes)[:, None, None]
        log_joint = binary.output.log_prob(binary._params(z, None), x) + log_standard_normal(z)
        log_q = log_normal(z, mu, logvar)
        elbo = (w * (log_joint - log_q)).sum(0)
        gap = (w * (log_q - (log_joint - exact_log_prob(binary, x)))).sum(0)
        torch.testing.assert_close(elbo + gap, exact_log_prob(binary, x), atol=1e-8, rtol=0)
        assert (gap > 0).all()
        g = torch.Generator().manual_seed(0)
        drawn = torch.stack([binary.elbo(x, generator=g) for _ in range(400)])
    error = 5 * drawn.std(0) / math.sqrt(400)
    assert (torch.abs(drawn.mean(0) - elbo) < error).all()


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_importance_bound_equals_a_naive_loop(event):
    """Streamed and batched particles give what a loop over examples and particles gives."""
    model = settled(event, steps=3)
    x, particles = examples(event, 5), 7
    with torch.no_grad():
        fast = model.elbo(x, particles=particles, generator=torch.Generator().manual_seed(1))
        eps = torch.randn(
            particles, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64
        )
        for i in range(5):
            mu, logvar = model.posterior(x[i : i + 1])
            log_w = []
            for k in range(particles):
                z = mu + (0.5 * logvar).exp() * eps[k, i]
                p = model.output.log_prob(model.decode_params(z), x[i : i + 1])
                log_w.append(p + log_standard_normal(z) - log_normal(z, mu, logvar))
            naive = torch.logsumexp(torch.cat(log_w), 0) - math.log(particles)
            torch.testing.assert_close(fast[i], naive, atol=1e-10, rtol=1e-10)


def test_streaming_does_not_change_the_bound(binary, monkeypatch):
    """With one row the noise is drawn in the same order whatever the chunks (of 16 numbers)."""
    x = all_states(4)[3:4]
    whole = binary.elbo(x, particles=512, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr("phosphene.generative.autoencoder.vae._ROWS", 64)
    parts = binary.elbo(x, particles=512, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(whole, parts, atol=1e-12, rtol=0)


@pytest.mark.parametrize("event", EVENTS, ids=str)
@pytest.mark.parametrize("network", ["mlp", "conv", "resnet"])
@pytest.mark.parametrize("labels", [False, True])
def test_trains_scores_and_samples(event, network, labels):
    if network != "mlp" and not event.has_image_shape:
        pytest.skip("convolutions are for images")
    spec = ContextSpec(label=4) if labels else None
    settings = {"shift": 1.0, "warp": 0.1} if event.has_image_shape else {}
    model = build(event, network=network, context=spec, dropout=0.2, **settings)
    x = examples(event)
    c = Context(label=torch.tensor([0, 1, 2, 3, -1, 0])) if labels else Context()
    batch = Batch.of(x, c)
    model.prepare(batch)
    loss = model.loss(batch)
    loss.total.backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert torch.isfinite(p.grad).all(), name
    elbo = loss.terms["reconstruction"] - loss.terms["kl"]
    torch.testing.assert_close(loss.terms["elbo"], elbo)
    torch.testing.assert_close(-loss.total, elbo.mean())
    sample = model.sample(6, c, generator=torch.Generator().manual_seed(0))
    event.check(sample)
    assert torch.equal(sample, model.sample(6, c, generator=torch.Generator().manual_seed(0)))
    assert model.sample_mean(6, c).shape == model.reconstruct(x, c).shape == (6, *event.shape)
    assert model.elbo(x, c, particles=3).shape == (6,)


@pytest.mark.parametrize("decoder", ["categorical", "discretized-gaussian", "discretized-logistic"])
def test_other_decoders_train(decoder):
    event = Event.image(1, 4, levels=5)
    model = build(event, decoder=decoder)
    batch = Batch.of(examples(event))
    model.prepare(batch)
    model.loss(batch).total.backward()
    event.check(model.sample(3))


@pytest.mark.parametrize(
    "settings", [{}, {"particles": 3}, {"dropout": 0.3}, {"shift": 2.0}, {"warp": 0.3}]
)
def test_loss_does_not_depend_on_slicing(settings):
    """Micro-batches and ranks see slices of one noise: their mean is the whole's loss."""
    event = Event.image(1, 8, levels=2)
    model = build(event, **settings).double()
    x = examples(event, 300)

    def batch():
        return Batch(x, torch.arange(300), Context(), Noise((5, 1), 0, 300))

    whole = model.loss(batch()).total
    parts = [
        model.loss(batch()[a:b]).total * (b - a) for a, b in ((0, 100), (100, 150), (150, 300))
    ]
    torch.testing.assert_close(whole, sum(parts) / 300, atol=1e-10, rtol=0)


def test_importance_loss_is_the_bound_and_its_gradient_flows():
    event = Event.binary(6)
    model = settled(event, steps=5, particles=8)
    batch = Batch.of(examples(event, 32), seed=3)
    loss = model.loss(batch)
    total = loss.total.detach()
    torch.testing.assert_close(-total, loss.terms["elbo"].mean())
    with torch.no_grad():
        g = torch.Generator().manual_seed(0)
        rounds = torch.stack([model.elbo(batch.x, particles=8, generator=g) for _ in range(30)])
    assert abs(float(rounds.mean() + total)) < 0.5
    assert float(loss.terms["elbo"].mean()) >= float(
        (loss.terms["reconstruction"] - loss.terms["kl"]).mean()
    )
    iwae = ImportanceWeightedAutoencoder(event, hidden=(8,), latent_dim=2)
    assert iwae.particles == 5
    iwae.loss(batch).total.backward()


def test_dropout_and_shift_act_in_training_only():
    event = Event.image(1, 8, levels=2)
    model = build(event, dropout=0.5, shift=3)
    x = examples(event)
    losses = {float(model.loss(Batch.of(x, seed=s)).total.detach()) for s in range(3)}
    assert len(losses) == 3
    assert torch.equal(model.encode(x), model.encode(x))


def test_distortions_are_told_and_do_not_leak():
    """The networks see the distortion in training and zeros ever after."""
    event = Event.image(1, 8, levels=2)
    model = build(event, shift=2.0, context=ContextSpec(label=2))
    seen = []
    model.decoder.register_forward_pre_hook(lambda _, args: seen.append(args[1][..., -5:]))
    x, c = examples(event), Context(label=torch.zeros(6, dtype=torch.long))
    model.loss(Batch.of(x, c))
    assert seen[0].abs().max() > 0
    model.elbo(x, c, particles=3)
    model.reconstruct(x, c)
    model.sample(6, c)
    model.eval().loss(Batch.of(x, c))
    assert all((v == 0).all() for v in seen[1:])
    assert len(seen) == 5


def test_validation_loss_has_neither_dropout_nor_distortions():
    event = Event.image(1, 8, levels=2)
    plain, noisy = build(event), build(event, dropout=0.5)
    batch = examples(event)
    losses = [model.eval().loss(Batch.of(batch)).total for model in (plain, noisy)]
    assert torch.equal(*losses)


def test_free_bits_charge_only_what_exceeds_them():
    event = Event.binary(6)
    batch = Batch.of(examples(event))
    plain, free = build(event), build(event, free_bits=100.0)
    expected = -plain.loss(batch).terms["reconstruction"].mean() + 300.0
    torch.testing.assert_close(free.loss(Batch.of(batch.x)).total, expected)


class Engine:
    def __init__(self, number):
        self.number = number

    def all_reduce(self, value):
        return value


def test_warmup_raises_the_weight_of_the_kl_and_is_saved():
    event = Event.binary(6)
    model = build(event, warmup=4)
    warm, train = model.phases()
    batch = Batch.of(examples(event))
    weights = []
    for step in range(6):
        warm.update(batch, Engine(step))
        weights.append(float(model.kl_weight))
    assert weights == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert "kl_weight" in tensors(model)
    model.kl_weight.fill_(0.5)
    loss = train.loss(Batch.of(batch.x))
    expected = loss.terms["reconstruction"] - 0.5 * loss.terms["kl"]
    torch.testing.assert_close(-loss.total, expected.mean())
    torch.testing.assert_close(loss.terms["elbo"], loss.terms["reconstruction"] - loss.terms["kl"])


def test_published_architecture():
    """Kingma and Welling's MNIST network: one hidden layer of 500 tanh units either way."""
    model = VAE(Event.image(1, 28, levels=2), latent_dim=20, hidden=(500,), activation="tanh")
    d, h, k = 784, 500, 20
    encoder = (d + 1) * h + (h + 1) * 2 * k
    decoder = (k + 1) * h + (h + 1) * d
    assert sum(p.numel() for p in model.parameters()) == encoder + decoder


def test_weights_survive_saving():
    event = Event.image(1, 8, levels=17)
    a, b = build(event, seed=0), build(event, seed=1)
    a.prepare(Batch.of(examples(event)))
    load_tensors(b, tensors(a), "test")
    x = examples(event)
    assert torch.equal(a.encode(x), b.encode(x))


def test_standardization_makes_units_irrelevant():
    """The same data in another unit: the density changes by the unit alone."""
    event = Event.real(2)
    x = torch.randn(64, 2)
    models = []
    for unit in (1.0, 1000.0):
        model = build(event)
        model.prepare(Batch.of(x * unit))
        models.append(model.elbo(x * unit, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(models[0], models[1] + 2 * math.log(1000.0), atol=1e-3, rtol=0)


def test_a_fitted_prior_is_used_by_samples_and_bound():
    event = Event.binary(4)
    model = settled(event, latent_dim=1)
    x = all_states(4)
    prior = fit_prior(model, x.repeat(20, 1), kind="mixture", components=3)
    assert isinstance(prior, LatentPrior)
    event.check(model.sample(5, prior=prior))
    z = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        params = model.decode_params(z)[:, None].expand(-1, 16, -1, -1)
        log_p = prior.log_prob(z)[:, None] + model.output.log_prob(params, x)
        exact = torch.logsumexp(log_p, 0) + math.log(24 / 4000)
        bound = model.elbo(x, particles=3000, prior=prior)
    assert abs(float(exact.exp().sum()) - 1) < 1e-6
    torch.testing.assert_close(bound, exact, atol=0.1, rtol=0)


def test_standard_normal_as_a_fitted_prior_changes_nothing(binary):
    one = torch.ones(1, 1, dtype=torch.float64)
    prior = LatentPrior(one[0], one * 0, one[None])
    x = all_states(4)
    bounds = [
        binary.elbo(x, particles=20, generator=torch.Generator().manual_seed(0), prior=p)
        for p in (None, prior)
    ]
    torch.testing.assert_close(*bounds, atol=1e-10, rtol=0)


def test_gradients_reach_the_input_of_a_real_event():
    model = build(Event.real(2))
    x = torch.randn(3, 2, requires_grad=True)
    model.elbo(x, particles=3).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize(
    ("make", "error", "word"),
    [
        (lambda: VAE(Event.tokens(6, 5)), EventError, "tokens"),
        (lambda: VAE(Event.real(2), decoder="bernoulli"), EventError, "gaussian"),
        (lambda: VAE(Event.image(1, 8), decoder="gaussian"), EventError, "discretized-logistic"),
        (lambda: VAE(Event.binary(4), decoder="bernouli"), PhospheneError, "did you mean"),
        (lambda: VAE(Event.binary(4), network="conv"), ConfigError, "image"),
        (lambda: VAE(Event.binary(4), network="cnn"), PhospheneError, "network"),
        (lambda: VAE(Event.binary(4), latent_dim=0), ConfigError, "latent_dim"),
        (lambda: VAE(Event.binary(4), particles=0), ConfigError, "particles"),
        (lambda: VAE(Event.binary(4), particles=2, free_bits=1.0), ConfigError, "free_bits"),
        (lambda: VAE(Event.binary(4), shift=1.0), ConfigError, "shift"),
        (lambda: VAE(Event.image(1, 8), warp=-1.0), ConfigError, "warp"),
        (lambda: VAE(Event.binary(4), warmup=-1), ConfigError, "warmup"),
        (lambda: VAE(Event.binary(4), dropout=1.5), ConfigError, "dropout"),
        (lambda: VAE(Event.binary(4), hidden=(4, -1)), ConfigError, "widths"),
        (lambda: VAE(Event.binary(4), activation="rleu"), PhospheneError, "'relu'"),
        (
            lambda: VAE(Event.binary(4), context=ContextSpec(image=Event.image(1, 8))),
            EventError,
            "'image'",
        ),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(make, error, word):
    with pytest.raises(error, match=word) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_bad_input_is_refused():
    model = build(Event.binary(4), context=ContextSpec(label=3))
    x, c = torch.zeros(2, 4), Context(label=torch.tensor([0, 1]))
    with pytest.raises(EventError, match="shape"):
        model.elbo(torch.zeros(2, 5), c)
    with pytest.raises(EventError, match="codes must lie in"):
        model.encode(x + 2, c)
    with pytest.raises(EventError, match="lacks it"):
        model.elbo(x)
    with pytest.raises(EventError, match="labels must lie in"):
        model.sample(2, Context(label=torch.tensor([0, 3])))
    with pytest.raises(EventError, match="2 rows for 5 examples"):
        model.sample(5, c)
    with pytest.raises(ConfigError, match="particles"):
        model.elbo(x, c, particles=0)

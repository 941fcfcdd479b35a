"""Boltzmann machines and GSN: normalizers, stationary laws, gradients, chains."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.data.bars import patterns
from phosphene.generative.energy.annealed import annealed_importance, sigmoid_schedule
from phosphene.generative.energy.boltzmann import BoltzmannMachine
from phosphene.generative.energy.gsn import GSN, stationary
from phosphene.generative.energy.rbm import RBM
from phosphene.generative.energy.units import binary_states


def rbm(dimensions: int = 5, hidden: int = 4, scale: float = 1.0, **settings: object) -> RBM:
    with seeded(1):
        model = RBM(Event.binary(dimensions), hidden=hidden, **settings).double()  # type: ignore
        for p in model.parameters():
            torch.nn.init.normal_(p, std=scale)
    return model.eval()


def machine(dimensions: int = 5, hidden: int = 0, **settings: object) -> BoltzmannMachine:
    with seeded(2):
        event = Event.binary(dimensions)
        model = BoltzmannMachine(event, hidden=hidden, **settings).double()  # type: ignore
        for p in model.parameters():
            torch.nn.init.normal_(p)
    return model.eval()


# -- the restricted machine -------------------------------------------------------------------


@pytest.mark.parametrize(("dimensions", "hidden"), [(5, 4), (4, 7)])
def test_rbm_sums_over_the_hidden_units(dimensions: int, hidden: int) -> None:
    model = rbm(dimensions, hidden)
    v, h = (binary_states(n, model.a) for n in (dimensions, hidden))
    with torch.no_grad():
        joint = v @ model.a + (h @ model.b)[:, None] + h @ model.W @ v.T
        wanted = torch.logsumexp(joint, 0) - torch.logsumexp(joint.flatten(), 0)
        assert torch.allclose(model.log_prob(v), wanted, atol=1e-12)
        assert float(model.log_prob(v).exp().sum()) == pytest.approx(1.0, abs=1e-12)


def test_rbm_block_gibbs_leaves_its_law_alone() -> None:
    model = rbm(4, 3)
    v, h = binary_states(4, model.a), binary_states(3, model.a)
    with torch.no_grad():
        p = model.log_prob(v).exp()
        ph = torch.sigmoid(model.hidden_logits(v))[:, None]
        pv = torch.sigmoid(model.visible_logits(h))[:, None]
        up = torch.where(h[None] > 0, ph, 1 - ph).prod(-1)
        down = torch.where(v[None] > 0, pv, 1 - pv).prod(-1)
        assert torch.allclose(p @ up @ down, p, atol=1e-14)


def test_rbm_agrees_with_scikit_learn() -> None:
    from sklearn.neural_network import BernoulliRBM

    model = rbm(6, 5)
    peer = BernoulliRBM(n_components=5)
    peer.components_ = model.W.detach().numpy()
    peer.intercept_visible_ = model.a.detach().numpy()
    peer.intercept_hidden_ = model.b.detach().numpy()
    v = binary_states(6, model.a)
    with torch.no_grad():
        assert np.abs(peer._free_energy(v.numpy()) - model.free_energy(v).numpy()).max() < 1e-6
        assert (
            np.abs(peer.transform(v.numpy()) - torch.sigmoid(model.hidden_logits(v)).numpy()).max()
            < 1e-6
        )


def test_rbm_pseudo_likelihood_is_of_its_conditionals() -> None:
    model = rbm(4, 6)
    v = binary_states(4, model.a)
    with torch.no_grad():
        p = model.log_prob(v)
        wanted = torch.zeros(len(v), dtype=torch.float64)
        for i in range(4):
            other = v.clone()
            other[:, i] = 1 - other[:, i]
            wanted += p - torch.logaddexp(p, model.log_prob(other))
        assert torch.allclose(model.pseudo_log_likelihood(v), wanted, atol=1e-12)


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_ais_agrees_with_enumeration_on_twelve_hidden_units(scale: float) -> None:
    model = rbm(30, 12, scale, ais_chains=200, ais_temperatures=1000)
    with torch.no_grad():
        exact, estimate = model.log_normalizer().value, model.estimate_log_z()
    assert abs(estimate.value - exact) < 0.05
    assert abs(estimate.value - exact) < 4 * estimate.stderr + 1e-3
    assert estimate.effective > 20


def test_ais_of_one_step_is_importance_sampling() -> None:
    model = rbm(4, 3)
    v = binary_states(4, model.a)
    with torch.no_grad():
        exact = model.log_normalizer().value
        got = annealed_importance(
            v, lambda x, b: -b * model.free_energy(x), lambda x, b: x, [0.0, 1.0], 4 * math.log(2)
        )
    # Over all states of a uniform base, the mean weight is Z_1 / Z_0 exactly.
    assert got.value == pytest.approx(exact, abs=1e-12)
    assert sigmoid_schedule(10) == sorted(sigmoid_schedule(10))


def test_contrastive_divergence_has_the_gradient_of_its_energies() -> None:
    model = rbm(4, 3, learning="cd").train()
    x = binary_states(4, model.a)
    batch = Batch.of(x, seed=3)
    v = model._reconstructed(x, Batch.of(x, seed=3))
    given = torch.autograd.grad(model.loss(batch).total, list(model.parameters()))
    h, k = torch.sigmoid(model.hidden_logits(x)), torch.sigmoid(model.hidden_logits(v))
    wanted = (-(x - v).mean(0), -(h - k).mean(0), -(h.T @ x - k.T @ v) / len(x))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(given, wanted, strict=True))


def test_exchanges_keep_every_temperature_at_its_law() -> None:
    model = rbm(3, 2, learning="tempering", temperatures=3, chains=20_000)
    states, g = binary_states(3, model.a), generator(4)
    with torch.no_grad():
        for k, beta in enumerate(model.betas):
            p = torch.softmax(-model.free_energy(states, beta), 0)
            model.chains[k] = states[torch.multinomial(p, 20_000, replacement=True, generator=g)]
        for number in range(4):
            hidden = []
            for k, beta in enumerate(model.betas):
                model.chains[k], h = model.gibbs_step(model.chains[k], g, beta)
                hidden.append(h)
            assert float(model._exchange(torch.stack(hidden), number, g)) > 0.05
        place = torch.tensor([4.0, 2.0, 1.0]).double()
        for k, beta in enumerate(model.betas):
            p = torch.softmax(-model.free_energy(states, beta), 0)
            counts = torch.bincount((model.chains[k] @ place).long(), minlength=8) / 20_000
            assert float((counts - p).abs().max()) < 0.02


# -- the general machine ----------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [0, 3])
def test_machine_sums_to_one_and_learns_by_correlations(hidden: int) -> None:
    model = machine(4, hidden).train()
    x = binary_states(4, model.b)
    assert float(model.log_prob(x).exp().sum().detach()) == pytest.approx(1.0, abs=1e-12)
    data = x[[1, 1, 6, 9]]
    given = torch.autograd.grad(model.loss(Batch.of(data)).total, [model.w, model.b])
    # Ackley, Hinton and Sejnowski: model's <s_i s_j> less that with the example given.
    s = binary_states(model.units, model.b)
    with torch.no_grad():
        p = torch.softmax(model.negative_energy(s), 0)
        clamped = torch.zeros_like(p)
        for v in data:
            fits = (s[:, :4] == v).all(1)
            clamped += fits * p / p[fits].sum() / len(data)
        above = torch.triu_indices(model.units, model.units, 1)
        pairs = s[:, above[0]] * s[:, above[1]]
    assert torch.allclose(given[0], (p - clamped) @ pairs, atol=1e-10)
    assert torch.allclose(given[1], (p - clamped) @ s, atol=1e-10)


def test_machine_sweeps_leave_its_law_alone() -> None:
    model = machine(4)
    s = binary_states(4, model.b)
    place = (2 ** torch.arange(3, -1, -1)).double()
    with torch.no_grad():
        p = torch.softmax(model.negative_energy(s), 0)
        kernel = torch.eye(16).double()
        for i in range(4):
            step = torch.zeros(16, 16).double()
            q = torch.sigmoid(model.conditional(s, i))
            for value, probability in ((1.0, q), (0.0, 1 - q)):
                to = s.clone()
                to[:, i] = value
                step[torch.arange(16), (to @ place).long()] += probability
            kernel = kernel @ step
        assert torch.allclose(p @ kernel, p, atol=1e-14)
        drawn = s[torch.multinomial(p, 40_000, replacement=True, generator=generator(0))]
        moved = model.sweep(drawn, generator(1))
        counts = torch.bincount((moved @ place).long(), minlength=16) / 40_000
        assert float((counts - p).abs().max()) < 0.01


def test_machine_ais_agrees_with_enumeration() -> None:
    model = machine(10, ais_chains=200, ais_temperatures=300)
    with torch.no_grad():
        model.w.mul_(0.5)
        exact = float(torch.logsumexp(model._table()[1], 0))
        estimate = model.estimate_log_z()
    assert abs(estimate.value - exact) < max(0.05, 4 * estimate.stderr)


# -- the chain --------------------------------------------------------------------------------


def joint(d: int, seed: int = 0) -> Tensor:
    """A distribution over d bits with strong dependence."""
    return torch.softmax(2 * torch.randn(2**d, generator=generator(seed)).double(), 0)


def corruption(d: int, noise: float) -> Tensor:
    s = binary_states(d, torch.zeros(1).double())
    different = torch.cdist(s, s, p=1.0).round()
    return (noise / 2) ** different * (1 - noise / 2) ** (d - different)


@pytest.mark.parametrize("d", [2, 5, 8])
def test_the_true_posterior_makes_the_data_stationary(d: int) -> None:
    p, c = joint(d), corruption(d, 0.5)
    posterior = (p[:, None] * c).T
    posterior = posterior / posterior.sum(1, keepdim=True)
    assert torch.allclose(stationary(c @ posterior), p, atol=1e-12)


@pytest.mark.parametrize("d", [2, 5])
def test_a_factorised_posterior_does_not(d: int) -> None:
    p, c = joint(d), corruption(d, 0.5)
    posterior = (p[:, None] * c).T
    posterior = posterior / posterior.sum(1, keepdim=True)
    s = binary_states(d, p)
    on = posterior @ s
    factorised = torch.where(s[None] > 0, on[:, None], 1 - on[:, None]).prod(-1)
    assert float((stationary(c @ factorised) - p).abs().sum() / 2) > 0.02
    # It does for independent bits: the test is about dependence.
    q = torch.where(s > 0, 0.3, 0.7).double().prod(1)
    posterior = (q[:, None] * c).T
    on = posterior / posterior.sum(1, keepdim=True) @ s
    factorised = torch.where(s[None] > 0, on[:, None], 1 - on[:, None]).prod(-1)
    assert torch.allclose(stationary(c @ factorised), q, atol=1e-12)


def test_the_transition_matrix_is_the_chains() -> None:
    with seeded(0):
        model = GSN(Event.binary(3), hidden=(8,)).double()
    T = model.transition_matrix()
    assert torch.allclose(T.sum(1), torch.ones(8).double(), atol=1e-12)
    start = binary_states(3, model.start)[5].expand(40_000, -1)
    place = torch.tensor([4.0, 2.0, 1.0]).double()
    counts = torch.bincount((model.step(start, generator(0)) @ place).long(), minlength=8) / 40_000
    assert float((counts - T[5]).abs().max()) < 0.01


# -- what they refuse -------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [RBM, BoltzmannMachine, GSN])
def test_other_codes_are_refused(cls: type) -> None:
    with pytest.raises(EventError, match="cannot model"):
        cls(Event.image(1, 4, levels=17))


@pytest.mark.parametrize(
    ("cls", "settings"),
    [
        (RBM, {"hidden": 0}),
        (RBM, {"learning": "cdd"}),
        (RBM, {"ais_chains": 1}),
        (BoltzmannMachine, {"hidden": 40, "learning": "exact"}),
        (BoltzmannMachine, {"sweeps": 0}),
        (GSN, {"noise": 0.0}),
        (GSN, {"kernel": "factorized"}),
        (GSN, {"walkback": 0}),
    ],
)
def test_bad_settings_are_refused(cls: type, settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        cls(Event.binary(4), **settings)


def test_bars_and_stripes() -> None:
    for size, count in ((3, 14), (4, 30)):
        images = patterns(size)
        assert len(torch.unique(images.flatten(1), dim=0)) == len(images) == count
        for x in images[:, 0]:
            assert bool((x == x[:, :1]).all()) or bool((x == x[:1]).all())

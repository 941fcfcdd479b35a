"""What each energy-based model learns from, against sums over all states; and where chains are."""

import math

import pytest
import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.rng import seeded
from phosphene.generative.energy.boltzmann import BoltzmannMachine
from phosphene.generative.energy.gsn import GSN
from phosphene.generative.energy.rbm import RBM
from phosphene.generative.energy.units import binary_states
from tests.laws.support import OneProcess

CHAINS = 20_000
NEAR = 0.02
"""Five standard errors of a mean of 20,000 products of bits, and a little more."""

MAKERS = {
    "rbm": lambda **s: RBM(Event.binary(4), hidden=3, chains=CHAINS, **s),
    "rbm-cd": lambda **s: RBM(Event.binary(4), hidden=3, learning="cd", **s),
    "rbm-tempering": lambda **s: RBM(
        Event.binary(4), hidden=3, learning="tempering", temperatures=3, chains=CHAINS, **s
    ),
    "machine": lambda **s: BoltzmannMachine(Event.binary(4), **s),
    "machine-persistent": lambda **s: BoltzmannMachine(
        Event.binary(4), learning="persistent", chains=CHAINS, **s
    ),
    "machine-persistent-hidden": lambda **s: BoltzmannMachine(
        Event.binary(3), hidden=1, learning="persistent", chains=CHAINS, **s
    ),
}
"""The defaults are here: an RBM's is ``persistent``, a machine's of few units ``exact``."""

PERSISTENT = [name for name in MAKERS if name not in ("rbm-cd", "machine")]
EXPECTED = [name for name in MAKERS if name != "rbm-cd"]


def made(name: str, scale: float = 1.0, **settings: object) -> Model:
    with seeded(1):
        model = MAKERS[name](**settings).double().train()
        for p in model.parameters():
            torch.nn.init.normal_(p, std=scale)
    return model


def data(model: Model) -> Tensor:
    """Examples whose statistics are far from the model's."""
    states = binary_states(model.event.dimensions, next(model.parameters()))
    return states[[1, 1, 1, 3, 6]].repeat(400, 1)


def move(model: Model, x: Tensor, times: int = 1) -> None:
    """The turns of the phases that update something, as the engine takes them."""
    for number in range(times):
        for turn in model.phases():
            if turn.update is not None:
                turn.update(Batch.of(x, seed=number), OneProcess(number))


def gradient(model: Model, x: Tensor) -> list[Tensor]:
    (turn,) = [t for t in model.phases() if t.loss is not None]
    return list(torch.autograd.grad(turn.loss(Batch.of(x, seed=9)).total, list(turn.parameters)))


def exact_gradient(model: Model, x: Tensor) -> list[Tensor]:
    (turn,) = [t for t in model.phases() if t.loss is not None]
    return list(torch.autograd.grad(-model.log_prob(x).mean(), list(turn.parameters)))


def near(given: list[Tensor], wanted: list[Tensor]) -> None:
    # The gradients are far from zero, so that neither a sign nor a factor goes unnoticed.
    assert max(float(w.abs().max()) for w in wanted) > 5 * NEAR
    for one, other in zip(given, wanted, strict=True):
        assert float((one - other).abs().max()) < NEAR


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_learned_from_is_the_likelihoods_gradient(name: str) -> None:
    model = made(name)
    x = data(model)
    # Chains begin at zeros, far from the law: their own moves must bring them there.
    if name != "machine":
        model.chains.zero_()
    move(model, x, times=60)
    near(gradient(model, x), exact_gradient(model, x))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_contrastive_divergence_is_the_enumerated_one(steps: int) -> None:
    """CD-k is biased by as much as k Gibbs steps from the data leave (Hinton, 2002)."""
    model = made("rbm-cd", steps=steps)
    x = data(model).repeat(10, 1)
    v, h = binary_states(4, model.a), binary_states(3, model.a)
    with torch.no_grad():
        up, down = torch.sigmoid(model.hidden_logits(v)), torch.sigmoid(model.visible_logits(h))
        to_hidden = torch.where(h[None] > 0, up[:, None], 1 - up[:, None]).prod(-1)
        to_visible = torch.where(v[None] > 0, down[:, None], 1 - down[:, None]).prod(-1)
        kernel = torch.linalg.matrix_power(to_hidden @ to_visible, steps)
        place = (2 ** torch.arange(3, -1, -1)).double()
        start = torch.bincount((x @ place).long(), minlength=16) / len(x)
    difference = (start.double() - start.double() @ kernel) @ model.free_energy(v)
    near(gradient(model, x), list(torch.autograd.grad(difference, list(model.parameters()))))


@pytest.mark.parametrize("name", PERSISTENT)
def test_a_persistent_chain_moves_on_from_its_own_state(name: str) -> None:
    """Its next state depends on its last one, and not on the examples."""
    one, other, elsewhere = (made(name) for _ in range(3))
    x = data(one)
    with torch.no_grad():
        for p in (one, other, elsewhere):  # couplings so strong that a chain hardly mixes
            for weights in p.parameters():
                weights.mul_(3)
        elsewhere.chains.copy_(1 - one.chains)
    move(one, x)
    move(other, 1 - x)
    move(elsewhere, x)
    assert torch.equal(one.chains, other.chains)
    assert not torch.equal(one.chains, elsewhere.chains)
    before = one.chains.clone()
    gradient(one, x)
    assert torch.equal(before, one.chains), "the loss moves the chains"


@pytest.mark.parametrize("name", ["rbm", "machine-persistent"])
def test_long_chains_of_samples_begin_where_the_persistent_ones_are(name: str) -> None:
    settings = {"gibbs": 1} if name == "rbm" else {"sweeps": 1}
    model = made(name, scale=0.01, **settings)
    model.exact = False  # as with more units, samples are chains' states
    with torch.no_grad():
        model.chains.fill_(1.0)
        for p in model.parameters():
            p.zero_()
        # Nearly frozen at all ones, or all zeros: where a chain was is where it is.
        if name == "rbm":
            model.W.fill_(40.0)
            model.b.fill_(-80.0)
            model.a.fill_(-60.0)
        else:
            model.w.fill_(40.0)
            model.b.fill_(-60.0)
    assert bool((model.sample(64) == 1).all())
    model.chains.fill_(0.0)
    assert bool((model.sample(64) == 0).all())


# -- the chain that is learned ------------------------------------------------------------------


def kernels(model: GSN) -> tuple[Tensor, Tensor]:
    """C(x~ | x) and log P(x | x~) over all states: (m, m) each, rows are what is given."""
    states = binary_states(model.event.dimensions, model.start)
    different = torch.cdist(states, states, p=1.0).round()
    half, d = 0.5 * model.noise, model.event.dimensions
    corrupted = half**different * (1 - half) ** (d - different)
    m = len(states)
    back = [model.reconstruct_log_prob(states, noisy.expand(m, -1)) for noisy in states]
    return corrupted, torch.stack(back)


def gsn(kernel: str, **settings: object) -> GSN:
    with seeded(3):
        model = GSN(Event.binary(3), hidden=(6,), kernel=kernel, **settings).double()  # type: ignore
        for p in model.parameters():
            torch.nn.init.normal_(p)
    return model


@pytest.mark.parametrize("kernel", ["autoregressive", "factorised"])
@pytest.mark.parametrize("walkback", [1, 2, 4])
def test_walkback_follows_the_chain_away_from_the_example(kernel: str, walkback: int) -> None:
    """Its loss in expectation: 1/K sum_k sum_x~ (T^k C)(x~ | x) (-log P(x | x~)), k < K."""
    model = gsn(kernel, walkback=walkback)
    x = binary_states(3, model.start)[5].expand(30_000, -1)
    with torch.no_grad():
        corrupted, back = kernels(model)
        at, terms = torch.eye(8).double()[5], []
        for _ in range(walkback):
            noisy = at @ corrupted
            terms.append(-(noisy @ back[:, 5]))
            at = noisy @ back.exp()
        wanted = float(torch.stack(terms).mean())
        each = model.loss(Batch.of(x, seed=2)).terms["denoising"]
    assert abs(float(each.mean()) - wanted) < 5 * float(each.std()) / math.sqrt(len(each))


@pytest.mark.parametrize("burn_in", [1, 3])
def test_a_sample_is_a_state_of_the_chain_after_its_burn_in(burn_in: int) -> None:
    model = gsn("autoregressive", burn_in=burn_in, noise=0.2)
    model.start.copy_(torch.tensor([0.9, 0.2, 0.5]))
    states = binary_states(3, model.start)
    n = 40_000
    with torch.no_grad():
        begun = torch.where(states > 0, model.start, 1 - model.start).prod(1)
        wanted = begun @ torch.linalg.matrix_power(model.transition_matrix(), burn_in)
        place = torch.tensor([4, 2, 1])
        drawn = model.sample(n, generator=torch.Generator().manual_seed(0)).long() @ place
    counts = torch.bincount(drawn, minlength=8) / n
    assert float((counts - wanted).abs().max()) < 0.012

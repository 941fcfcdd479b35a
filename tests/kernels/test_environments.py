"""The native environments against their formulas in NumPy, and the generator against its model."""

import numpy as np
import pytest
import torch

from phosphene.core.errors import UnknownNameError
from phosphene.core.rng import mix
from phosphene.decision.environments import acrobot, cartpole, catch, mountain_car, pendulum
from phosphene.decision.environments.vectorized import VectorEnvironment
from phosphene.kernels.environments import (
    KINDS,
    NativeSteps,
    environments_usable,
    mix_counters,
    uniform,
)
from phosphene.kernels.library import backend, forced

DYNAMICS = {
    "CartPole-v1": cartpole.CartPole,
    "Acrobot-v1": acrobot.Acrobot,
    "MountainCar-v0": mountain_car.MountainCar,
    "MountainCarContinuous-v0": mountain_car.MountainCarContinuous,
    "Pendulum-v1": pendulum.Pendulum,
    "Catch": catch.Catch,
}
NAMES = list(DYNAMICS)
native = pytest.mark.skipif(not environments_usable(), reason=backend().why)
FIELDS = ("observation", "reward", "terminated", "truncated", "next")


def actions(environment, generator):
    spec, n = environment.spec, environment.n
    if spec.discrete:
        return torch.randint(spec.actions, (n,), generator=generator)
    high = torch.tensor(spec.high)
    return (torch.rand(n, spec.action_dim, generator=generator) * 2 - 1) * 1.3 * high


def test_every_kind_has_its_number():
    assert set(KINDS) == set(DYNAMICS)
    assert sorted(KINDS.values()) == list(range(len(KINDS)))


def test_counters_are_hashed_as_everywhere():
    counters = [(), (0,), (3, 1), (-1, 2, 3), (2**63 + 5, 0, 7), (1, 2, 3, 4, 5)]
    for given in counters:
        assert int(mix_counters(*given)) >> 1 == mix(*given)
    index = np.arange(-3, 40)
    whole = mix_counters(11, index, 5)
    assert [int(value) >> 1 for value in whole] == [mix(11, int(i), 5) for i in index]


def test_uniform_numbers_look_uniform():
    u = uniform(5, np.arange(400)[:, None], np.arange(50))
    assert u.shape == (400, 50)
    counts = np.histogram(u, 50, (0, 1))[0]
    assert ((counts - 400) ** 2 / 400).sum() < 90  # chi-square of 49 degrees: 89 is one in 2,500
    assert len(np.unique(u)) == u.size
    rows = np.corrcoef(u[:, :10].T)
    assert np.abs(rows - np.eye(10)).max() < 0.2


@native
@pytest.mark.parametrize("name", NAMES)
def test_native_is_the_reference(name):
    """The same states at every step, from wherever the native one has come."""
    kind = DYNAMICS[name]
    ours = VectorEnvironment(kind(), n=37, seed=4)
    with forced("off"):
        model = VectorEnvironment(kind(), n=37, seed=4)
    assert ours._native is not None
    assert model._native is None
    first = ours.reset()
    assert torch.equal(first, model.reset()) or torch.allclose(first, model.observe(), atol=1e-7)
    np.testing.assert_array_equal(ours.state, model.state)
    generator, ended = torch.Generator().manual_seed(0), 0
    for _ in range(260):
        action = actions(ours, generator)
        a, b = ours.step(action), model.step(action)
        np.testing.assert_allclose(ours.state, model.state, rtol=1e-12, atol=1e-12)
        for field in FIELDS:
            x, y = getattr(a, field), getattr(b, field)
            assert x.dtype == y.dtype
            assert x.shape == y.shape
            torch.testing.assert_close(x, y, rtol=1e-6, atol=1e-6)
        ended += int(a.done.sum())
        model.load_state_dict(ours.state_dict())
    assert ended > 0 or kind.limit > 260


@native
@pytest.mark.parametrize("name", NAMES)
def test_every_build_goes_through_the_same_states(name):
    states = {}
    for level in ("baseline", "avx2", "avx512"):
        with forced(level) as found:
            if found.library is None:
                continue
            environment = VectorEnvironment(DYNAMICS[name](), n=5, seed=1)
        environment.reset()
        generator = torch.Generator().manual_seed(2)
        for _ in range(300):
            environment.step(actions(environment, generator))
        states[level] = environment.state
    assert len(states) > 0
    for state in states.values():
        np.testing.assert_array_equal(state, states["baseline"])


@native
def test_one_thread_and_two_give_the_same_bits():
    before, seen = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            environment = VectorEnvironment(acrobot.Acrobot(), n=65, seed=1)
            environment.reset()
            generator = torch.Generator().manual_seed(2)
            seen.append([environment.step(actions(environment, generator)).next for _ in range(50)])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


@native
def test_a_kind_that_is_not_known_is_refused():
    state, clock = np.zeros((1, 4)), np.zeros(1, np.int64)
    with pytest.raises(UnknownNameError, match="CartPole-v1"):
        NativeSteps("CartPole", state, clock, clock - 1, (4,), seed=0, first=0, limit=None)


def test_off_means_numpy():
    with forced("off"):
        assert not environments_usable()
        assert VectorEnvironment(cartpole.CartPole())._native is None

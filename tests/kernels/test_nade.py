"""NADE's kernel against its reference."""

from functools import partial

import pytest
import torch

from phosphene.generative.autoregressive.nade import sample_in_turn
from phosphene.kernels import nade
from phosphene.kernels.library import ACTIVATION_CODES, backend, forced

nade_sample = partial(nade.nade_sample, formula=sample_in_turn)
pytestmark = pytest.mark.skipif(backend().library is None, reason=backend().why)


def problem(n, dimensions=11, hidden=23, dtype=torch.float64, rows=False, seed=0):
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=g, dtype=dtype)

    b, c = normal(n, dimensions), normal(n, hidden)
    u = torch.rand(n, dimensions, generator=g, dtype=dtype)
    return (
        normal(dimensions, hidden),
        normal(dimensions, hidden),
        *((b, c) if rows else (b[0], c[0])),
        u,
    )


@pytest.mark.parametrize("activation", ACTIVATION_CODES)
@pytest.mark.parametrize("n", [1, 3, 5, 16, 37, 70])
@pytest.mark.parametrize("rows", [False, True])
def test_draws_are_those_of_the_reference(activation, n, rows):
    parts = problem(n, rows=rows)
    assert nade.nade_usable(activation, *parts)
    ours = nade_sample(*parts, activation=activation)
    assert torch.equal(ours, sample_in_turn(*parts, activation=activation))


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_every_build_draws_the_same(level):
    parts = problem(41, dimensions=40)
    with forced(level) as found:
        if found.library is None:
            pytest.skip(found.why)
        ours = nade_sample(*parts)
    assert torch.equal(ours, sample_in_turn(*parts))


@pytest.mark.parametrize("temperature", [0.0, 0.3, 2.0])
def test_temperature(temperature):
    parts = problem(9)
    ours = nade_sample(*parts, temperature=temperature)
    assert torch.equal(ours, sample_in_turn(*parts, temperature=temperature))


def test_float32_draws_nearly_always_the_same():
    parts = problem(64, dimensions=30, dtype=torch.float32)
    same = nade_sample(*parts) == sample_in_turn(*parts)
    assert same.all(1).double().mean() > 0.95


def test_known_values_are_kept_and_condition_what_follows():
    parts = problem(20)
    known = torch.rand(20, 11) < 0.5
    given = (torch.randint(0, 2, (20, 11)).double(), known)
    ours = nade_sample(*parts, given=given)
    assert torch.equal(ours[known], given[0][known])
    assert torch.equal(ours, sample_in_turn(*parts, given=given))


def test_one_thread_and_two_give_the_same_bits():
    parts = problem(101, dimensions=30, dtype=torch.float32)
    before, drawn = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            drawn.append(nade_sample(*parts))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])


def test_not_a_number_does_not_hang_or_crash():
    w, v, b, c, u = problem(5)
    ours = nade_sample(w * float("nan"), v, b, c, u)
    assert torch.isin(ours, torch.tensor([0.0, 1.0]).double()).all()


def test_off_and_gradients_go_to_the_reference():
    parts = problem(4)
    with forced("off"):
        assert not nade.nade_usable("relu", *parts)
    assert not nade.nade_usable("gelu", *parts)
    assert not nade.nade_usable("relu", *(p.clone().requires_grad_() for p in parts))
    assert not nade.nade_usable("relu", *(p.bfloat16() for p in parts))

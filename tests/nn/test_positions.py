"""Positions: a shift is a rotation, and attention with rotary positions sees distances alone."""

import pytest
import torch

from phosphene.core.errors import ConfigError, EventError
from phosphene.core.rng import generator
from phosphene.generative.autoregressive.layers.positions import (
    LearnedPositions,
    Rotary,
    rotate,
    shift_matrix,
    sinusoidal,
)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("k", [1, 7, -3, 100])
def test_a_shift_of_sinusoidal_positions_is_a_rotation(k):
    t = torch.arange(200, 400)
    R = shift_matrix(k, 32)
    assert torch.allclose(sinusoidal(t, 32) @ R.T, sinusoidal(t + k, 32), rtol=0, atol=1e-11)
    assert torch.allclose(R @ R.T, torch.eye(32, dtype=torch.float64), rtol=0, atol=1e-12)
    assert torch.linalg.det(R) == pytest.approx(1.0)


def test_shifts_compose():
    assert torch.allclose(shift_matrix(2, 8) @ shift_matrix(3, 8), shift_matrix(5, 8))


def test_sinusoidal_is_the_formula():
    position, i, width = 13, 3, 16
    angle = torch.tensor(position / 10000 ** (2 * i / width), dtype=torch.float64)
    encoding = sinusoidal(torch.tensor([position]), width)[0]
    assert encoding[2 * i] == pytest.approx(float(angle.sin()), abs=1e-14)
    assert encoding[2 * i + 1] == pytest.approx(float(angle.cos()), abs=1e-14)


def test_rotary_scores_depend_on_distance_alone():
    rotary, q, k = Rotary(16), normal(16), normal(16, seed=1)
    places = torch.tensor([3, 1000, 0, 512])
    turned_q = rotate(q.expand(4, 16), rotary(places, torch.float64))
    turned_k = rotate(k.expand(4, 16), rotary(places + 5, torch.float64))
    scores = (turned_q * turned_k).sum(-1)
    assert float((scores - scores[0]).abs().max()) < 1e-11
    other = rotate(k.expand(4, 16), rotary(places + 6, torch.float64))
    assert float(((turned_q * other).sum(-1) - scores).abs().min()) > 1e-3


def test_rotary_keeps_lengths_and_leaves_the_origin():
    x, turn = normal(3, 5, 8), Rotary(8)(torch.arange(5), torch.float64)
    y = rotate(x, turn)
    assert torch.allclose(y.norm(dim=-1), x.norm(dim=-1), rtol=0, atol=1e-12)
    assert torch.equal(y[:, 0], x[:, 0])


def test_rotary_equals_the_matrix_of_the_paper():
    x, place = normal(6), 11
    pairs = 10000.0 ** (-torch.arange(3, dtype=torch.float64) / 3) * place
    blocks = [
        torch.stack([torch.stack([a.cos(), -a.sin()]), torch.stack([a.sin(), a.cos()])])
        for a in pairs
    ]
    expected = torch.block_diag(*blocks) @ x
    turn = Rotary(6)(torch.tensor([place]), torch.float64)
    assert torch.allclose(rotate(x[None], turn)[0], expected, rtol=0, atol=1e-12)


def test_two_axes_see_both_distances():
    rotary, q, k = Rotary(12, axes=2), normal(12), normal(12, seed=1)

    def score(a, b):
        turns = rotary(torch.tensor([a, b]), torch.float64)
        return float((rotate(q[None], turns[:1]) * rotate(k[None], turns[1:])).sum())

    assert score((2, 3), (4, 7)) == pytest.approx(score((0, 10), (2, 14)), abs=1e-12)
    assert abs(score((2, 3), (4, 7)) - score((2, 3), (4, 8))) > 1e-4
    assert abs(score((2, 3), (4, 7)) - score((2, 3), (5, 7))) > 1e-4


def test_half_precision_is_turned_in_single():
    x = normal(4, 8).bfloat16()
    turn = Rotary(8)(torch.arange(4) + 1000)
    assert rotate(x, turn).dtype == torch.bfloat16
    assert torch.equal(rotate(x, turn), rotate(x.float(), turn).bfloat16())


def test_a_sequence_longer_than_the_learned_positions():
    table = LearnedPositions(8, 4)
    assert table(5).shape == (5, 4)
    with pytest.raises(EventError, match=r"sequence of 9 .* 8 positions"):
        table(9)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Rotary(5), "even size"),
        (lambda: Rotary(2, axes=2), "4 or more, got 2"),
        (lambda: sinusoidal(torch.arange(3), 7), "even width"),
        (lambda: sinusoidal(torch.arange(3), 0), "even width"),
    ],
)
def test_sizes_that_positions_cannot_have(make, says):
    with pytest.raises(ConfigError, match=says):
        make()

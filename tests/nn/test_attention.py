"""Attention: rows are weights, the future is closed, blind rows are zero, caches change nothing."""

import math

import pytest
import torch

from phosphene.core.errors import ConfigError, EventError
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers.attention import (
    KeyValueCache,
    MultiHeadAttention,
    attention,
    attention_weights,
    causal_mask,
    fused_attention,
)
from phosphene.generative.autoregressive.layers.positions import Rotary


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def module(**settings):
    with seeded(0):
        return MultiHeadAttention(12, 3, **settings).double()


def test_weights_are_rows_of_probabilities():
    w = attention_weights(normal(2, 3, 5, 4), normal(2, 3, 7, 4, seed=1), causal_mask(5, 7))
    assert w.shape == (2, 3, 5, 7)
    assert float(w.min()) >= 0
    assert torch.allclose(w.sum(-1), torch.ones(2, 3, 5, dtype=torch.float64))


def test_scores_are_divided_by_the_root_of_the_size_of_a_head():
    q, k = normal(1, 4), normal(2, 4, seed=1)
    scores = (k @ q[0]) / 2.0
    assert torch.allclose(attention_weights(q, k)[0], torch.softmax(scores, 0))


def test_an_output_is_a_convex_combination_of_the_past():
    v = normal(6, 2, seed=2)
    y = attention(normal(6, 4), normal(6, 4, seed=1), v, causal_mask(6))
    assert torch.allclose(y[0], v[0])
    for t in range(6):
        past = v[: t + 1]
        assert bool((y[t] >= past.min(0).values - 1e-12).all())
        assert bool((y[t] <= past.max(0).values + 1e-12).all())


def test_the_mask_is_closed_strictly_above_the_diagonal():
    mask = causal_mask(4)
    for t in range(4):
        for s in range(4):
            assert float(mask[t, s]) == (-math.inf if s > t else 0.0)
    assert torch.equal(causal_mask(2, 4), causal_mask(4)[2:])


def test_no_output_moves_with_the_future():
    attend = module(causal=True)
    x = normal(5, 12).requires_grad_()
    jacobian = torch.autograd.functional.jacobian(lambda v: attend(v[None])[0], x)
    for t in range(5):
        assert float(jacobian[t, :, t + 1 :].abs().sum()) == 0.0
        assert float(jacobian[t, :, : t + 1].abs().sum()) > 0.0


def test_a_row_that_may_look_nowhere_is_zero_and_so_are_its_gradients():
    mask = torch.zeros(3, 3, dtype=torch.float64)
    mask[1] = -math.inf
    q, k, v = (normal(3, 4, seed=s).requires_grad_() for s in range(3))
    y = attention(q, k, v, mask)
    assert torch.equal(y[1], torch.zeros(4, dtype=torch.float64))
    y.square().sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in (q, k, v))
    assert float(q.grad[1].abs().max()) == 0.0
    assert float(q.grad[0].abs().max()) > 0.0


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12), (torch.bfloat16, 3e-2)]
)
def test_the_fast_way_gives_the_same(dtype, tolerance, causal):
    q, k, v = (normal(2, 3, 9, 4, seed=s, dtype=dtype) for s in range(3))
    mask = causal_mask(9, dtype=dtype) if causal else None
    error = fused_attention(q, k, v, causal=causal) - attention(q, k, v, mask)
    assert float(error.abs().max()) <= tolerance


def test_written_out_and_fused_modules_agree_with_gradients():
    slow, fast = module(causal=True, written_out=True), module(causal=True)
    x, turn = normal(2, 7, 12), Rotary(4)(torch.arange(7), torch.float64)
    results = []
    for attend in (slow, fast):
        attend.zero_grad()
        y = attend(x, turn=turn)
        y.square().sum().backward()
        results.append((y, attend.qkv.weight.grad))
    for a, b in zip(*results, strict=True):
        assert float((a - b).detach().abs().max()) <= 1e-12


def test_without_positions_a_permutation_of_inputs_permutes_outputs():
    attend, x, order = module(), normal(2, 6, 12), torch.tensor([3, 0, 5, 1, 4, 2])
    assert torch.allclose(attend(x[:, order]), attend(x)[:, order], rtol=0, atol=1e-12)
    turn = Rotary(4)(torch.arange(6), torch.float64)
    moved = attend(x[:, order], turn=turn) - attend(x, turn=turn)[:, order]
    assert float(moved.detach().abs().max()) > 1e-3


@pytest.mark.parametrize("parts", [(1,) * 7, (3, 1, 1, 2), (7,)])
def test_a_cache_changes_nothing(parts):
    attend, x = module(causal=True, bias=True), normal(2, 7, 12)
    turn = Rotary(4)(torch.arange(7), torch.float64)
    cache = KeyValueCache(2, 3, 7, 4, dtype=torch.float64)
    buffer, pieces, at = cache.keys.data_ptr(), [], 0
    for size in parts:
        rows = slice(at, at + size)
        pieces.append(attend(x[:, rows], turn=turn[rows], cache=cache))
        at += size
    assert torch.allclose(torch.cat(pieces, 1), attend(x, turn=turn), rtol=0, atol=1e-12)
    assert cache.keys.data_ptr() == buffer, "the buffers are static"


def test_more_positions_than_the_cache_holds():
    cache = KeyValueCache(1, 2, 4, 3)
    cache.append(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3))
    with pytest.raises(EventError, match=r"sequence of 5 .* 4 positions"):
        cache.append(torch.zeros(1, 2, 2, 3), torch.zeros(1, 2, 2, 3))


def test_weights_of_the_module_are_those_it_uses():
    attend, x = module(causal=True), normal(2, 5, 12)
    _, _, v = attend._heads(x, None)
    y = attend.out((attend.weights(x) @ v).transpose(1, 2).flatten(2))
    assert torch.allclose(y, attend(x), rtol=0, atol=1e-12)


def test_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match="heads must divide the width 12, got 5"):
        MultiHeadAttention(12, 5)


def test_it_costs_the_square_of_the_length() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    def cost(length: int) -> int:
        q = torch.zeros(1, 2, length, 8)
        with FlopCounterMode(display=False) as counter:
            attention(q, q, q, causal_mask(length))
        return counter.get_total_flops()

    assert [cost(2 * t) / cost(t) for t in (32, 64, 128)] == [4.0, 4.0, 4.0]

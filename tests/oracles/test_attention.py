"""Attention and blocks against torch's own, with the same weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers.attention import (
    MultiHeadAttention,
    attention,
    causal_mask,
)
from phosphene.generative.autoregressive.layers.transformer import Block, Norm


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("causal", [False, True])
def test_scaled_dot_product_attention(dtype, tolerance, causal):
    q, k, v = (normal(2, 3, 8, 4, seed=s, dtype=dtype) for s in range(3))
    own = attention(q, k, v, causal_mask(8, dtype=dtype) if causal else None)
    oracle = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    assert float((own - oracle).abs().max()) <= tolerance


def test_scaled_dot_product_attention_with_any_mask():
    q, k, v = (normal(2, 8, 4, seed=s) for s in range(3))
    mask = normal(8, 8, seed=4)
    own = attention(q, k, v, mask)
    oracle = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    assert float((own - oracle).abs().max()) <= 1e-12


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_attention(dtype, tolerance, causal):
    with seeded(0):
        own = MultiHeadAttention(12, 3, bias=True, causal=causal).to(dtype)
        oracle = nn.MultiheadAttention(12, 3, batch_first=True).to(dtype)
        nn.init.normal_(oracle.in_proj_bias)
    own.qkv.load_state_dict({"weight": oracle.in_proj_weight, "bias": oracle.in_proj_bias})
    own.out.load_state_dict(oracle.out_proj.state_dict())
    x = normal(2, 7, 12, dtype=dtype)
    mask = causal_mask(7, dtype=dtype) if causal else None
    expected, weights = oracle(x, x, x, attn_mask=mask, average_attn_weights=False)
    assert float((own(x) - expected).abs().max()) <= tolerance
    assert float((own.weights(x) - weights).abs().max()) <= tolerance


def test_a_block_is_torchs_pre_norm_layer():
    with seeded(0):
        block = Block(12, 3, 20, norm="layer", feed_forward="gelu", bias=True).double()
        oracle = nn.TransformerEncoderLayer(
            12, 3, 20, dropout=0.0, activation="gelu", batch_first=True, norm_first=True,
            layer_norm_eps=1e-6,
        ).double()  # fmt: skip
    attend, mlp = block.attention, block.feed_forward
    pairs = [
        (attend.qkv.weight, oracle.self_attn.in_proj_weight),
        (attend.qkv.bias, oracle.self_attn.in_proj_bias),
        (attend.out.weight, oracle.self_attn.out_proj.weight),
        (attend.out.bias, oracle.self_attn.out_proj.bias),
        (mlp.first.weight, oracle.linear1.weight),
        (mlp.first.bias, oracle.linear1.bias),
        (mlp.second.weight, oracle.linear2.weight),
        (mlp.second.bias, oracle.linear2.bias),
        (block.norm_1.gain, oracle.norm1.weight),
        (block.norm_1.bias, oracle.norm1.bias),
        (block.norm_2.gain, oracle.norm2.weight),
        (block.norm_2.bias, oracle.norm2.bias),
    ]
    with torch.no_grad():
        for number, (own, other) in enumerate(pairs):
            value = normal(*own.shape, seed=number) / 4
            own.copy_(value)
            other.copy_(value)
    x = normal(2, 6, 12)
    expected = oracle(x, src_mask=causal_mask(6, dtype=torch.float64))
    assert float((block(x) - expected).abs().max()) <= 1e-10


def test_norms_are_torchs():
    x, gain = normal(3, 8), normal(8, seed=1)
    rms, layer = Norm("rms", 8).double(), Norm("layer", 8).double()
    with torch.no_grad():
        rms.gain.copy_(gain)
        layer.gain.copy_(gain)
    assert torch.allclose(rms(x), F.rms_norm(x, (8,), gain, 1e-6), rtol=0, atol=1e-12)
    assert torch.allclose(layer(x), F.layer_norm(x, (8,), gain, None, 1e-6), rtol=0, atol=1e-12)

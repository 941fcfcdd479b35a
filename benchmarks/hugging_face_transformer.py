"""Hugging Face transformers beside ours: the same weights in both, generation with both caches.

The peer's models are built from configurations with random weights: nothing is downloaded. Ours
starts with a vector instead of a first token, so the peer's prompt is one token, whose embedding is
copied to our start vector.
"""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from benchmarks.common import Case, Watch
from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.generative.autoregressive.layers.transformer import Block, Norm
from phosphene.generative.autoregressive.transformer import Transformer
from phosphene.nn.choosing import Choosing

__all__ = ["PEER", "cases", "like", "peer_model"]

PEER = "transformers"
START = 0
"""The token that the peer is prompted with."""


def peer_model(
    kind: Literal["llama", "gpt2"],
    *,
    vocabulary: int = 96,
    width: int = 256,
    depth: int = 4,
    heads: int = 4,
    length: int = 256,
) -> Any:
    """A small model of the peer's, with random weights that are not near zero."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    shared: dict[str, Any] = {
        "vocab_size": vocabulary,
        "bos_token_id": START,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    model: Any
    if kind == "llama":
        model = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=width,
                intermediate_size=_hidden(width),
                num_hidden_layers=depth,
                num_attention_heads=heads,
                num_key_value_heads=heads,
                max_position_embeddings=length + 1,
                **shared,
            )
        )
    else:
        model = GPT2LMHeadModel(
            GPT2Config(n_embd=width, n_layer=depth, n_head=heads, n_positions=length + 1, **shared)
        )
    model = model.eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.08 * torch.randn_like(parameter))
    return model


def _hidden(width: int) -> int:
    return 8 * round(width * 4 * (2 / 3) / 8)


def like(peer: Any, length: int) -> Transformer:
    """Our model of ``length`` tokens with the peer's weights."""
    config = peer.config
    settings: dict[str, Any] = {
        "width": config.hidden_size,
        "depth": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "pairs": False,
    }
    event = Event.tokens(length, config.vocab_size)
    if config.model_type == "llama":
        ours = Transformer(
            event, norm="rms", feed_forward="swiglu", eps=config.rms_norm_eps, **settings
        )
        _copy_llama(peer, ours)
    else:
        ours = Transformer(
            event, bias=True, feed_forward="gelu-tanh", positions="learned", tied=True,
            eps=config.layer_norm_epsilon, **settings,
        )  # fmt: skip
        _copy_gpt2(peer, ours, length)
    return ours.to(peer.dtype).eval()


def _blocks(model: Transformer) -> Iterator[Block]:
    for block in model.blocks:
        assert isinstance(block, Block)
        yield block


def _pairs(weight: Tensor, heads: int) -> Tensor:
    """Rows reordered: the peer turns coordinates i and i + d/2 of a head together, we 2i, 2i+1."""
    by_heads: Tensor = weight.unflatten(0, (heads, 2, -1))
    return by_heads.transpose(1, 2).flatten(0, 2)


@torch.no_grad()
def _copy_llama(peer: Any, ours: Transformer) -> None:
    heads = peer.config.num_attention_heads
    _copy_ends(ours, peer.model.embed_tokens.weight, peer.model.norm)
    assert ours.head is not None
    ours.head.weight.copy_(peer.lm_head.weight)
    for own, other in zip(_blocks(ours), peer.model.layers, strict=True):
        attend, mlp = other.self_attn, other.mlp
        q, k = (_pairs(layer.weight, heads) for layer in (attend.q_proj, attend.k_proj))
        own.attention.qkv.weight.copy_(torch.cat([q, k, attend.v_proj.weight]))
        own.attention.out.weight.copy_(attend.o_proj.weight)
        own.feed_forward.first.weight.copy_(torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]))
        own.feed_forward.second.weight.copy_(mlp.down_proj.weight)
        own.norm_1.gain.copy_(other.input_layernorm.weight)
        own.norm_2.gain.copy_(other.post_attention_layernorm.weight)


@torch.no_grad()
def _copy_gpt2(peer: Any, ours: Transformer, length: int) -> None:
    body = peer.transformer
    _copy_ends(ours, body.wte.weight, body.ln_f)
    table: Any = ours.places[0]
    table.table.copy_(body.wpe.weight[:length])
    for own, other in zip(_blocks(ours), body.h, strict=True):
        layers = (
            (own.attention.qkv, other.attn.c_attn),
            (own.attention.out, other.attn.c_proj),
            (own.feed_forward.first, other.mlp.c_fc),
            (own.feed_forward.second, other.mlp.c_proj),
        )
        for layer, theirs in layers:
            layer.weight.copy_(theirs.weight.T)  # the peer's layers hold transposed matrices
            layer.bias.copy_(theirs.bias)
        _copy_norm(own.norm_1, other.ln_1)
        _copy_norm(own.norm_2, other.ln_2)


def _copy_ends(ours: Transformer, table: Tensor, norm: nn.Module) -> None:
    assert isinstance(ours.embed, nn.Embedding)
    ours.embed.weight.copy_(table)
    ours.start.copy_(table[START])
    ours.output_bias.zero_()
    _copy_norm(ours.norm, norm)


def _copy_norm(own: Norm, other: Any) -> None:
    own.gain.copy_(other.weight)
    if own.bias is not None:
        own.bias.copy_(other.bias)


def agreement(peer: Any, ours: Transformer, n: int) -> float:
    """Assert equal greedy outputs; the largest difference of logits on them."""
    length = ours.event.dimensions
    tokens = generate_peer(peer, n, length)
    own = generate_ours(ours, n)
    assert torch.equal(own.long(), tokens), "the greedy outputs differ"
    with torch.no_grad():
        prompt = torch.full((n, 1), START)
        logits = peer(torch.cat([prompt, tokens[:, :-1]], 1)).logits
        return float((logits - ours.conditionals(tokens)).abs().max())


def generate_peer(peer: Any, n: int, length: int) -> Tensor:
    """Greedy tokens (n, length) by the peer's ``generate`` with its cache."""
    prompt = torch.full((n, 1), START)
    out: Tensor = peer.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=length,
        min_new_tokens=length, do_sample=False, use_cache=True,
    )  # fmt: skip
    return out[:, 1:]


@torch.no_grad()
def generate_ours(ours: Transformer, n: int) -> Tensor:
    """Greedy tokens (n, length) by ours."""
    u = torch.zeros(n, ours.event.dimensions, 1)
    return ours.generate(u, Context(), how=Choosing(temperature=0.0))


def cases(*, quick: bool = False) -> Iterator[Case]:
    """Greedy generation with caches, for both kinds of model and one or eight sequences."""
    torch.manual_seed(0)  # the peer draws its weights from the global generator
    sizes = ((128, 4, 4, 64),) if quick else ((128, 4, 4, 128), (256, 6, 4, 256))
    for kind in ("llama", "gpt2"):
        for width, depth, heads, length in sizes:
            peer = peer_model(kind, width=width, depth=depth, heads=heads, length=length)
            ours = like(peer, length)
            for n in (1, 8):
                yield _case(kind, peer, ours, n)


def _case(kind: str, peer: Any, ours: Transformer, n: int) -> Case:
    length, depth = ours.event.dimensions, len(ours.blocks)

    def check() -> float:
        return agreement(peer, ours, n)

    def theirs(watch: Watch) -> object:
        return generate_peer(peer, n, length)

    def own(watch: Watch) -> object:
        return generate_ours(ours, n)

    name = f"generate {n} x {length} tokens, {kind} {depth} blocks of {ours.width}, caches"
    return Case(name, PEER, check, theirs, own, bound=())

"""Masked products by blocks against plain ones: values, derivatives, derivatives of those."""

import pytest
import torch

from phosphene.nn import staircase
from phosphene.nn.masked import MaskedMLP
from phosphene.nn.staircase import Staircase, masked_linear


def mask_of(name):
    rows, columns = 300, 140
    if name == "stairs":
        return torch.arange(columns) < (torch.arange(rows) * columns // rows)[:, None]
    if name == "first rows see nothing":
        return torch.arange(columns) < (torch.arange(rows) - 100).clamp(0, 120)[:, None]
    if name == "small":
        return torch.ones(7, 5).tril() > 0
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(0)) < 0.5


@pytest.mark.parametrize("name", ["stairs", "first rows see nothing", "small", "scattered"])
@pytest.mark.parametrize("biased", [False, True])
def test_values_and_derivatives_are_those_of_the_plain_product(name, biased):
    mask = mask_of(name)
    stairs = Staircase.of(mask)
    assert (len(stairs.blocks) > 1) == (name in ("stairs", "first rows see nothing"))
    g = torch.Generator().manual_seed(1)
    shapes = ((6, mask.shape[1]), mask.shape, mask.shape[:1])
    x, weight, bias = (torch.randn(s, generator=g).double().requires_grad_() for s in shapes)
    given = (x, weight, bias) if biased else (x, weight)
    ours = masked_linear(x, weight, bias if biased else None, stairs)
    plain = torch.nn.functional.linear(x, weight * mask, bias if biased else None)
    torch.testing.assert_close(ours, plain, rtol=0.0, atol=1e-12)
    outer = torch.randn(ours.shape, generator=g).double()
    first, second = (
        torch.autograd.grad((y.tanh() * outer).sum(), given, create_graph=create)
        for y, create in ((ours, False), (plain, True))
    )
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=0.0, atol=1e-11)
    again = masked_linear(x, weight, bias if biased else None, stairs)
    third = torch.autograd.grad((again.tanh() * outer).sum(), given, create_graph=True)
    twice, also_twice = (
        torch.autograd.grad(sum(t.square().sum() for t in grads), given)
        for grads in (third, second)
    )
    for a, b in zip(twice, also_twice, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_a_masked_network_is_the_same_with_blocks_and_without(monkeypatch):
    net = MaskedMLP(130, (260, 256), 2, direct=True).double()
    x = torch.randn(4, 130, dtype=torch.float64)
    with_blocks = net(x)
    monkeypatch.setattr(staircase, "_LEAST", (10**6, 10**6))
    net._staircases.clear()
    torch.testing.assert_close(net(x), with_blocks, rtol=0.0, atol=1e-12)


def test_masks_follow_the_buffers():
    one, other = (MaskedMLP(5, (8,), orders=torch.randperm(5)[None]) for _ in range(2))
    x = torch.randn(3, 5)
    other(x)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x), other(x))


def test_what_is_masked_is_not_read():
    mask = mask_of("stairs")
    weight = torch.randn(300, 140).masked_fill(~mask, float("nan"))
    assert torch.isfinite(
        masked_linear(torch.randn(2, 140), weight, None, Staircase.of(mask))
    ).all()

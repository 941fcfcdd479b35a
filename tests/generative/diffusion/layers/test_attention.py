"""Attention: the fused kernel and the formula agree, with all derivatives."""

import pytest
import torch

from phosphene.core.rng import generator
from phosphene.generative.diffusion.layers import attention as module
from phosphene.generative.diffusion.layers.attention import Attention, attention


@pytest.fixture(params=[0, 256], ids=["fused", "formula"])
def way(request, monkeypatch):
    monkeypatch.setattr(module, "_SHORT", request.param)


def drawn(tokens, seed):
    x = torch.randn(2, 2, tokens, 4, generator=generator(seed), dtype=torch.float64)
    return x.requires_grad_()


@pytest.mark.usefixtures("way")
def test_derivatives():
    given = drawn(5, 1), drawn(3, 2), drawn(3, 3)
    exact = torch.softmax(given[0] @ given[1].mT / 2, -1) @ given[2]
    torch.testing.assert_close(attention(*given), exact)
    assert torch.autograd.gradcheck(attention, given)
    assert torch.autograd.gradgradcheck(attention, given)
    with torch.no_grad():
        torch.testing.assert_close(attention(*given), exact)


@pytest.mark.usefixtures("way")
def test_backward_twice_over_one_graph():
    given = drawn(5, 1), drawn(3, 2), drawn(3, 3)
    y = attention(*given).square().sum()
    first = torch.autograd.grad(y, given, retain_graph=True)
    again = torch.autograd.grad(y, given)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.usefixtures("way")
def test_transforms():
    q, k, v = (t.detach() for t in (drawn(5, 1), drawn(3, 2), drawn(3, 3)))
    _, tangent = torch.func.jvp(lambda t: attention(t, k, v), (q,), (torch.ones_like(q),))
    step = 1e-6
    apart = (attention(q + step, k, v) - attention(q - step, k, v)) / (2 * step)
    torch.testing.assert_close(tangent, apart, atol=1e-8, rtol=1e-6)


def test_the_order_of_what_is_looked_at_does_not_matter():
    net = Attention(8, 2, 6).double()
    x = torch.randn(2, 5, 8, generator=generator(4), dtype=torch.float64)
    other = torch.randn(2, 7, 6, generator=generator(5), dtype=torch.float64)
    torch.testing.assert_close(net(x, other), net(x, other.flip(1)))

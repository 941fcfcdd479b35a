"""MAF and IAF: both directions of one density, by whichever way they are computed."""

import pytest
import torch

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.iaf import IAF
from phosphene.generative.flow.maf import MAF
from phosphene.kernels.library import forced


def flow_of(cls, **options):
    with seeded(0):
        flow = cls(Event.real(4), layers=3, hidden=(12,), context=ContextSpec(label=3), **options)
    flow.prepare(Batch.of(3 * torch.randn(64, 4, generator=generator(1)) + 1, told(64)))
    for name, p in flow.named_parameters():
        if "head" in name or "conditions" in name:
            torch.nn.init.normal_(p, std=0.2)
    return flow.double()


def told(n):
    return Context(label=torch.arange(n) % 3)


@pytest.mark.parametrize("cls", [MAF, IAF])
@pytest.mark.parametrize("monotone", ["affine", "spline"])
def test_draws_have_the_density_that_they_are_given(cls, monotone):
    flow = flow_of(cls, monotone=monotone)
    x, log_prob = flow.rsample_and_log_prob(9, told(9), generator=generator(2))
    torch.testing.assert_close(flow.log_prob(x, told(9)), log_prob, rtol=0.0, atol=1e-9)
    grads = torch.autograd.grad((log_prob + x.square().sum(1)).mean(), list(flow.parameters()))
    assert all(torch.isfinite(g).all() for g in grads)
    assert sum(float(g.abs().sum()) for g in grads) > 0
    same = flow.sample(9, told(9), generator=generator(2))
    torch.testing.assert_close(same, x.detach(), rtol=0.0, atol=1e-9)
    with forced("off"):
        plain = flow.sample(9, told(9), generator=generator(2))
    torch.testing.assert_close(plain, same, rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("cls", [MAF, IAF])
def test_the_gradient_of_the_density_is_the_same_by_both_ways_through_a_layer(cls):
    """The gradient of log p(x) for x, against central differences of the value without graph."""
    flow = flow_of(cls)
    x = torch.randn(2, 4, generator=generator(3), dtype=torch.float64).requires_grad_()
    (grad,) = torch.autograd.grad(flow.log_prob(x, told(2)).sum(), x)
    step = 1e-5
    with torch.no_grad():
        for i in range(4):
            shift = torch.zeros(4, dtype=torch.float64)
            shift[i] = step
            up, down = (flow.log_prob(x + sign * shift, told(2)) for sign in (1, -1))
            torch.testing.assert_close(grad[:, i], (up - down) / (2 * step), rtol=1e-5, atol=1e-5)


def test_images_are_flattened_and_the_first_batch_is_used_once():
    flow = MAF(Event.image(1, 3, levels=5), layers=2, hidden=(8,))
    x = torch.randint(5, (32, 1, 3, 3), generator=generator(4))
    flow.prepare(Batch.of(x))
    before = {k: v.clone() for k, v in flow.state_dict().items()}
    flow.prepare(Batch.of(x.flip(0)[:5]))
    assert all(torch.equal(v, before[k]) for k, v in flow.state_dict().items())
    assert flow.elbo(x).shape == (32,)
    assert flow.sample(2).shape == (2, 1, 3, 3)

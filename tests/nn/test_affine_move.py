"""The affine coupling in one step: the formula, its gradients, and theirs."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from phosphene.core.rng import generator
from phosphene.generative.flow.layers.affine_move import affine_move, places_of
from phosphene.generative.flow.layers.conditioner import VectorConditioner
from phosphene.generative.flow.layers.coupling import VectorCoupling
from phosphene.nn.monotone import Affine, FlooredAffine, Monotone

MASKS = {
    "alternating": [True, False, True, False, True],
    "half": [False, False, True, True, True],
    "one": [False, True, False, False, False],
    "uneven": [True, True, False, False, True],
}
MONOTONES = {
    "affine": Affine(0.0),
    "bent": Affine(2.0),
    "softplus": FlooredAffine(),
    "sigmoid": FlooredAffine("sigmoid", offset=2.0),
}


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed, 4), dtype=torch.float64)


def plain(x: Tensor, params: Tensor, mask: Tensor, monotone: Monotone, inverse: bool):
    """The same by the elementwise function."""
    split = params.view(len(x), 2, -1).movedim(1, -1)
    h = monotone.inverse if inverse else monotone.forward
    moved, log_slope = h(x[:, mask], split)
    y = x.clone()
    y[:, mask] = moved
    return y, log_slope.sum(1)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("monotone", MONOTONES.values(), ids=MONOTONES)
@pytest.mark.parametrize("inverse", [False, True])
def test_it_is_the_formula_and_so_are_its_gradients(mask, monotone, inverse):
    mask = torch.tensor(mask)
    x, params = numbers(4, 5), numbers(4, 2 * int(mask.sum()), seed=1)
    for tensor in (x, params):
        tensor.requires_grad_()
    where = places_of(mask)
    found = affine_move(x, params, where, monotone, inverse=inverse)
    expected = plain(x, params, mask, monotone, inverse)
    weights = numbers(4, 5, seed=2), numbers(4, seed=3)
    for one, two in zip(found, expected, strict=True):
        assert torch.allclose(one, two, atol=1e-12)
    ours, theirs = (torch.autograd.grad(out, (x, params), weights) for out in (found, expected))
    for one, two in zip(ours, theirs, strict=True):
        assert torch.allclose(one, two, atol=1e-12)

    def function(x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        return affine_move(x, params, where, monotone, inverse=inverse)

    assert gradcheck(function, (x, params))
    assert gradgradcheck(function, (x, params))


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_a_coupling_goes_there_and_back(mask):
    mask = torch.tensor(mask)
    kept, moved = int((~mask).sum()), int(mask.sum())
    layer = VectorCoupling(mask, Affine(), VectorConditioner(kept, (6,), 2 * moved)).double()
    for p in layer.parameters():
        torch.nn.init.normal_(p, std=0.5, generator=generator(5))
    x = numbers(6, 5)
    z, log_det = layer(x)
    back, minus = layer.inverse_and_log_det(z)
    assert torch.allclose(back, x, atol=1e-12)
    assert torch.allclose(minus, -log_det, atol=1e-12)
    assert torch.equal(z[:, ~mask], x[:, ~mask])
    assert not torch.allclose(z[:, mask], x[:, mask])

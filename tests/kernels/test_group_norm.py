"""Group normalization in native passes: equal to torch's, and to its gradients, in every layout."""

import pytest
import torch
import torch.nn.functional as F

from phosphene.core.errors import KernelError
from phosphene.core.rng import generator
from phosphene.generative.diffusion.layers.norm import GroupNorm, passes, passes_back
from phosphene.kernels.group_norm import group_norm, group_norm_backward
from phosphene.kernels.library import backend, forced

native = pytest.mark.skipif(backend().library is None, reason="the library is not built")
SHAPES = [(3, 49, 64, 8), (2, 1, 20, 5), (1, 30, 7, 1), (4, 9, 33, 3), (2, 16, 16, 16)]
TYPES = [(torch.float32, 3e-6), (torch.float64, 1e-13), (torch.bfloat16, 2e-2)]


def drawn(shape, seed, dtype=torch.float64):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def case(n, pixels, channels, dtype, rows):
    wide = torch.promote_types(dtype, torch.float32)
    parameters = (n, channels) if rows else (channels,)
    x = (3 + 2 * drawn((n, pixels, channels), 1)).to(dtype)
    return x, drawn(parameters, 2, wide), drawn(parameters, 3, wide), drawn(x.shape, 4, dtype)


def oracle(x, gain, shift, dy, groups, activate):
    """torch's own normalization, in double precision."""
    x, gain, shift = (t.double().requires_grad_() for t in (x, gain, shift))
    y = F.group_norm(x.mT, groups, eps=1e-5).mT
    g, b = (t[:, None] if t.ndim == 2 else t for t in (gain, shift))
    y = y * g + b
    y = F.silu(y) if activate else y
    return y.detach(), *torch.autograd.grad(y, (x, gain, shift), dy.double())


def found(x, gain, shift, dy, groups, activate):
    y, mean, rate = group_norm(x, gain, shift, groups, 1e-5, activate, formula=passes)
    dx, dgain, dshift = group_norm_backward(
        x, gain, shift, dy, mean, rate, activate, formula=passes_back
    )
    if gain.ndim == 1:
        dgain, dshift = dgain.sum(0), dshift.sum(0)
    assert y.dtype == dx.dtype == x.dtype
    return y, dx, dgain, dshift


@pytest.mark.parametrize("level", ["off", "baseline", "avx2", "avx512"])
@pytest.mark.parametrize(("dtype", "close"), TYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("activate", [True, False])
@pytest.mark.parametrize("rows", [True, False])
def test_equals_torch(level, dtype, close, shape, activate, rows):
    *size, groups = shape
    given = case(*size, dtype, rows)
    with forced(level) as chosen:
        if level != "off" and chosen.library is None:
            pytest.skip(chosen.why)
        ours = found(*given, groups, activate)
    for a, b in zip(ours, oracle(*given, groups, activate), strict=True):
        scale = float(b.abs().max()) + 1e-3
        assert float((a.double() - b).abs().max()) / scale < 10 * close


@native
@pytest.mark.parametrize("dtype", [t for t, _ in TYPES])
def test_threads_change_no_bit(dtype):
    given = case(5, 12, 24, dtype, True)
    before, results = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        results.append(found(*given, 3, True))
    torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("choice", ["off", "auto"])
def test_a_large_mean_costs_no_digits(choice):
    x = 1e4 + drawn((2, 40, 8), 5, torch.float32)
    one, zero = torch.ones(8), torch.zeros(8)
    with forced(choice):
        y, _, _ = group_norm(x, one, zero, 2, 0.0, False, formula=passes)
    exact = F.group_norm(x.double().mT, 2, eps=0.0).mT
    assert float((y - exact).abs().max()) < 2e-3


@native
def test_halves_are_rounded_to_the_nearest():
    x = drawn((2, 30, 8), 6, torch.bfloat16)
    one, zero = torch.ones(8), torch.zeros(8)
    y, _, _ = group_norm(x, one, zero, 2, 0.0, False, formula=passes)
    wide, _, _ = group_norm(x.float(), one, zero, 2, 0.0, False, formula=passes)
    assert torch.equal(y, wide.bfloat16())
    x[0, 0, 0] = float("nan")
    y, _, _ = group_norm(x, one, zero, 2, 0.0, True, formula=passes)
    assert torch.isnan(y[0, :, :4]).all()
    assert torch.isfinite(y[1]).all()


@pytest.mark.parametrize("choice", ["off", "auto"])
def test_what_does_not_fit_is_refused(choice):
    x, one = torch.zeros(2, 3, 8), torch.ones(8)
    with forced(choice):
        with pytest.raises(KernelError, match="the 3 groups must divide the 8 channels"):
            group_norm(x, one, one, 3, 1e-5, True, formula=passes)
        with pytest.raises(KernelError, match="shift must have shape"):
            group_norm(x, one, torch.ones(7), 2, 1e-5, True, formula=passes)


@pytest.mark.parametrize("choice", ["off", "auto"])
def test_the_layer_is_differentiable_twice(choice):
    layer = GroupNorm(8, 2).double()
    x = drawn((2, 8, 3, 2), 7).to(memory_format=torch.channels_last).requires_grad_()
    told = drawn((2, 16), 8).requires_grad_()
    with forced(choice):
        assert torch.autograd.gradcheck(layer, (x, told))
        assert torch.autograd.gradgradcheck(layer, (x, told))

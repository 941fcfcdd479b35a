"""Every backward of our own has a right second derivative; ``torch.func`` takes the formula."""

import ast
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.autograd import gradgradcheck

import phosphene
from phosphene.core.derivatives import transformed
from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator, seeded
from phosphene.decision.deep.layers.quick_mlp import QuickMLP
from phosphene.decision.deep.ppo import loss_of_logits
from phosphene.generative.autoencoder.layers.quantize import _straight_through
from phosphene.generative.autoregressive.layers import running_sums
from phosphene.generative.autoregressive.layers.causal import causal_conv, gate
from phosphene.generative.autoregressive.layers.line_scan import Lines, scan_lines
from phosphene.generative.autoregressive.nade import outputs_in_turn
from phosphene.generative.autoregressive.rnade import _ScaledGradient
from phosphene.generative.diffusion.layers.attention import _formula as _formula_of_attention
from phosphene.generative.diffusion.layers.attention import _Fused
from phosphene.generative.diffusion.layers.norm import _formula as _formula_of_norm
from phosphene.generative.diffusion.layers.norm import _Passes
from phosphene.generative.flow.layers.affine_move import affine_move
from phosphene.generative.flow.layers.roots import increasing_root
from phosphene.kernels.surrogate import Moments, Weights, surrogate
from phosphene.kernels.td_error import td_error
from phosphene.learning.backprop.linear import Linear
from phosphene.learning.backprop.torch_bridge import function_of
from phosphene.nn.monotone import Affine
from phosphene.nn.ode import Solver, odeint
from phosphene.nn.spline import RationalQuadratic
from phosphene.nn.staircase import Staircase, masked_linear

Case = tuple[Callable[..., Tensor | tuple[Tensor, ...]], tuple[Tensor, ...]]


running_hidden = partial(running_sums.running_hidden, formula=outputs_in_turn)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed, 8), dtype=torch.float64)


def _mlp() -> Case:
    with seeded(0):
        net = QuickMLP(3, (4,), 2).double()
    return net, (numbers(5, 3),)


def _running(sparse: bool) -> Case:
    x = numbers(9, 2, 1)
    x = x * (x > 0.8) if sparse else x
    weights = (numbers(9, 1, 3, seed=1), numbers(9, 2, 3, seed=2), numbers(2, 3, seed=3))
    if sparse:
        return lambda W, V, s: running_hidden(x, W, V, s, activation="tanh"), weights
    rho = 1 + 0.1 * numbers(9, seed=4)
    return lambda x, W, V, s, rho: running_hidden(x, W, V, s, rho=rho), (x, *weights, rho)


def _scan() -> Case:
    lines = Lines.rows(2, 3, kernel=3)
    return lambda g, w: scan_lines(g, w, lines), (numbers(1, 6, 2, 4), numbers(1, 3, 4, seed=1))


def _adjoint() -> Case:
    solver = Solver("rk4", 32, gradient="adjoint")

    def end(y: Tensor, a: Tensor) -> Tensor:
        return odeint(lambda y, t: torch.tanh(y * a), y, 0.0, 0.5, solver, parameters=(a,)).y

    return end, (numbers(3, 2), numbers(2, seed=1))


def _surrogate() -> Case:
    now = numbers(4, 3).log_softmax(1)[:, 0]
    rest = (now + 0.05, numbers(4, seed=1), numbers(4, seed=2), numbers(4, seed=3))
    moments = Moments(torch.zeros(4, dtype=torch.long), *rest)
    weights = Weights(0.5, None, 0.5, 0.1)
    inputs = (numbers(4, 3), rest[2] + 1)
    return lambda q, v: surrogate(q, v, moments, weights, loss_of_logits)[0], inputs


def _td() -> Case:
    rest = (torch.zeros(4, dtype=torch.long), numbers(4), numbers(4, seed=1), numbers(4, seed=2))
    return lambda q: td_error(q, *rest)[0], (numbers(4, 3, seed=3),)


def _spline(inverse: bool, **kind: object) -> Case:
    spline = RationalQuadratic(4, 1.5, **kind)  # type: ignore[arg-type]
    function = spline.inverse if inverse else spline.forward
    return function, (1.2 * numbers(5, 2), numbers(5, 2, spline.size, seed=1))


def _root() -> Case:
    def function(c: Tensor, k: Tensor) -> Tensor:
        def height(a: Tensor) -> tuple[Tensor, Tensor]:
            h = torch.tanh(a)
            return a + k * h - c, 1 + k * (1 - h.square())

        return increasing_root(height, c - k.abs(), c + k.abs())

    return function, (numbers(5), numbers(5, seed=1).abs())


def _causal() -> Case:
    inputs = (numbers(8, 3), numbers(2, 3, 4, seed=1), numbers(4, seed=2))
    return lambda x, w, b: causal_conv(x, w, b, 2), inputs


def _masked() -> Case:
    stairs = Staircase(torch.ones(4, 4).tril() > 0, ((0, 2, 1, 2), (2, 4, 3, 4)))
    inputs = (numbers(3, 4), numbers(4, 4, seed=1), numbers(4, seed=2))
    return lambda x, w, b: masked_linear(x, w, b, stairs), inputs


def _move(inverse: bool) -> Case:
    def move(x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        return affine_move(x, params, slice(0, 3, 2), Affine(2.0), inverse=inverse)

    return move, (numbers(3, 4), numbers(3, 4, seed=1))


def _group_norm() -> Case:
    def function(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        how = _formula_of_norm if transformed() else _Passes.apply
        out: Tensor = how(x, gain, shift, 2, 1e-5, True)
        return out

    return function, (numbers(2, 4, 2, 3), numbers(2, 4, seed=1), numbers(2, 4, seed=2))


def _attention() -> Case:
    def function(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        how = _formula_of_attention if transformed() else _Fused.apply
        out: Tensor = how(q, k, v)
        return out

    return function, tuple(numbers(1, 2, 3, 4, seed=s) for s in range(3))


CASES: dict[str, Case] = {
    "_Passes": _group_norm(),
    "_Fused": _attention(),
    "_Spline": _spline(False),
    "_Spline of limits": _spline(False, limit=4.0, slopes="exp", min_slope=0.0),
    "_Spline, inverse": _spline(True),
    "_Move": _move(False),
    "_Move, inverse": _move(True),
    "_Perceptrons": _mlp(),
    "_CausalConv": _causal(),
    "_Gate": (gate, (numbers(3, 4),)),
    "_MaskedLinear": _masked(),
    "_Running": _running(sparse=False),
    "_Changes": _running(sparse=True),
    "_Scan": _scan(),
    "_Adjoint": _adjoint(),
    "_Attached, of a policy": _surrogate(),
    "_Attached, of values": _td(),
    "a root": _root(),
}
LINEAR = ("_StraightThrough", "_ScaledGradient")
"""Identities whose gradient is another's on purpose: of no finite difference, but linear."""


def wanted(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(t.detach().clone().requires_grad_() for t in inputs)


def summed(name: str) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    """The case as one number that no symmetry makes simple."""
    function, inputs = CASES[name]

    def value(*inputs: Tensor) -> Tensor:
        found = function(*inputs)
        outputs = (found,) if isinstance(found, Tensor) else found
        weights = (torch.linspace(1, 2, y.numel(), dtype=y.dtype).view_as(y) for y in outputs)
        return torch.stack([(y * w).sum() for y, w in zip(outputs, weights, strict=True)]).sum()

    return value, inputs


REFUSING = {"_Bridge"}
"""What says that there are no second derivatives: a backward that is written out in numbers."""


def test_a_backward_in_numbers_refuses_second_derivatives() -> None:
    layer, x = Linear(3, 2), torch.ones(4, 3, requires_grad=True)
    y = function_of(layer, x, *layer.parameters.values()).sum()
    with pytest.raises(ConfigError, match="without gradients of their own"):
        torch.autograd.grad(y, x, create_graph=True)


def test_every_backward_of_our_own_is_here() -> None:
    found = set()
    for path in Path(phosphene.__file__).parent.rglob("*.py"):
        text = path.read_text()
        assert "import once_differentiable" not in text, f"{path}: its silence reads as zeros"
        assert ".once_differentiable" not in text, f"{path}: its silence reads as zeros"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base) for base in node.bases]
                found |= {node.name} if any("autograd.Function" in b for b in bases) else set()
    covered = {name.partition(",")[0].partition(" of")[0] for name in CASES} - {"a root"}
    assert found == covered | set(LINEAR) | REFUSING


@pytest.mark.parametrize("name", CASES)
def test_gradients_have_gradients(name: str) -> None:
    function, inputs = CASES[name]
    assert gradgradcheck(function, wanted(inputs), atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_constant_gradient_is_no_silence(name: str) -> None:
    """Where what comes back is a constant, second derivatives are there all the same."""
    value, inputs = summed(name)
    x, *rest = wanted(inputs)
    (slope,) = torch.autograd.grad(value(x, *rest), x, create_graph=True)
    direction = numbers(*x.shape, seed=9)
    (bent,) = torch.autograd.grad(
        (slope * direction).sum(), x, materialize_grads=True, allow_unused=True
    )
    ends = []
    for sign in (1e-5, -1e-5):
        at = (x.detach() + sign * direction).requires_grad_()
        ends.append(torch.autograd.grad(value(at, *rest), at)[0])
    torch.testing.assert_close(bent, (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_many_gradients_at_once(name: str) -> None:
    value, inputs = summed(name)
    x, *rest = wanted(inputs)
    total, many = value(x, *rest), torch.tensor([1.0, -2.0]).double()
    (one,) = torch.autograd.grad(total, x, retain_graph=True)
    (both,) = torch.autograd.grad(total, x, many, is_grads_batched=True)
    torch.testing.assert_close(both, torch.stack((one, -2 * one)), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_transforms_take_the_formula(name: str) -> None:
    value, inputs = summed(name)
    x, *rest = inputs
    at = x.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(value(at, *rest), at)
    one = lambda x: value(x, *rest)  # noqa: E731
    direction = numbers(*x.shape, seed=9)
    close = {"rtol": 1e-9, "atol": 1e-11}
    torch.testing.assert_close(torch.func.grad(one)(x), slope, **close)
    torch.testing.assert_close(torch.func.jacrev(one)(x), slope, **close)
    for context in (torch.enable_grad, torch.no_grad):
        with context():
            _, moved = torch.func.jvp(one, (x,), (direction,))
        torch.testing.assert_close(moved.detach(), (slope * direction).sum(), **close)
    both = torch.stack((x, x + 0.1))
    each = torch.func.vmap(torch.func.grad(one))(both)
    torch.testing.assert_close(each[0], slope, **close)
    plain = torch.autograd.functional.hessian(one, x)
    torch.testing.assert_close(torch.func.hessian(one)(x), plain, **close)
    # What a transform left behind does not trouble those that come after it.
    torch.testing.assert_close(value(*inputs), one(x), **close)


@pytest.mark.parametrize("name", LINEAR)
def test_straight_gradients_stay_straight(name: str) -> None:
    z, other = numbers(4), numbers(4, seed=1)
    function = _straight_through if name == "_StraightThrough" else _ScaledGradient.apply
    factor = torch.ones(4).double() if name == "_StraightThrough" else other

    def value(z: Tensor) -> Tensor:
        found: Tensor = function(z, other)
        return found.pow(3).sum()

    seen = other if name == "_StraightThrough" else z
    expected = 3 * seen.square() * factor
    torch.testing.assert_close(torch.func.grad(value)(z), expected)
    _, moved = torch.func.jvp(value, (z,), (torch.ones_like(z),))
    torch.testing.assert_close(moved, expected.sum())
    each = torch.func.vmap(torch.func.grad(value))(torch.stack((z, z)))
    torch.testing.assert_close(each[1], expected)

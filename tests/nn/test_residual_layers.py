"""Planar, radial and Sylvester layers: determinants, constraints, inverses, gradients."""

import math

import pytest
import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import seeded
from phosphene.generative.flow.layers.roots import increasing_root
from phosphene.generative.flow.layers.stacks import above_minus_one, stack
from phosphene.generative.flow.layers.transform import Inverted
from phosphene.generative.flow.planar import Planar
from phosphene.generative.flow.radial import Radial
from phosphene.generative.flow.sylvester import Sylvester

MAKERS = {
    "planar": lambda d, **k: Planar(d, **k),
    "radial": lambda d, **k: Radial(d, **k),
    "sylvester": lambda d, **k: Sylvester(d, max(1, d - 1), **k),
    "sylvester-full": lambda d, **k: Sylvester(d, d, orthogonal="qr", **k),
}


def wild(name, d, spread=2.0, slope=0.1, dtype=torch.float64, context=None):
    """A layer with parameters far from the start, whose constraints bind."""
    with seeded(3):
        layer = MAKERS[name](d, slope=slope, context=context).to(dtype)
        with torch.no_grad():
            for p in layer.parameters():
                p.add_(spread * torch.randn_like(p))
    return layer


def points(n, d, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=dtype)


def written_out(layer, x):
    """One point through the equation of the layer's paper, number by number."""
    d = len(x)
    if isinstance(layer, Planar):
        w, u, b = (v[0].tolist() if v.dim() > 1 else float(v) for v in layer.vectors())
        h = math.tanh(sum(w[i] * x[i] for i in range(d)) + b)
        slope = 1 + sum(w[i] * u[i] for i in range(d)) * (1 - h**2)
        return [x[i] + u[i] * h for i in range(d)], math.log(abs(slope))
    if isinstance(layer, Radial):
        c, alpha, beta = (v[0].tolist() for v in layer.shape())
        r = math.sqrt(sum((x[i] - c[i]) ** 2 for i in range(d)))
        h = 1 / (alpha[0] + r)
        most, other = 1 + beta[0] * h - beta[0] * h**2 * r, 1 + beta[0] * h
        return [x[i] + beta[0] * h * (x[i] - c[i]) for i in range(d)], (
            (d - 1) * math.log(other) + math.log(most)
        )
    Q, R, S, b = (v[0].tolist() for v in layer.matrices())
    m = range(len(b))
    seen = [sum(Q[i][k] * x[i] for i in range(d)) for k in m]
    h = [math.tanh(sum(S[k][j] * seen[j] for j in m) + b[k]) for k in m]
    moved = [sum(R[k][j] * h[j] for j in m) for k in m]
    log_det = sum(math.log(1 + S[k][k] * R[k][k] * (1 - h[k] ** 2)) for k in m)
    return [x[i] + sum(Q[i][k] * moved[k] for k in m) for i in range(d)], log_det


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("d", [1, 2, 5])
def test_each_layer_is_the_equation_of_its_paper(name, d):
    layer, x = wild(name, d), points(6, d)
    with torch.no_grad():
        found = layer(x)
        z, log_det = zip(*(written_out(layer, row.tolist()) for row in x), strict=True)
        torch.testing.assert_close(found[0], torch.tensor(z, dtype=torch.float64))
        torch.testing.assert_close(found[1], torch.tensor(log_det, dtype=torch.float64))


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("d", [1, 2, 5])
def test_log_determinant_is_the_jacobians(name, d):
    layer, x = wild(name, d), points(6, d)
    log_det = layer(x)[1].detach()
    for i in range(6):
        jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], x[i])
        sign, exact = torch.linalg.slogdet(jacobian)
        assert sign > 0
        assert float(log_det[i] - exact) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("d", [1, 2, 7])
def test_inverse(name, dtype, within, d):
    layer, x = wild(name, d, spread=1.0, dtype=dtype), points(200, d, dtype)
    with torch.no_grad():
        z, log_det = layer(x)
        back, backward = layer.inverse_and_log_det(z)
    assert (back - x).abs().max() / x.abs().max() <= within
    assert (backward + log_det).abs().max() <= 1e3 * within


@pytest.mark.parametrize("name", MAKERS)
def test_the_other_way_round(name):
    """Every point of the plane has an original: the layers are onto."""
    layer, z = wild(name, 2), 30 * points(200, 2)
    with torch.no_grad():
        assert (layer(layer.inverse(z))[0] - z).abs().max() <= 1e-9


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("extreme", [-50.0, 50.0])
def test_constraints_hold_for_any_parameter(name, extreme):
    layer = MAKERS[name](3, slope=0.01).double()
    with torch.no_grad():
        signs = torch.tensor([1.0, -1.0], dtype=torch.float64)
        for p in layer.parameters():
            p.add_(extreme * torch.randn_like(p).sign() * signs[torch.arange(len(p)) % 2])
    x = points(50, 3)
    if isinstance(layer, Planar):
        w, u, _ = layer.vectors()
        assert (w * u).sum() >= -1 + 0.01 - 1e-9
    if isinstance(layer, Radial):
        _, alpha, beta = layer.shape()
        assert alpha > 0
        assert beta >= -alpha * 0.99 - 1e-9
    z, log_det = layer(x)
    assert torch.isfinite(z).all()
    assert torch.isfinite(log_det).all()


@pytest.mark.parametrize("orthogonal", ["householder", "qr"])
def test_columns_are_orthonormal(orthogonal):
    layer = Sylvester(6, 4, orthogonal=orthogonal).double()
    Q, R, S, _ = layer.matrices()
    assert torch.allclose(Q.mT @ Q, torch.eye(4, dtype=Q.dtype), atol=1e-12)
    for matrix in (R, S):
        assert torch.equal(matrix, matrix.triu())
    assert ((R @ S).diagonal(0, 1, 2) > -1).all()


def test_sylvester_of_rank_one_is_planar():
    sylvester, planar = wild("sylvester", 2), Planar(2, slope=0.1).double()
    Q, R, S, b = sylvester.matrices()
    w, u = (Q[0] * S[0]).T[0], (Q[0] * R[0]).T[0]
    # Planar's own u is a function of the free r; r = u + w (m^-1(w.u) - w.u) / |w|^2 undoes it.
    along = (w @ u).detach()
    low, high = torch.tensor(-60.0).double(), torch.tensor(60.0).double()

    def height(a):
        a = a.requires_grad_()
        with torch.enable_grad():
            value = above_minus_one(a, 0.1) - along
            (slope,) = torch.autograd.grad(value, a)
        return value.detach(), slope

    free = increasing_root(height, low, high).detach()
    r = u + (free - along) * w / (w @ w)
    with torch.no_grad():
        planar.params.own.copy_(torch.cat((w, r, b[0])))
    x = points(9, 2)
    for one, other in zip(sylvester(x), planar(x), strict=True):
        assert torch.allclose(one, other, atol=1e-10)


@pytest.mark.parametrize("name", MAKERS)
def test_gradients_through_the_inverse(name):
    """Exact to first order: they are those of the closed direction, inverted."""
    layer, z = wild(name, 3), points(4, 3)
    z.requires_grad_()
    x = layer.inverse(z)
    parameters = list(layer.parameters())
    weights = points(4, 3) + 1
    got = torch.autograd.grad((x * weights).sum(), [z, *parameters], allow_unused=True)

    # dx/dp = -(df/dx)^-1 df/dp at the solution.
    fixed = x.detach().requires_grad_()
    f = layer(fixed)[0]
    jacobians = [
        torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], fixed[i].detach())
        for i in range(4)
    ]
    cotangent = torch.stack(
        [torch.linalg.solve(J.T, w) for J, w in zip(jacobians, weights, strict=True)]
    )
    assert torch.allclose(got[0], cotangent, atol=1e-9)
    wanted = torch.autograd.grad(-(f * cotangent).sum(), parameters, allow_unused=True)
    for one, other in zip(got[1:], wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-8)


@pytest.mark.parametrize("name", MAKERS)
def test_identity_at_the_start_is_near_and_conditions_start_alike(name):
    spec = ContextSpec(label=3, vector=Event.real(2), image=Event.image(1, 2, levels=4))
    layer = MAKERS[name](4, context=spec).double()
    x = points(6, 4)
    context = Context(
        label=torch.arange(6) % 3,
        vector=torch.randn(6, 2),
        image=torch.arange(24).view(6, 1, 2, 2) % 4,
    )
    z, _ = layer(x, context)
    assert (z - x).abs().max() < 1
    other = Context(
        label=context.label.flip(0), vector=-context.vector, image=context.image.flip(0)
    )
    assert torch.allclose(layer(x, other)[0], z, atol=1e-6)
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.3 * torch.randn_like(p))
    z, _ = layer(x, context)
    assert not torch.allclose(layer(x, other)[0], z, atol=1e-3)
    with torch.no_grad():
        assert (layer.inverse(z, context) - x).abs().max() < 1e-9
    rows = torch.stack([layer(x[i : i + 1], context[i : i + 1])[0][0] for i in range(6)])
    assert torch.allclose(rows, z, atol=1e-10)


def test_radial_center_has_gradients():
    layer = Radial(2)
    x = layer.params.own.detach()[None, :2].clone().requires_grad_()
    z, log_det = layer(x)
    (z.sum() + log_det.sum()).backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(layer.params.own.grad).all()
    assert torch.allclose(layer.inverse(z), x, atol=1e-6)


def test_roots_of_steep_and_flat_functions():
    c = torch.linspace(-40, 40, 401, dtype=torch.float64)
    for k in (-1 + 1e-9, -0.99, 0.0, 3.0, 1e6):

        def height(a, k=k):
            return a + k * torch.tanh(a) - c, 1 + k / torch.cosh(a).square()

        a = increasing_root(height, c - abs(k), c + abs(k))
        scale = c.abs().clamp(min=1) * max(1, abs(k))
        assert ((height(a)[0]).abs() / scale).max() < 1e-13


def test_directions_are_each_others_inverses():
    with seeded(0):
        density = stack(lambda: Planar(2), 3, "density")
    with seeded(0):
        sampling = stack(lambda: Planar(2), 3, "sampling")
    assert isinstance(sampling, Inverted)
    x = points(5, 2, torch.float32)
    assert torch.allclose(sampling(density(x)[0])[0], x, atol=1e-5)


def test_bad_input():
    with pytest.raises(ConfigError, match="least slope"):
        Planar(2, slope=0.0)
    with pytest.raises(ConfigError, match="least slope"):
        Radial(2, slope=1.0)
    with pytest.raises(ConfigError, match=r"rank must lie in 1..3"):
        Sylvester(3, 4)
    with pytest.raises(UnknownNameError, match="householder"):
        Sylvester(3, 2, orthogonal="house-holder")
    with pytest.raises(ConfigError, match="layers"):
        stack(lambda: Planar(2), 0, "density")
    with pytest.raises(UnknownNameError, match="sampling"):
        stack(lambda: Planar(2), 1, "samples")

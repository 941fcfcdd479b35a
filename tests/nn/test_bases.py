"""Bases: they integrate to one, their samples follow their densities, temperature and gradients."""

import math

import pytest
import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.layers.bases import BASES, Learned, Mixture, StudentT, build_base

N = 20_000


def base(name, shape=(1,), context=None):
    """A base far from its start."""
    with seeded(0):
        built = build_base(name, shape, context=context, components=3).double()
        with torch.no_grad():
            for p in built.parameters():
                p.add_(0.4 * torch.randn_like(p))
    return built


def line(built, side=4001, context=None):
    """Points on the line of a base of one dimension, their densities, and their lengths."""
    u = (torch.arange(side, dtype=torch.float64) + 0.5) / side * 2 - 1
    # t = u / (1 - u^2) reaches everywhere; doubled, a logistic's tails get more of the points.
    x, length = 2 * u / (1 - u**2), 2 * (1 + u**2) / (1 - u**2) ** 2 * (2 / side)
    if type(built).__name__ == "Uniform":
        x, length = u + 0.5, torch.full_like(u, 2 / side)
    with torch.no_grad():
        return x, built.log_prob(x[:, None], context).exp(), length


@pytest.mark.parametrize("name", BASES)
def test_integrates_to_one(name):
    _, density, length = line(base(name))
    assert float((density * length).sum()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", BASES)
def test_integrates_to_one_in_the_plane(name):
    built = base(name, (2,))
    side = 400
    u = (torch.arange(side, dtype=torch.float64) + 0.5) / side * 2 - 1
    x, length = 2 * u / (1 - u**2), 2 * (1 + u**2) / (1 - u**2) ** 2 * (2 / side)
    if name == "uniform":
        x, length = u + 0.5, torch.full_like(u, 2 / side)
    with torch.no_grad():
        density = built.log_prob(torch.cartesian_prod(x, x)).exp()
    assert float((density * (length[:, None] * length).flatten()).sum()) == pytest.approx(
        1, abs=1e-3
    )


@pytest.mark.parametrize("name", BASES)
def test_samples_follow_the_density(name):
    """Kolmogorov and Smirnov's distance between the samples and the integral of the density."""
    built = base(name)
    x, density, length = line(built)
    cdf = (density * length).cumsum(0)
    with torch.no_grad():
        drawn = built.sample(N, generator=generator(1))[:, 0].sort().values
    assert drawn.dtype == torch.float64
    exact = cdf[torch.searchsorted(x, drawn).clamp(max=len(x) - 1)]
    steps = torch.arange(1, N + 1) / N
    distance = float(torch.maximum((steps - exact).abs(), (steps - 1 / N - exact).abs()).max())
    assert distance < 1.95 / math.sqrt(N) + 2e-3  # p = 0.001, and the grid


@pytest.mark.parametrize("name", ["normal", "student-t", "logistic"])
def test_agrees_with_torch(name):
    built = base(name, (2, 3))
    z = 3 * torch.randn(7, 2, 3, generator=generator(2), dtype=torch.float64)
    if name == "normal":
        exact = torch.distributions.Normal(0.0, 1.0).log_prob(z)
    elif name == "student-t":
        exact = torch.distributions.StudentT(built.degrees).log_prob(z)
    else:
        exact = -z - 2 * torch.log1p(torch.exp(-z))
    assert torch.allclose(built.log_prob(z), exact.flatten(1).sum(1), atol=1e-10)


def test_a_mixture_agrees_with_torch():
    built = base("mixture", (2,))
    t = torch.distributions
    exact = t.MixtureSameFamily(
        t.Categorical(logits=built.weights),
        t.Independent(t.Normal(built.means, built.log_scales.exp()), 1),
    )
    z = torch.randn(9, 2, generator=generator(2), dtype=torch.float64)
    assert torch.allclose(built.log_prob(z), exact.log_prob(z), atol=1e-10)
    assert not built.sample(3, generator=generator(0)).requires_grad


@pytest.mark.parametrize("name", BASES)
def test_temperature_shrinks_towards_the_center(name):
    built = base(name, (2,))

    def draw(temperature):
        with torch.no_grad():
            return built.sample(500, generator=generator(3), temperature=temperature)

    hot, warm, cold = draw(1.0), draw(0.5), draw(0.0)
    again = draw(0.0)
    assert torch.equal(cold, again)
    # The same numbers, half as far from the center of each draw.
    assert torch.allclose(warm - cold, (hot - cold) / 2, atol=1e-12)
    if name != "mixture":
        assert (cold - cold[0]).abs().max() == 0
    else:
        assert len(torch.unique(cold, dim=0)) == 3
    assert cold.std() < hot.std()


@pytest.mark.parametrize("name", BASES)
def test_same_seed_same_draws_in_either_type(name):
    built = base(name, (2,)).float()
    one, two, other = (built.sample(50, generator=generator(k)) for k in (1, 1, 2))
    assert one.shape == (50, 2)
    assert one.dtype == torch.float32
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    if name == "uniform":
        assert one.min() > 0
        assert one.max() < 1


def test_draws_of_a_student_t_are_differentiable_in_its_degrees():
    """d/d nu of E |x|^(1/2) by draws, against its closed form's difference."""
    built = build_base("student-t", (1,)).double()
    x = built.sample(200_000, generator=generator(4))
    (slope,) = torch.autograd.grad(x.abs().sqrt().mean(), built.raw)

    def moment(raw):
        nu = 1 + math.log1p(math.exp(raw))
        return (
            nu**0.25
            * math.gamma(0.75)
            * math.gamma(nu / 2 - 0.25)
            / (math.sqrt(math.pi) * math.gamma(nu / 2))
        )

    raw = float(built.raw.detach())
    exact = (moment(raw + 1e-4) - moment(raw - 1e-4)) / 2e-4
    assert float(slope) == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("name", ["learned", "mixture", "student-t"])
def test_everything_learns(name):
    built = base(name, (3,))
    grads = torch.autograd.grad(
        built.log_prob(torch.randn(8, 3, generator=generator(1)).double()).sum(),
        list(built.parameters()),
    )
    assert all(bool(g.abs().max() > 0) for g in grads)


def test_degrees_of_freedom_stay_above_one():
    built = build_base("student-t", (2,))
    assert torch.allclose(built.degrees, torch.full((2,), 5.0))
    with torch.no_grad():
        built.raw.fill_(-40.0)
    assert (built.degrees >= 1).all()
    assert torch.isfinite(built.log_prob(1e6 * torch.ones(1, 2))).all()


def test_a_learned_base_is_told_its_condition():
    spec = ContextSpec(label=3, vector=Event.real(2))
    built = base("learned", (2,), spec)
    assert isinstance(built, Learned)
    told = [Context(label=torch.full((5,), k), vector=torch.ones(5, 2)) for k in (0, 1)]
    draws = [built.sample(5, c, generator=generator(1)) for c in told]
    assert not torch.allclose(draws[0], draws[1])
    assert not torch.allclose(built.log_prob(draws[0], told[0]), built.log_prob(draws[0], told[1]))
    draws[0].sum().backward()
    assert built.params.grad.abs().max() > 0


def test_outside_the_cube_there_is_nothing():
    built = build_base("uniform", (2,))
    z = torch.tensor([[0.5, 0.5], [1.5, 0.5], [0.0, -0.1]])
    assert built.log_prob(z).tolist() == [0.0, -math.inf, -math.inf]


def test_bad_input():
    with pytest.raises(UnknownNameError, match="student-t"):
        build_base("studentt", (2,))
    with pytest.raises(ConfigError, match="degrees"):
        StudentT((2,), 1.0)
    with pytest.raises(ConfigError, match="components"):
        Mixture((2,), 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("degrees", [1.1, 5.0, 19.9, 20.1, 100.0, 1e4, 1e6, 1e10])
def test_a_student_t_of_any_degrees_is_scipys(degrees: float, dtype: torch.dtype) -> None:
    """Two lgamma of half a million differ by seven: in float32 their difference has no digits."""
    stats = pytest.importorskip("scipy.stats")
    base = StudentT((1,), degrees).to(dtype)
    z = torch.linspace(-6, 6, 25, dtype=dtype)[:, None]
    nu = float(base.degrees.detach().double())
    expected = torch.from_numpy(stats.t.logpdf(z[:, 0].double().numpy(), nu))
    found = base.log_prob(z)
    assert (
        float((found.detach().double() - expected).abs().max()) < (5e-6, 1e-11)[dtype.itemsize // 8]
    )
    found.sum().backward()
    assert base.raw.grad is not None
    assert bool(base.raw.grad.isfinite().all())

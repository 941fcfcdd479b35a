"""Whitening in closed form: there and back, the Gaussian it stands for, how much it shrinks."""

import pytest
import torch
from torch import Tensor

from phosphene.catalog import systems
from phosphene.core.batch import Batch
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.bases import StudentT
from phosphene.generative.flow.layers.whiten import Whiten, shrunk_covariance

D = 5
ROWS = [row for row in systems("flow") if "real" in row.events]


def rows(n: int, seed: int = 0) -> Tensor:
    mixing = torch.randn(D, D, generator=generator(1, 6), dtype=torch.float64)
    return torch.randn(n, D, generator=generator(seed, 6), dtype=torch.float64) @ mixing + 3


def test_it_is_the_gaussian_of_the_rows() -> None:
    layer, x = Whiten(D).double(), rows(4000)
    z = layer.prepare(x)
    torch.testing.assert_close(z.T.cov(correction=0), torch.eye(D).double(), rtol=0, atol=0.02)
    _, log_det = layer(x)
    normal = torch.distributions.Normal(0.0, 1.0)
    covariance = shrunk_covariance(x)
    expected = torch.distributions.MultivariateNormal(x.mean(0), covariance).log_prob(x)
    torch.testing.assert_close(normal.log_prob(z).sum(1) + log_det, expected)
    back, minus = layer.inverse_and_log_det(z)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(minus, -log_det)
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], x[0])
    torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], log_det[0])


def test_it_is_set_once_and_loading_counts() -> None:
    layer, x = Whiten(D).double(), rows(50)
    z = layer.prepare(x)
    torch.testing.assert_close(layer.prepare(10 * x)[:, 0].std(), 10 * z[:, 0].std())
    other = Whiten(D).double()
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(other.prepare(10 * x), layer(10 * x)[0])


def test_few_rows_shrink_and_many_do_not() -> None:
    """Towards independent columns where rows are few, never away from a near dependence."""
    few = torch.randn(20, 15, generator=generator(2, 6), dtype=torch.float64)
    outside = few.T.cov(correction=0) - torch.diag(few.var(0, correction=0))
    shrunk = shrunk_covariance(few)
    shrunk = shrunk - torch.diag(shrunk.diagonal())
    assert float(shrunk.norm()) < 0.7 * float(outside.norm())
    x = rows(200)
    x[:, 4] = x[:, 0] + 1e-3 * torch.randn(200, generator=generator(4, 6), dtype=torch.float64)
    least = torch.linalg.eigvalsh(shrunk_covariance(x))[0]
    assert float(least) < 2e-5


@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_any_number_of_rows_leaves_a_bijection(n: int) -> None:
    layer, x = Whiten(D).double(), rows(n)
    x[:, 1] = x[:, 0]  # a copy: no covariance of these rows has an inverse
    z = layer.prepare(x)
    assert bool(z.isfinite().all())
    torch.testing.assert_close(layer.inverse(z), x, rtol=0, atol=1e-8)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_flow_may_begin_so(row) -> None:
    with seeded(0):
        flow = row.load()(Event.real(D), whiten=True).double()
    assert isinstance(flow, Flow)
    x = rows(300)
    flow.prepare(Batch.of(x))
    density = flow.log_prob if hasattr(flow, "log_prob") else lambda x: flow.estimate_log_prob(x)[0]
    with torch.no_grad():
        found = density(x)
    gaussian = torch.distributions.MultivariateNormal(x.mean(0), x.T.cov(correction=0))
    if row.name in ("maf", "iaf", "realnvp", "neural-spline-flow", "continuous-flow"):
        # Of these all other layers begin as the identity.
        assert float((found - gaussian.log_prob(x)).mean().abs()) < 0.02
    assert float(flow.inverse_error(x).max()) < 1e-8
    draws = flow.sample(4000, generator=generator(5))
    assert float((draws.mean(0) - x.mean(0)).abs().max()) < 1.0


def test_only_vectors_of_reals_are_whitened() -> None:
    row = next(row for row in ROWS if row.name == "maf")
    with pytest.raises(ConfigError, match="whiten=True is for vectors of reals"):
        row.load()(Event.image(1, 4, levels=4), whiten=True)


def test_a_student_t_begins_at_the_tails_of_the_batch() -> None:
    base = StudentT((2,)).double()
    z = torch.randn(20000, 2, generator=generator(7), dtype=torch.float64)
    gamma = torch._standard_gamma(torch.full((20000,), 4.0), generator=generator(8))
    z[:, 0] *= (4.0 / gamma).sqrt()  # 8 degrees of freedom
    z[:, 1] = torch.linspace(-1, 1, 20000)
    base.prepare(z)
    heavy, light = base.degrees.tolist()
    assert 6 < heavy < 11
    assert light == pytest.approx(1000.0)
    base.prepare(torch.ones_like(z))
    assert base.degrees.tolist() == [heavy, light]

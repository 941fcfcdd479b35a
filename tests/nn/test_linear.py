"""Linear layers of vectors: inverse, log-determinant by autograd, data-dependent scale."""

import pytest
import torch

from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator
from phosphene.generative.flow.layers.linear import Diagonal, Flattened, LULinear
from phosphene.generative.flow.layers.residual import ResidualConditioner
from phosphene.generative.flow.layers.transform import Transform


def moved(layer: Transform) -> Transform:
    """Float64, and no longer at its start."""
    layer = layer.double()
    with torch.no_grad():
        for i, p in enumerate(layer.parameters()):
            p.add_(0.3 * torch.randn(p.shape, generator=generator(i), dtype=p.dtype))
    return layer


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (LULinear(5), (5,)),
        (Diagonal((5,)), (5,)),
        (Diagonal((2, 3)), (2, 3)),
        (Flattened(LULinear(12), (3, 2, 2)), (3, 2, 2)),
    ],
    ids=str,
)
def test_inverse_and_log_determinant(layer: Transform, shape: tuple[int, ...]) -> None:
    layer = moved(layer)
    x = torch.randn(4, *shape, generator=generator(9), dtype=torch.float64)
    z, log_det = layer(x)
    back, minus = layer.inverse_and_log_det(z)
    assert back.shape == layer.inverse(z).shape == x.shape
    torch.testing.assert_close(back, x, rtol=0, atol=1e-12)
    torch.testing.assert_close(minus, -log_det, rtol=0, atol=1e-12)
    assert not torch.allclose(z, x)
    d = x[0].numel()
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0], x[0])
    exact = torch.linalg.slogdet(jacobian.reshape(d, d))[1]
    torch.testing.assert_close(log_det, exact.expand(4), rtol=0, atol=1e-12)


def test_the_scale_is_set_once() -> None:
    layer = Flattened(Diagonal((4,), 2.0), (1, 2, 2))
    x = torch.randn(500, 1, 2, 2, generator=generator(1)) * torch.tensor([1.0, 1e-3, 50.0, 1.0])[
        None, None, :
    ].view(1, 1, 2, 2)
    z = layer.prepare(x)
    torch.testing.assert_close(z.std(0, correction=0), torch.full((1, 2, 2), 2.0))
    again = layer.prepare(10 * x)
    torch.testing.assert_close(again, 10 * z)
    other = Flattened(Diagonal((4,), 2.0), (1, 2, 2))
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(other.prepare(10 * x), 10 * z)


def test_a_dimension_that_never_varies_keeps_its_scale() -> None:
    layer = Diagonal((2,))
    z = layer.prepare(torch.tensor([[3.0, 1.0], [3.0, -1.0]]))
    assert torch.equal(z, torch.tensor([[3.0, 1.0], [3.0, -1.0]]))
    assert bool(Diagonal((2,)).prepare(torch.ones(1, 2)).isfinite().all())


def test_the_residual_network_starts_at_zero_and_learns_everywhere() -> None:
    net = ResidualConditioner(3, 8, 2, 5)
    x = torch.randn(6, 3, generator=generator(0))
    assert not net(x).any()
    moved(net)  # type: ignore[arg-type]
    net(x.double()).sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in net.parameters())
    with pytest.raises(ConfigError, match="width of a residual network must be 1 or more, got 0"):
        ResidualConditioner(3, 0, 1, 5)

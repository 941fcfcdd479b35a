"""Far from their data flows stay bounded, and go there and back in single precision."""

import math

import pytest
import torch
from torch import Tensor, nn

from phosphene.catalog import System, systems
from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.bases import Learned
from phosphene.generative.flow.layers.split import Split
from phosphene.nn.monotone import held
from phosphene.proofs.fitting import fit
from tests.laws import small

D = 8
VECTORS = [row for row in systems("flow") if "real" in row.events]
IMAGES = [row for row in systems("flow") if row.kind == "model" and "image" in row.events]
SIGMAS = (1.0, 3.0, 5.0, 8.0, 20.0)


def table() -> Tensor:
    """A few rows, correlated and skewed, which a flow of the default size learns by heart."""
    z = torch.randn(120, D, generator=generator(0, 3))
    x = z + z.roll(1, 1) * 0.7
    x[:, ::2] = x[:, ::2].exp()
    return x


def rough(model: Flow) -> Flow:
    """The weights of another start added to its own, a few hundredths in size."""
    with torch.no_grad(), seeded(1):
        for p in model.parameters():
            p.add_(0.03 * torch.randn_like(p))
    return model.eval()


@pytest.fixture(scope="module", params=VECTORS, ids=[row.name for row in VECTORS])
def flow(request: pytest.FixtureRequest) -> Flow:
    """The system as it is by default, trained too fast for too long."""
    with seeded(0):
        model = request.param.load()(Event.real(D))
    steps = 15 if request.param.name == "continuous-flow" else 80
    fit(model, table(), steps=steps, batch_size=120, lr=5e-3)
    assert isinstance(model, Flow)
    return model.eval()


@torch.no_grad()
def errors(flow: Flow, x: Tensor, told: Context | None = None) -> tuple[float, float]:
    """Largest errors of there and back, from either side, in units of the largest number."""
    size = float(x.abs().max())
    context = flow.given(told, len(x))
    there, _ = flow.transform.forward_and_log_det(x, context)
    back = flow.transform.inverse(x, context)
    again, _ = flow.transform.forward_and_log_det(back, context)
    one = flow.transform.inverse(there, context) - x
    return float(one.abs().max()) / size, float((again - x).abs().max()) / size


@pytest.mark.parametrize("sigma", SIGMAS)
def test_there_and_back_far_from_the_data(flow: Flow, sigma: float) -> None:
    x = sigma * torch.randn(200, D, generator=generator(5))
    assert max(errors(flow, x)) < 2e-4


def test_a_density_falls_no_faster_than_a_square(flow: Flow) -> None:
    """Of a point k deviations away no more than a constant times k^2 nats are lost."""
    lost = []
    for sigma in SIGMAS[1:]:
        y = sigma * torch.randn(200, D, generator=generator(5))
        with torch.no_grad():
            z, log_det = flow.forward_and_log_det(y)
            lost.append(-float((flow.base.log_prob(z) + log_det).min()) / sigma**2)
    assert max(lost) < 1e5


@pytest.mark.parametrize("sigma", [1.0, 5.0])
@pytest.mark.parametrize("row", IMAGES, ids=[row.name for row in IMAGES])
def test_images_too(row: System, sigma: float) -> None:
    event = Event.image(1, 4, levels=4)
    spec = small.context(row.name, event) if row.context == "required" else None
    with seeded(0):
        model = row.load()(event, context=spec)
    x = torch.randint(4, (60, *event.shape), generator=generator(3)).byte()
    told = None
    if spec is not None:
        assert spec.image is not None
        label = None if spec.label is None else torch.zeros(60, dtype=torch.long)
        image = torch.zeros(60, *spec.image.shape, dtype=torch.uint8)
        told = Context(label=label, image=image)
    model.prepare(Batch.of(x, told))
    rough(model)
    y = sigma * torch.randn(60, *event.shape, generator=generator(5))
    assert max(errors(model, y, told)) < 1e-3


def test_priors_of_splits_and_bases_are_held() -> None:
    """However far what goes on, or the condition, is: scales stay within e^8."""
    split = Split(4)
    assert split.network is not None
    nn.init.constant_(split.network.weight, 1.0)
    far = torch.full((2, 4, 3, 3), 1e4)
    z, log_det = split(far)
    assert bool(z.isfinite().all())
    assert float(log_det.abs().max()) <= 2 * 9 * 8
    base = Learned((3,), context=ContextSpec(vector=Event.real(2)))
    nn.init.constant_(base.condition.map.weight, 1.0)
    told = Context(vector=torch.tensor([[1e4, 0.0], [-1e4, 0.0]]))
    assert bool(base.log_prob(torch.zeros(2, 3), told).isfinite().all())
    assert bool(base.sample(2, told).isfinite().all())


def test_what_is_held_is_exact_within_four_and_smooth() -> None:
    s = torch.linspace(-20, 20, 4001, dtype=torch.float64, requires_grad=True)
    y = held(s)
    (slope,) = torch.autograd.grad(y.sum(), s, create_graph=True)
    inside = s.abs() <= 4
    assert torch.equal(y[inside], s[inside])
    assert float(y.abs().max()) < 8
    assert bool((slope > 0).all())
    assert float(slope.diff().abs().max()) < 0.01  # no kink
    assert float(held(torch.tensor(math.inf))) == 8.0

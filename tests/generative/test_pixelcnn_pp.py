"""PixelCNN++: the chain rule inside a pixel is exact, and sampling is incremental."""

import math

import pytest
import torch

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.pixelcnn_pp import PixelCNNPlusPlus
from phosphene.proofs.blind_spot import reach, seen

TINY = {"channels": 4, "blocks": 1, "components": 3}


def lively(event, *, seed=0, **settings):
    """A model in float64 whose weights hide nothing, the zero-initialised ones included."""
    with seeded(seed):
        model = PixelCNNPlusPlus(event, **{**TINY, **settings}).double()
        for p in model.parameters():
            p.data += 0.5 * torch.randn_like(p)
    return model


def states(event):
    axes = [torch.arange(event.levels)] * event.dimensions
    return torch.cartesian_prod(*axes).reshape(-1, *event.shape)


@pytest.mark.parametrize(
    "event",
    [
        Event.image(3, 1, levels=12),
        Event.image(3, (1, 2), levels=4),
        Event.image(2, (2, 1), levels=5),
        Event.image(4, 1, levels=4),
        Event.image(1, (2, 2), levels=6),
    ],
)
def test_probabilities_of_all_colors_sum_to_one(event):
    model = lively(event)
    with torch.no_grad():
        total = model.log_prob(states(event)).exp().sum()
    assert abs(float(total) - 1) < 1e-9


def test_a_pixel_is_one_mixture_of_products_of_logistic_bins():
    """Written out: sum_k pi_k P_k(r) P_k(g | r) P_k(b | r, g), at 256 levels."""
    model = lively(Event.image(3, 1, levels=256), components=2)
    raw = model.network(torch.zeros(1, 3, 1, 1).double(), None, None, None) + model.output_bias
    parts = raw.detach().view(10, 2)
    log_pi = torch.log_softmax(parts[0], 0)
    means, log_scales, slopes = parts[1:4], 8 * torch.tanh(parts[4:7] / 8), torch.tanh(parts[7:])

    def cdf(edge, mean, k, c):
        return torch.sigmoid((edge - mean) / log_scales[c, k].exp())

    def by_hand(codes):
        x = [c * 2 / 255 - 1 for c in codes]
        total = 0.0
        for k in range(2):
            mean = [
                means[0, k],
                means[1, k] + slopes[0, k] * x[0],
                means[2, k] + slopes[1, k] * x[0] + slopes[2, k] * x[1],
            ]
            p = log_pi[k].exp()
            for c, code in enumerate(codes):
                high = 1.0 if code == 255 else cdf(x[c] + 1 / 255, mean[c], k, c)
                low = 0.0 if code == 0 else cdf(x[c] - 1 / 255, mean[c], k, c)
                p = p * (high - low)
            total = total + p
        return math.log(total)

    for codes in ((0, 0, 255), (0, 128, 140), (90, 100, 110), (255, 255, 0)):
        x = torch.tensor(codes).view(1, 3, 1, 1)
        assert float(model.log_prob(x).detach()) == pytest.approx(by_hand(codes), rel=1e-8)


def test_green_depends_on_red_and_red_on_nothing_of_its_pixel():
    model = lively(Event.image(3, 2, levels=8))
    x = torch.randint(0, 8, (4, 3, 2, 2), generator=generator(0))
    other = x.clone()
    other[:, 0, 1, 0] = (x[:, 0, 1, 0] + 3) % 8
    with torch.no_grad():
        moved = (model.conditionals(x) != model.conditionals(other)).any(-1).any(0)
    assert moved.view(3, 2, 2)[:, 1].tolist() == [[False, True], [True, True], [True, True]]
    assert not moved.view(3, 2, 2)[:, 0].any()


def test_every_earlier_pixel_within_reach_is_seen():
    """Of the rows above within 3, and of the own row; later pixels never."""
    model = lively(Event.image(1, 7, levels=2), first_kernel=3)
    x = torch.rand(32, 1, 7, 7, dtype=torch.float64)
    found = seen(model, x, (5, 3))
    assert bool(found[reach(7, (5, 3), layers=2)].all())
    assert not bool(found.flatten()[5 * 7 + 3 :].any())


@pytest.mark.parametrize("event", [Event.image(1, (5, 4), levels=9), Event.image(3, (3, 4), 256)])
@pytest.mark.parametrize(
    "settings", [{"blocks": 2}, {"radius": 2, "first_kernel": 3, "position_bias": False}]
)
def test_incremental_sampler_equals_the_naive_one(event, settings):
    model = lively(event, **settings, context=ContextSpec(label=3))
    context = Context(label=torch.arange(5) % 3)
    u = torch.rand(5, event.dimensions, 1, generator=generator(1), dtype=torch.float64)
    with torch.no_grad():
        fast, slow = (model.generate(u, context, naive=naive) for naive in (False, True))
    assert torch.equal(fast, slow)
    assert len(fast.unique()) > 1


def test_learns_that_colors_are_equal():
    """Grey pixels of any brightness: the linear dependence finds them, p(G, B | R) nears 1."""
    event = Event.image(3, 1, levels=8)
    with seeded(0):
        model = PixelCNNPlusPlus(event, channels=4, blocks=1, components=2, first_kernel=3)
    x = torch.arange(8).view(8, 1, 1, 1).expand(-1, 3, 1, 1).repeat(4, 1, 1, 1)
    model.prepare(Batch.of(x))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for step in range(100):
        optimizer.zero_grad()
        model.loss(Batch.of(x, seed=step)).total.backward()
        optimizer.step()
    with torch.no_grad():
        params = model.conditionals(x)
        nats = -model.conditional.log_prob(params, x.flatten(1)).mean(0)
    assert float(nats[0]) < math.log(8) + 0.1
    assert float(nats[1:].sum()) < 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blocks": 0}, "blocks must be at least 1, got 0"),
        ({"radius": 0}, "radius must be at least 1, got 0"),
        ({"first_kernel": 2}, "first_kernel must be odd"),
        ({"components": 0}, "components must be at least 1"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        PixelCNNPlusPlus(Event.image(3, 4), **{**TINY, **settings})
    assert "\n" not in str(caught.value)


def test_reals_are_refused():
    with pytest.raises(EventError, match="PixelCNNPlusPlus cannot model"):
        PixelCNNPlusPlus(Event.real(3, 4, 4))

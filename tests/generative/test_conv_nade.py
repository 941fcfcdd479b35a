"""Convolutional NADE: unknown pixels are not seen, and any mask is completed."""

from itertools import permutations

import pytest
import torch

from phosphene.core.batch import Batch
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.conv_nade import ConvNADE
from tests.helpers.tiny import examples, tiny_digits

SMALL: dict[str, object] = {"channels": 6, "blocks": 1}


def _model(event: Event, **settings: object) -> ConvNADE:
    with seeded(0):
        model = ConvNADE(event, **{**SMALL, **settings}).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for p in model.parameters():
            p += 0.3 * torch.randn(p.shape, generator=generator(1))
    return model


@pytest.mark.parametrize("event", [Event.image(1, (4, 3), levels=2), Event.image(3, 2, levels=4)])
def test_jacobian_is_that_of_the_mask(event: Event) -> None:
    """Parameters move with known pixels, and with nothing that is unknown."""
    model = _model(event)
    known = torch.rand((1, event.dimensions), generator=generator(2)) < 0.5
    x = examples(event, 1).flatten(1).double().requires_grad_()
    for parameter in model.predict(x, known)[0].sum(-1):
        (moved,) = torch.autograd.grad(parameter, x, retain_graph=True)
        assert bool((moved[~known] == 0).all())
    (total,) = torch.autograd.grad(model.predict(x, known).square().sum(), x)
    assert bool((total[known] != 0).all())


def test_parameters_stand_at_their_pixels() -> None:
    """With 1 known pixel in a corner, only its neighbourhood differs from nothing known."""
    event = Event.image(2, (9, 8), levels=2)
    model = _model(event)
    x = examples(event, 1).flatten(1)
    nothing, one = torch.zeros_like(x).bool(), torch.zeros_like(x).bool()
    one[0, 0] = True
    with torch.no_grad():
        moved = (model.predict(x, one) - model.predict(x, nothing)).abs().sum(-1).view(2, 9, 8)
    reach = 2 * len(model.blocks) + 1
    assert bool((moved[:, : reach + 1, : reach + 1] > 0).all())
    assert float(moved[:, reach + 1 :].max()) == 0.0
    assert float(moved[:, :, reach + 1 :].max()) == 0.0


def test_it_learns() -> None:
    data = tiny_digits(64)
    with seeded(0):
        model = ConvNADE(data.event, channels=8, blocks=1)
    model.prepare(Batch.of(data.x))
    with torch.no_grad():
        before = float(model.eval().loss(Batch.of(data.x)).total)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    model.train()
    for step in range(30):
        optimizer.zero_grad()
        model.loss(Batch.of(data.x, seed=step)).total.backward()
        optimizer.step()
    with torch.no_grad():
        after = float(model.eval().loss(Batch.of(data.x)).total)
    assert after < 0.8 * before


def test_expected_loss_is_the_mean_over_orders() -> None:
    """Over all 24 orders and 4 numbers of known pixels, with the likelihood by the chain rule."""
    event = Event.image(1, 2, levels=2)
    model = _model(event, ensemble=1)
    x = examples(event, 3)
    losses, nlls = [], []
    with torch.no_grad():
        for order in permutations(range(4)):
            model.orders[0] = torch.tensor(order)
            nlls.append(-model.log_prob(x))
            for d in range(4):
                known = torch.zeros(3, 4, dtype=torch.bool)
                known[:, list(order[:d])] = True
                losses.append(-model.masked_log_prob(x, known))
    difference = torch.stack(losses).mean(0) - torch.stack(nlls).mean(0)
    assert float(difference.abs().max()) < 1e-12


@pytest.mark.parametrize(
    ("settings", "word"), [({"channels": 0}, "channels"), ({"blocks": 0}, "blocks")]
)
def test_bad_settings(settings: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        ConvNADE(Event.image(1, 4, levels=2), **settings)  # type: ignore[arg-type]


def test_vectors_are_refused() -> None:
    with pytest.raises(EventError, match="order-agnostic-nade"):
        ConvNADE(Event.binary(4))

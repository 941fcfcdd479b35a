"""Order-agnostic NADE: its loss is the mean over orders, its mixture is above it, any mask goes."""

from itertools import permutations

import pytest
import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive import completion
from phosphene.generative.autoregressive.order_agnostic import OrderAgnostic
from phosphene.generative.autoregressive.order_agnostic_nade import OrderAgnosticNADE
from tests.helpers.tiny import examples


def _model(event: Event, **settings: object) -> OrderAgnosticNADE:
    with seeded(0):
        model = OrderAgnosticNADE(event, **{"hidden": (6, 5), **settings}).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for p in model.parameters():
            p += 0.5 * torch.randn(p.shape, generator=generator(1))
    return model


def _in_order(model: OrderAgnostic, x: Tensor, order: list[int]) -> Tensor:
    """The chain rule in one order, by the definition: log p(x) (n,)."""
    total = torch.zeros(len(x), dtype=torch.float64)
    known = torch.zeros(x.shape, dtype=torch.bool)
    for i in order:
        params = model.predict(x, known)
        total += model.conditional.log_prob(params, x)[:, i]
        known[:, i] = True
    return total


def test_expected_loss_is_the_mean_over_orders() -> None:
    """Over all 24 orders and all 4 numbers of known values the weighted loss has this mean."""
    model = _model(Event.binary(4))
    x = examples(model.event, 5)
    losses, nlls = [], []
    with torch.no_grad():
        for order in permutations(range(4)):
            nlls.append(-_in_order(model, x, list(order)))
            for d in range(4):
                known = torch.zeros(5, 4, dtype=torch.bool)
                known[:, list(order[:d])] = True
                losses.append(-model.masked_log_prob(x, known))
    assert len(nlls) == 24
    difference = torch.stack(losses).mean(0) - torch.stack(nlls).mean(0)
    assert float(difference.abs().max()) < 1e-12


def test_masks_are_drawn_evenly() -> None:
    """Every number of known values as often as every other, and of these every set."""
    model = _model(Event.binary(4))
    batch = Batch.of(torch.zeros(12_800, 4, dtype=torch.uint8))
    (known,) = model._masks(batch, 1)
    sets = (known.long() * torch.tensor([8, 4, 2, 1])).sum(1)
    counts = torch.bincount(sets, minlength=16).double()
    size = torch.cartesian_prod(*[torch.arange(2)] * 4).sum(1)
    ways = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=torch.float64)[size]
    expected = torch.where(size < 4, 12_800 / 4 / ways, 0.0)
    some = expected > 0
    assert counts[15] == 0, "an example with nothing unknown teaches nothing"
    square = float(((counts - expected) ** 2 / expected)[some].sum())
    assert square < 14 + 5 * 28**0.5


def test_ensemble_is_above_the_mean() -> None:
    model = _model(Event.binary(6), ensemble=4)
    x = examples(model.event, 8)
    with torch.no_grad():
        each = torch.stack([model.member_log_prob(x, member=m) for m in range(4)])
        together = model.log_prob(x)
        for m in range(4):
            by_definition = _in_order(model, x, model.order_of(m).tolist())
            torch.testing.assert_close(each[m], by_definition, rtol=0, atol=1e-12)
    torch.testing.assert_close(together.exp(), each.exp().mean(0))
    assert bool((together >= each.mean(0)).all())
    assert float((together - each.mean(0)).max()) > 1e-3


@pytest.mark.parametrize("event", [Event.binary(7), Event.tokens(4, 5), Event.real(3)])
def test_running_activations_equal_whole_passes(event: Event) -> None:
    """The base class computes all conditionals by D passes of the network."""
    model = _model(event, ensemble=2, components=3)
    x = examples(event, 3)
    x = x.double() if event.levels is None else x
    with torch.no_grad():
        for m in range(2):
            ours = model.conditionals(x, member=m)
            plain = OrderAgnostic.conditionals(model, x, member=m)
            torch.testing.assert_close(ours, plain, rtol=0, atol=1e-12)


def test_validation_loss_is_a_fixed_estimate_of_low_variance() -> None:
    model = _model(Event.binary(12), ensemble=2)
    x = examples(model.event, 64)
    with torch.no_grad():
        spread = {}
        for mode in (True, False):
            model.train(mode)
            losses = [float(model.loss(Batch.of(x, seed=s)).total) for s in range(12)]
            assert losses[0] == float(model.loss(Batch.of(x, seed=0)).total)
            spread[mode] = torch.tensor(losses).std()
        model.eval()
        orders = [torch.randperm(12, generator=generator(s)).tolist() for s in range(60)]
        mean = -torch.stack([_in_order(model, x, order) for order in orders]).mean()
        estimate = torch.tensor(losses).mean()
    assert spread[False] < 0.3 * spread[True]
    assert abs(float(estimate - mean)) < 4 * float(spread[False]) / 12**0.5 + 0.05


def test_inpainting_follows_the_conditional_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows with different masks in one call; frequencies of the hidden values by enumeration.

    Masks that the order cannot condition on are completed in an order that has the known first.
    """
    monkeypatch.setattr(completion, "STATES", 1)
    model = _model(Event.binary(4), ensemble=1)
    n = 6000
    x = torch.tensor([1, 0, 1, 1]).expand(2 * n, 4)
    masks = torch.tensor([[False, True, False, True], [True, False, False, False]])
    mask = masks.repeat_interleave(n, 0)
    with torch.no_grad():
        y = model.inpaint(x, mask, generator=generator(3))
        assert torch.equal(y[mask].long(), x[mask])
        for rows, known in ((y[:n], masks[0]), (y[n:], masks[1])):
            order = [int(i) for i in known.nonzero()] + [int(i) for i in (~known).nonzero()]
            hidden = (~known).nonzero()[:, 0]
            states = torch.cartesian_prod(*[torch.arange(2)] * len(hidden))
            whole = x[: len(states)].clone()
            whole[:, hidden] = states
            joint = _in_order(model, whole, order).exp()
            p = joint / joint.sum()
            place = 2 ** torch.arange(len(hidden) - 1, -1, -1)
            counts = torch.bincount((rows[:, hidden].long() * place).sum(1), minlength=len(p))
            square = float(((counts - n * p) ** 2 / (n * p)).sum())
            assert square < len(p) - 1 + 5 * (2 * len(p)) ** 0.5


def test_rearranged_orders_weigh_labels_by_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean over orders of sum_y p(y | known) p(rest | known, y), by enumeration."""
    monkeypatch.setattr(completion, "STATES", 1)
    torch.manual_seed(0)
    model = OrderAgnosticNADE(
        Event.binary(4), context=ContextSpec(label=3), hidden=(8,), ensemble=2
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter)
    n, known = 20000, torch.tensor([False, True, False, True])
    x = torch.tensor([[1, 0, 1, 1]])
    drawn = model.inpaint(x.expand(n, 4), known, generator=generator(1))[:, [0, 2]].long()
    frequency = torch.bincount(drawn[:, 0] * 2 + drawn[:, 1], minlength=4) / n
    whole = x.expand(4, 4).clone()
    whole[:, [0, 2]] = torch.cartesian_prod(torch.arange(2), torch.arange(2))
    p = torch.zeros(4)
    with torch.no_grad():
        for member in range(2):
            order = model.orders[member]
            model.orders[member] = torch.cat((order[known[order]], order[~known[order]]))
            joint = [
                model.member_log_prob(whole, Context(label=torch.full((4,), y)), member=member)
                + model.log_prior[y]
                for y in range(3)
            ]
            p += torch.stack(joint).logsumexp(0).softmax(0) / 2
    assert float((frequency - p).abs().sum()) / 2 < 0.01


@pytest.mark.parametrize("event", [Event.image(1, 3, levels=2), Event.image(1, 2, levels=5)])
def test_inpainting_by_rows_equals_whole_passes(event: Event) -> None:
    """The fast stepper and one whole pass for each value draw the same, given the same numbers."""
    model = _model(event, conditional="auto")
    x = examples(event, 6)
    mask = torch.rand(x.shape, generator=generator(4)) < torch.linspace(0, 1, 6).view(-1, 1, 1, 1)
    with torch.no_grad():
        fast = model.inpaint(x, mask, generator=generator(5))
        slow = _Plain.inpaint(model, x, mask)
    assert torch.equal(fast, slow)


class _Plain:
    """Inpainting by the row stepper of the base class."""

    @staticmethod
    def inpaint(model: OrderAgnosticNADE, x: Tensor, mask: Tensor) -> Tensor:
        fast = model.row_stepper
        object.__setattr__(model, "row_stepper", lambda *a: OrderAgnostic.row_stepper(model, *a))
        try:
            return model.inpaint(x, mask, generator=generator(5))
        finally:
            object.__setattr__(model, "row_stepper", fast)


def test_nothing_and_everything_known() -> None:
    model = _model(Event.binary(5))
    x = examples(model.event, 3)
    assert torch.equal(model.inpaint(x, torch.ones(5).bool(), generator=generator(0)), x)
    y = model.inpaint(x, torch.zeros(5).bool(), generator=generator(0))
    assert y.shape == x.shape


def test_unknown_labels_share_their_masks() -> None:
    """With a label that matters nothing, the marginal loss is the loss given any label."""
    with seeded(0):
        model = OrderAgnosticNADE(Event.binary(6), hidden=(5,), context=ContextSpec(label=3))
    with torch.no_grad():
        for condition in (model.hidden_condition, model.output_condition):
            assert condition.map is not None
            condition.map.weight.zero_()
    x = examples(model.event, 4)
    losses = [
        model.loss(Batch.of(x, Context(label=torch.full((4,), y)))).total.item() for y in (-1, 1)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "error", "word"),
    [
        ({"hidden": ()}, ConfigError, "hidden"),
        ({"hidden": (0,)}, ConfigError, "widths"),
        ({"ensemble": 0}, ConfigError, "ensemble"),
        ({"activation": "rely"}, UnknownNameError, "relu"),
        ({"dropout": 1.0}, ConfigError, "dropout"),
        ({"inputs": "raw"}, ConfigError, "one-hot"),
        ({"conditional": "gaussian-mixture"}, EventError, "GaussianMixture"),
    ],
)
def test_bad_settings(settings: dict[str, object], error: type[Exception], word: str) -> None:
    with pytest.raises(error, match=word):
        OrderAgnosticNADE(Event.binary(4), **settings)  # type: ignore[arg-type]


def test_reals_have_no_one_hot_codes() -> None:
    with pytest.raises(ConfigError, match="real"):
        OrderAgnosticNADE(Event.real(3), inputs="one-hot")

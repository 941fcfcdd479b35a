"""Masked layers see what they may, all of it and nothing else, at once and one after another."""

from itertools import product

import pytest
import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator, mix, seeded
from phosphene.generative.autoregressive.made import MADE
from phosphene.nn.choosing import Choosing
from phosphene.nn.masked import IncrementalMLP, MaskedMLP
from tests.laws.support import states_of

DEPTHS: tuple[tuple[int, ...], ...] = ((), (3,), (16,), (16, 9), (12, 12, 12))


def _net(dimensions: int, hidden: tuple[int, ...], seed: int = 0, **settings: object) -> MaskedMLP:
    """A network in float64 whose every weight matters."""
    with seeded(seed):
        net = MaskedMLP(dimensions, hidden, **settings).double()  # type: ignore[arg-type]
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return net


def _random_orders(dimensions: int, k: int) -> Tensor:
    return torch.stack([torch.randperm(dimensions, generator=generator(k, i)) for i in range(k)])


def _jacobian(net: MaskedMLP, member: int) -> Tensor:
    """The largest |dy_i / dx_j| over outputs, features and points: (D, D) by rank."""
    x = torch.randn(4, net.dimensions, net.features, dtype=torch.float64, generator=generator(3))
    whole = torch.autograd.functional.jacobian(lambda x: net(x, member=member).sum(0), x)
    worst = whole.abs().amax((1, 2, 4))
    order = net.orders[member]
    return worst[order][:, order]


@pytest.mark.parametrize("hidden", DEPTHS)
@pytest.mark.parametrize("direct", [False, True])
def test_the_jacobian_is_strictly_triangular(hidden: tuple[int, ...], direct: bool) -> None:
    for dimensions, features, masks in ((2, 1, 1), (5, 1, 3), (7, 3, 2)):
        net = _net(
            dimensions,
            hidden,
            outputs=2,
            features=features,
            masks=masks,
            direct=direct,
            orders=_random_orders(dimensions, 3),
            activation="tanh",
        )
        assert net.members == 3 * masks
        for member in range(net.members):
            assert float(_jacobian(net, member).triu().max()) == 0.0


@pytest.mark.parametrize("hidden", [(24,), (24, 24), (24, 12, 24)])
@pytest.mark.parametrize("residual", [False, True])
def test_all_that_came_before_is_seen(hidden: tuple[int, ...], residual: bool) -> None:
    """A mask that is too strict is an error as well: no earlier value is lost."""
    if residual and len(set(hidden)) > 1:
        return
    net = _net(6, hidden, orders=_random_orders(6, 2), residual=residual, activation="softplus")
    for member in range(2):
        below = torch.ones(6, 6).tril(-1).bool()
        assert float(_jacobian(net, member)[below].min()) > 0


@pytest.mark.parametrize("dimensions", [2, 3, 9])
@pytest.mark.parametrize("masks", [1, 5])
def test_degrees_lie_between_one_and_the_last_dimension(dimensions: int, masks: int) -> None:
    """A unit of degree D could reach no output; one of degree 0 would see nothing."""
    net = _net(dimensions, (40, 7, 40), masks=masks)
    for member in range(net.members):
        low = 1
        for degrees in net.degrees_of(member):
            assert low <= int(degrees.min())
            assert int(degrees.max()) <= dimensions - 1
            low = int(degrees.min())  # the next layer's units all have inputs
    if masks == 1:
        counts = torch.bincount(net.degrees_of(0)[0], minlength=dimensions)[1:]
        assert int(counts.max() - counts.min()) <= 1


def test_masks_differ_and_follow_their_generator() -> None:
    one, same, other = (
        MaskedMLP(9, (30,), masks=4, generator=generator(seed)).degrees_of(2)[0]
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    net = MaskedMLP(9, (30,), masks=4, generator=generator(0))
    assert not torch.equal(net.degrees_of(0)[0], net.degrees_of(1)[0])


@pytest.mark.parametrize("hidden", [(), (4,), (4, 4)])
def test_one_dimension_has_nothing_to_see(hidden: tuple[int, ...]) -> None:
    spec = ContextSpec(label=3)
    net = _net(1, hidden, outputs=2, direct=True, masks=2, context=spec)
    context = Context(label=torch.tensor([0, 1, 2]))
    x = torch.randn(3, 1, dtype=torch.float64)
    out = net(x, context)
    assert torch.equal(out, net(x + 1, context))
    assert not torch.equal(out[0], out[1])
    assert torch.allclose(IncrementalMLP(net, 3, context).next(), out[:, 0])


@pytest.mark.parametrize("hidden", DEPTHS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_one_after_another_equals_all_at_once(hidden: tuple[int, ...], activation: str) -> None:
    spec = ContextSpec(label=3)
    for dimensions, features, direct, conditioned in product((2, 7), (1, 3), (0, 1), (0, 1)):
        net = _net(
            dimensions,
            hidden,
            outputs=2,
            features=features,
            direct=bool(direct),
            masks=2,
            orders=_random_orders(dimensions, 2),
            activation=activation,
            residual=len(set(hidden)) == 1,
            context=spec if conditioned else None,
        )
        context = Context(label=torch.tensor([0, 1, 2, 1, 0]))
        x = torch.randn(5, dimensions, features, dtype=torch.float64)
        for member in range(net.members):
            order = net.orders[member].tolist()
            run = IncrementalMLP(net, 5, context, member=member)
            parts = [run.next(x[:, order[k - 1]] if k else None) for k in range(dimensions)]
            whole = net(x, context, member=member)[:, order]
            assert torch.allclose(torch.stack(parts, 1), whole, rtol=0, atol=1e-12)


def test_every_unit_is_computed_once() -> None:
    """The sorted weights cover each unit, and what is used of a row is what its mask keeps."""
    net = _net(6, (20, 11), masks=3)
    weights = net.sorted(1)
    *masks, _ = net.masks(1)
    for known, weight, mask in zip(weights.known, weights.weights, masks, strict=True):
        assert known == sorted(known)
        assert known[0] == 0
        assert known[-1] == len(weight)
        assert int((weight != 0).sum()) == int(mask.sum())
    first = weights.weights[0]
    for k in range(1, 6):  # a staircase: rows known after k values use the first k columns
        assert float(first[: weights.known[0][k], k:].abs().sum()) == 0.0


@pytest.mark.parametrize("hidden", [(0,), (8, -1)])
def test_widths_are_checked(hidden: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="hidden"):
        MaskedMLP(3, hidden)


# -- the model ----------------------------------------------------------------------------------


def _made(event: Event, seed: int = 0, **settings: object) -> MADE:
    with seeded(seed):
        model = MADE(event, **{"hidden": (16,), **settings}).double()  # type: ignore[arg-type]
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
    return model


@pytest.mark.parametrize("orders", [1, 3])
@pytest.mark.parametrize("masks", [1, 2])
def test_probabilities_sum_to_one_for_every_member(orders: int, masks: int) -> None:
    event = Event.binary(8)
    states = states_of(event)
    assert states is not None
    model = _made(event, order="random", orders=orders, masks=masks, hidden=(16, 8))
    each = torch.stack([model.member_log_prob(states, member=m) for m in range(model.members)])
    total = each.exp().sum(1)
    assert torch.allclose(total, torch.ones_like(total), rtol=0, atol=1e-12)
    mixture = each.exp().mean(0).log()
    assert torch.allclose(model.log_prob(states), mixture, rtol=0, atol=1e-12)


def test_a_step_trains_one_member_whatever_the_ranks() -> None:
    event = Event.binary(6)
    model = _made(event, order="random", orders=5, masks=2)
    x = torch.randint(2, (8, 6), generator=generator(0))
    members = set()
    for seed in range(40):
        batch = Batch.of(x, seed=seed)
        member = mix(*batch.noise.key) % model.members
        members.add(member)
        whole = model.loss(batch).terms["nll"]
        assert torch.equal(whole, -model.member_log_prob(x, member=member))
        parts = [model.loss(batch[r]).terms["nll"] for r in (slice(0, 3), slice(3, 8))]
        assert torch.allclose(torch.cat(parts), whole, rtol=0, atol=1e-12)
    assert members == set(range(10))


def test_orders_and_masks_travel_with_the_weights() -> None:
    event = Event.binary(7)
    one = _made(event, 0, order="random", orders=2, masks=3)
    two = _made(event, 1, order="random", orders=2, masks=3)
    assert not torch.equal(one.order_of(4), two.order_of(4))
    two.load_state_dict(one.state_dict())
    x = torch.randint(2, (9, 7), generator=generator(0))
    assert torch.equal(one.log_prob(x), two.log_prob(x))
    pair = (m.sample(9, generator=generator(1)) for m in (one, two))
    assert torch.equal(next(pair), next(pair))


@pytest.mark.parametrize(
    ("event", "settings"),
    [
        (Event.binary(30), {"hidden": (40, 40), "residual": True}),
        (Event.image(1, 5, levels=17), {}),
        (Event.audio(20, levels=256), {"conditional": "logistic-bins", "components": 3}),
        (Event.real(12), {"components": 1, "direct": False}),
    ],
)
def test_the_fast_sampler_equals_the_naive_one(event: Event, settings: dict[str, object]) -> None:
    model = _made(event, order="random", orders=2, masks=2, **settings)
    shape = (16, event.dimensions, model.conditional.uniforms)
    u = torch.rand(shape, generator=generator(2), dtype=torch.float64)
    member = torch.arange(16) % 4
    with torch.no_grad():
        for how in (Choosing(), Choosing(temperature=0.0)):
            fast, slow = (model.generate(u, how=how, member=member, naive=n) for n in (False, True))
            assert torch.allclose(fast.double(), slow.double(), rtol=1e-9, atol=1e-9)


def test_one_gaussian_is_a_layer_of_a_masked_autoregressive_flow() -> None:
    """u_i = (x_i - mu_i) / s_i is normal, and the Jacobian's diagonal is 1 / s_i."""
    event = Event.real(5)
    model = _made(event, components=1, order="random")
    x = torch.randn(4, 5, dtype=torch.float64)
    log_s = model.conditionals(x)[..., 2]
    limit = 8.0
    scale = (limit * torch.tanh(log_s / limit)).exp()

    def whitened(x: Tensor) -> Tensor:
        _, mu, log_s = model.conditionals(x[None])[0].unbind(-1)
        return (x - mu) * (-limit * torch.tanh(log_s / limit)).exp()

    for i in range(4):
        jacobian = torch.autograd.functional.jacobian(whitened, x[i])
        log_det = torch.linalg.slogdet(jacobian)[1]
        normal = torch.distributions.Normal(0.0, 1.0).log_prob(whitened(x[i])).sum()
        assert torch.allclose(model.log_prob(x[i : i + 1])[0], normal + log_det)
        assert torch.allclose(log_det, -scale[i].log().sum())


def test_classes_by_the_joint() -> None:
    model = _made(Event.binary(6), context=ContextSpec(label=4), masks=2)
    model.prepare(Batch.of(torch.randint(2, (40, 6)), Context(label=torch.arange(40) % 7 % 4)))
    x = torch.randint(2, (5, 6), generator=generator(0))
    joint = torch.stack(
        [model.log_prob(x, Context(label=torch.full((5,), y))) for y in range(4)], 1
    )
    joint = joint + model.log_prior
    assert torch.allclose(model.classify(x), joint - joint.logsumexp(1, keepdim=True))
    assert torch.allclose(model.log_prob(x), joint.logsumexp(1), rtol=0, atol=1e-12)


def test_an_image_is_continued_in_the_order_that_fits() -> None:
    event = Event.image(1, 4, levels=2)
    model = _made(event, order="random", orders=3)
    x = torch.randint(2, (3, 1, 4, 4), generator=generator(0))
    top = torch.zeros(1, 4, 4, dtype=torch.bool)
    top[:, :2] = True
    assert torch.equal(model.inpaint(x, top, generator=generator(1))[:, :, :2], x[:, :, :2])
    third = torch.zeros(16, dtype=torch.bool)
    third[model.order_of(2)[:7]] = True
    filled = model.inpaint(x, third.view(1, 4, 4), generator=generator(1))
    assert torch.equal(filled.flatten(1)[:, third], x.flatten(1)[:, third])


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"order": "spiral"}, UnknownNameError, "order"),
        ({"orders": 2}, ConfigError, "order='random'"),
        ({"order": "random", "orders": 0}, ConfigError, "orders must be at least 1"),
        ({"masks": 0}, ConfigError, "masks must be at least 1"),
        ({"hidden": (0,)}, ConfigError, "hidden"),
        ({"hidden": (8, 9), "residual": True}, ConfigError, "equal widths"),
        ({"dropout": 1.0}, ConfigError, "dropout"),
        ({"activation": "rleu"}, UnknownNameError, "relu"),
        ({"conditional": "gaussian-mixture"}, EventError, "density at a code"),
        ({"conditional": "logistic-bins", "components": 0}, ConfigError, "components"),
        ({"context": ContextSpec(image=Event.image(1, 2))}, EventError, "a label or a vector"),
    ],
)
def test_bad_settings_are_refused(
    settings: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        MADE(Event.binary(4), **settings)  # type: ignore[arg-type]


def test_bad_examples_are_refused() -> None:
    model = MADE(Event.binary(4), hidden=(8,))
    with pytest.raises(EventError, match="expected a batch of shape"):
        model.log_prob(torch.zeros(2, 5))
    with pytest.raises(EventError, match="codes must lie in"):
        model.log_prob(torch.full((2, 4), 2))
    with pytest.raises(EventError, match="NaN"):
        MADE(Event.real(2)).log_prob(torch.full((1, 2), float("nan")))

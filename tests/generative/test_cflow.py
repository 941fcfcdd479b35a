"""C-Flow: one condition gives back the example, two depths agree, each state steers its step."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.cflow import CFlow
from phosphene.generative.flow.layers.conditioner import ImageConditioner
from phosphene.generative.flow.layers.steered import States
from tests.helpers.tiny import examples

CODES = Event.image(3, 8, levels=32)
REALS = Event.real(3, 8, 8)
MASK = Event.image(1, 8, levels=4)


def made(event: Event = CODES, given: Event = MASK, **settings: object) -> CFlow:
    """A small flow, every weight moved off the identity."""
    small = {"steps": 2, "hidden": 8, "condition_hidden": 8} | settings
    with seeded(0):
        flow = CFlow(event, context=ContextSpec(image=given), **small)  # type: ignore[arg-type]
        flow.prepare(Batch.of(examples(event, 16), Context(image=examples(given, 16))))
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return flow


def conditions(n: int, seed: int = 0, given: Event = MASK) -> Context:
    return Context(image=examples(given, n, seed))


@pytest.mark.parametrize("codec", ["centered", "logit", "equalized"])
def test_the_same_condition_gives_the_codes_back_exactly(codec: str) -> None:
    flow, x, a = made(codec=codec), examples(CODES, 6), conditions(6)
    assert torch.equal(flow.transfer(x, a, a), x)
    moved = flow.transfer(x, a, conditions(6, 1))
    CODES.check(moved)
    assert not torch.equal(moved, x)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_the_same_condition_gives_reals_back(dtype: torch.dtype, tolerance: float) -> None:
    flow, a = made(REALS).to(dtype), conditions(6)
    x = examples(REALS, 6).to(dtype)
    back = flow.transfer(x, a, a)
    assert float((back - x).abs().max() / x.abs().max()) <= tolerance
    other = conditions(6, 1)
    there = flow.transfer(x, a, other)
    assert float((there - x).abs().max()) > 1e-2
    # There and back again is the identity too: transfers keep the latent.
    again = flow.transfer(there, other, a)
    assert float((again - x).abs().max() / x.abs().max()) <= 10 * tolerance


def test_a_transfer_keeps_the_latent() -> None:
    flow, a, b = made(REALS).double(), conditions(5), conditions(5, 1)
    x = examples(REALS, 5).double()
    moved = flow.transfer(x, a, b)
    with torch.no_grad():
        z, _ = flow.forward_and_log_det(flow.codec.encode(x)[0], a)
        kept, _ = flow.forward_and_log_det(flow.codec.encode(moved)[0], b)
    assert float((z - kept).abs().max()) < 1e-9


def test_the_likelihood_is_that_of_the_second_image_alone() -> None:
    """log p(x_B | x_A) from the definition: the latent's density and autograd's determinant."""
    event, given = Event.real(1, 4, 4), Event.image(2, 4, levels=3)
    flow = made(event, given, steps=1).double()
    x, a = examples(event, 2).double(), conditions(2, given=given)
    with torch.no_grad():
        found = flow.log_prob(x, a)
    y, codec = flow.codec.encode(x)
    for i in range(2):
        one = a[slice(i, i + 1)]

        def forward(v: Tensor, one: Context = one) -> Tensor:
            return flow.forward_and_log_det(v[None], one)[0].flatten()

        jacobian = torch.autograd.functional.jacobian(forward, y[i]).reshape(16, 16)
        z = forward(y[i])
        normal = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum()
        expected = normal + torch.linalg.slogdet(jacobian)[1] + codec[i]
        assert abs(float((found[i] - expected).detach())) < 1e-9


def test_every_state_steers_its_step() -> None:
    """Each of the k states moves f's latent, and no step of f is told nothing."""
    flow, x, a = made(REALS, levels=3).double(), examples(REALS, 4).double(), conditions(4)
    assert a.image is not None
    states = flow.condition.states(a.image)
    assert len(states) == 6
    f = flow.transform.flow

    def latent(told: list[Tensor]) -> Tensor:
        return f.forward_and_log_det(x, States.of(a, told))[0]

    with torch.no_grad():
        before = latent(states)
        assert torch.equal(before, flow.forward_and_log_det(x, a)[0])
        for i, state in enumerate(states):
            changed = [*states[:i], state + 1.0, *states[i + 1 :]]
            assert float((latent(changed) - before).abs().max()) > 1e-4, f"state {i} is not heard"


def test_states_are_those_of_the_middle_of_the_bins() -> None:
    flow, a = made(levels=1), conditions(3)
    assert a.image is not None
    with torch.no_grad():
        last = flow.condition.states(a.image)[-1]
        z, _ = flow.condition.forward_and_log_det((a.image.float() + 0.5) / 4 - 0.5)
    assert torch.allclose(torch.pixel_shuffle(last, 2), z, atol=1e-6)


def test_draws_for_one_condition_compute_its_states_once() -> None:
    flow, a = made(), conditions(3)
    assert a.image is not None
    many = a.repeat(5)
    assert many.image is not None
    seen: list[int] = []
    network = next(m for m in flow.condition.modules() if isinstance(m, ImageConditioner))
    network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    with torch.no_grad():
        one, row = flow.condition.states(a.image), flow.condition.states(many.image)
        flow.elbo(examples(CODES, 3), a, particles=4)
        flow.sample(15, many)
    assert seen == [3, 3, 3, 3]
    for h, repeated in zip(one, row, strict=True):
        assert torch.allclose(h.repeat_interleave(5, 0), repeated, atol=1e-6)


def test_a_loss_has_two_terms_and_its_weight() -> None:
    x, a = examples(CODES, 8), conditions(8)
    for weight in (1.0, 0.25):
        flow = made(condition_weight=weight)
        loss = flow.loss(Batch.of(x, a))
        nll, own = loss.terms["nll"], loss.terms["condition_nll"]
        assert nll.shape == own.shape == (8,)
        assert torch.allclose(loss.total, nll.mean() + weight * own.mean())
    u = Batch.of(x, a)
    first, second = u.uniform(CODES.shape), u.uniform(MASK.shape)
    assert not torch.equal(first[:, :1], second)  # the noises of the two are not the same
    with torch.no_grad():
        expected = -flow.condition._bound(a.image, Context(), second)  # type: ignore[arg-type]
    assert torch.allclose(own, expected, atol=1e-4)


def test_g_learns_from_both_terms() -> None:
    flow = made()
    loss = flow.loss(Batch.of(examples(CODES, 8), conditions(8)))
    weights = list(flow.condition.parameters())
    grads = torch.autograd.grad(
        loss.terms["nll"].mean(), weights, allow_unused=True, retain_graph=True
    )
    assert sum(g is not None and bool(g.any()) for g in grads) > len(weights) // 2


def test_without_conditioning_the_two_are_independent() -> None:
    flow, x = made(conditional=False), examples(CODES, 8)
    one, other = (flow.elbo(x, conditions(8, k), generator=generator(3)) for k in (0, 1))
    assert torch.equal(one, other)
    a = conditions(8)
    assert torch.equal(flow.transfer(x, a, conditions(8, 1)), x)
    loss = flow.loss(Batch.of(x, a))
    grads = torch.autograd.grad(
        loss.terms["nll"].mean(), list(flow.condition.parameters()), allow_unused=True
    )
    assert all(g is None for g in grads)


def test_pairs_are_drawn_together() -> None:
    flow = made()
    a, x = flow.sample_pairs(5, generator=generator(1))
    MASK.check(a)
    CODES.check(x)
    again = flow.sample_pairs(5, generator=generator(1))
    assert torch.equal(a, again[0])
    assert torch.equal(x, again[1])


def test_a_label_is_told_beside_the_image() -> None:
    spec = ContextSpec(image=MASK, label=3)
    with seeded(0):
        flow = CFlow(CODES, context=spec, steps=1, hidden=8, condition_hidden=8)
        for parameter in flow.parameters():
            parameter.data.add_(0.05 * torch.randn_like(parameter))
    x, a = examples(CODES, 4), conditions(4)
    zero, one = (
        flow.elbo(x, replace(a, label=torch.full((4,), k)), generator=generator(1)) for k in (0, 1)
    )
    assert not torch.equal(zero, one)
    told = Context(label=torch.tensor([0, 1]))
    image, drawn = flow.sample_pairs(2, told, generator=generator(2))
    assert len(image) == len(drawn) == 2


@pytest.mark.parametrize("wanted", [Context(), Context(image=torch.zeros(4, 1, 16, 16))])
def test_a_condition_that_is_missing_or_of_another_size_is_refused(wanted: Context) -> None:
    flow, x, a = made(), examples(CODES, 4), conditions(4)
    for call in (
        lambda: flow.transfer(x, a, wanted),
        lambda: flow.transfer(x, wanted, a),
        lambda: flow.elbo(x, wanted),
        lambda: flow.sample(4, wanted),
        lambda: flow.loss(Batch.of(x, wanted)),
        lambda: flow.prepare(Batch.of(x, wanted)),
    ):
        with pytest.raises(EventError, match=r"lacks it|expected a batch of shape"):
            call()


def test_codes_of_a_condition_out_of_range_are_refused() -> None:
    flow, x = made(), examples(CODES, 4)
    with pytest.raises(EventError, match=r"0\.\.3"):
        flow.elbo(x, Context(image=torch.full((4, 1, 8, 8), 4)))


@pytest.mark.parametrize(
    ("settings", "spec", "message"),
    [
        ({}, None, "given another one"),
        ({}, ContextSpec(label=3), "given another one"),
        ({}, ContextSpec(image=Event.image(1, 16)), "its condition is 16x16"),
        ({}, ContextSpec(image=Event.image(1, 6)), "halved only once"),
        ({}, ContextSpec(image=Event.real(8)), "squeezes images"),
        ({"levels": 4}, ContextSpec(image=MASK), "halved 3 times"),
    ],
)
def test_a_condition_that_does_not_fit_is_refused(
    settings: dict[str, int], spec: ContextSpec | None, message: str
) -> None:
    with pytest.raises(EventError, match=message):
        CFlow(CODES, context=spec, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings", [{"steps": 0}, {"levels": 0}, {"condition_weight": 0.0}, {"limit": -1.0}]
)
def test_numbers_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        CFlow(CODES, context=ContextSpec(image=MASK), **settings)  # type: ignore[arg-type]


def test_an_event_that_is_no_image_is_refused() -> None:
    with pytest.raises(EventError, match="squeezes images"):
        CFlow(Event.real(4), context=ContextSpec(image=MASK))
    with pytest.raises(EventError, match="reals, or images"):
        CFlow(Event.binary(4), context=ContextSpec(image=MASK))

"""Second derivatives of every flow, and ``torch.func`` on it, against finite differences."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from phosphene.catalog import System, systems
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.realnvp import RealNVP
from tests.laws import small

VECTOR, IMAGE = Event.real(3), Event.image(1, 4, levels=4)
MODELS = [row for row in systems("flow") if row.kind == "model"]
CASES = [
    (row, event, settings)
    for row in MODELS
    for event in ([VECTOR] if "real" in row.events else [IMAGE])
    for settings in small.settings(row.name, event)
]
IDS = [f"{row.name}-{i}" for i, (row, _, _) in enumerate(CASES)]
CLOSE = {"rtol": 1e-8, "atol": 1e-9}

Function = Callable[[Tensor], Tensor]


def built(row: System, event: Event, settings: dict[str, object]) -> tuple[Flow, Context | None]:
    """A flow in double precision that is no identity, and what one example is told."""
    spec = small.context(row.name, event) if row.context == "required" else None
    with seeded(0):
        model = row.load()(event, context=spec, **settings).double().eval()
        for p in model.parameters():
            torch.nn.init.normal_(p, std=0.2)
    assert isinstance(model, Flow)
    if spec is None:
        return model, None
    assert spec.image is not None
    label = None if spec.label is None else torch.zeros(1, dtype=torch.long)
    return model, Context(label=label, image=torch.zeros(1, *spec.image.shape, dtype=torch.uint8))


def densities(flow: Flow, told: Context | None) -> dict[str, Function]:
    """Numbers that both directions give of one example (1, ...), the density among them."""

    def log_prob(y: Tensor) -> Tensor:
        z, log_det = flow.forward_and_log_det(y, told)
        return (flow.base.log_prob(z, flow.given(told, 1)) + log_det).sum()

    def back(z: Tensor) -> Tensor:
        x, log_det = flow.transform.inverse_and_log_det(z, flow.given(told, 1))
        return (x.square().sum() + log_det).sum()

    found: dict[str, Function] = {"density": log_prob, "back": back}
    if flow.event.kind == "real":
        found["log_prob"] = lambda x: (
            flow.log_prob(x) if hasattr(flow, "log_prob") else flow.estimate_log_prob(x)[0]
        ).sum()
    return found


def slope_of(function: Function, x: Tensor) -> Tensor:
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(function(x), x)[0]


@pytest.mark.parametrize(("row", "event", "settings"), CASES, ids=IDS)
def test_the_hessian_is_that_of_finite_differences(row, event, settings):
    flow, told = built(row, event, settings)
    x = 0.7 * torch.randn(1, *event.shape, generator=generator(1), dtype=torch.float64)
    direction = torch.randn(x.shape, generator=generator(2), dtype=torch.float64)
    for name, function in densities(flow, told).items():
        at = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(function(at), at, create_graph=True)
        (bent,) = torch.autograd.grad((slope * direction).sum(), at, materialize_grads=True)
        step = 1e-5 * direction
        expected = (slope_of(function, x + step) - slope_of(function, x - step)) / 2e-5
        torch.testing.assert_close(
            bent, expected, rtol=1e-5, atol=1e-6, msg=lambda m, n=name: n + m
        )


@pytest.mark.parametrize(("row", "event", "settings"), CASES, ids=IDS)
def test_transforms_of_functions_agree(row, event, settings):
    flow, told = built(row, event, settings)
    x = 0.7 * torch.randn(1, *event.shape, generator=generator(1), dtype=torch.float64)
    direction = torch.randn(x.shape, generator=generator(2), dtype=torch.float64)
    for function in densities(flow, told).values():
        slope = slope_of(function, x)
        torch.testing.assert_close(torch.func.jacrev(function)(x), slope, **CLOSE)
        for context in (torch.enable_grad, torch.no_grad):  # native kernels see no tangents
            with context():
                _, moved = torch.func.jvp(function, (x,), (direction,))
            torch.testing.assert_close(moved.detach(), (slope * direction).sum(), **CLOSE)
        _, bent = torch.func.jvp(torch.func.grad(function), (x,), (direction,))
        _, expected = torch.autograd.functional.hvp(function, x, direction)
        torch.testing.assert_close(bent, expected, **CLOSE)
        many = torch.stack((x, x + 0.1))
        if row.name == "continuous-flow":
            with pytest.raises(ConfigError, match="vmap hides the values"):
                torch.func.vmap(function)(many)
            continue
        each = torch.func.vmap(torch.func.grad(function))(many)
        torch.testing.assert_close(
            each, torch.stack([slope_of(function, v) for v in many]), **CLOSE
        )
        torch.testing.assert_close(slope_of(function, x), slope, rtol=0, atol=0)


@pytest.mark.parametrize(("row", "event", "settings"), CASES, ids=IDS)
def test_parameters_have_second_derivatives(row, event, settings):
    """The gradient along a direction of all parameters, by central differences."""
    flow, told = built(row, event, settings)
    x = 0.7 * torch.randn(1, *event.shape, generator=generator(1), dtype=torch.float64)
    value = densities(flow, told)["density"]
    parameters = [p for p in flow.parameters() if p.requires_grad]
    directions = [torch.randn(p.shape, generator=generator(3), dtype=p.dtype) for p in parameters]

    def slopes(*, again: bool = False) -> list[Tensor]:
        found = torch.autograd.grad(
            value(x), parameters, create_graph=again, allow_unused=True, materialize_grads=True
        )
        return list(found)

    pairs = zip(slopes(again=True), directions, strict=True)
    along = torch.stack([(g * d).sum() for g, d in pairs]).sum()
    bent = torch.autograd.grad(along, parameters, allow_unused=True, materialize_grads=True)
    ends = []
    with torch.no_grad():
        for step in (1e-5, -2e-5):
            for p, d in zip(parameters, directions, strict=True):
                p.add_(step * d)
            with torch.enable_grad():
                ends.append(slopes())
    for one, ahead, behind in zip(bent, *ends, strict=True):
        torch.testing.assert_close(one, (ahead - behind) / 2e-5, rtol=1e-4, atol=1e-5)


def test_weights_of_functional_calls_are_transformed():
    """Gradients for each example, which ``vmap`` of ``grad`` over functional calls gives."""
    flow = RealNVP(VECTOR, layers=2, hidden=(4,)).double()
    x = torch.randn(4, 3, generator=generator(1), dtype=torch.float64)
    weights = dict(flow.named_parameters())

    def value(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        z, log_det = torch.func.functional_call(flow, weights, (x[None],))
        return (flow.base.log_prob(z) + log_det)[0]

    flow.forward = flow.forward_and_log_det
    each = torch.func.vmap(torch.func.grad(value), (None, 0))(weights, x)
    flow.log_prob(x).sum().backward()
    for name, p in flow.named_parameters():
        torch.testing.assert_close(each[name].sum(0), p.grad)


def test_labels_under_vmap():
    spec = ContextSpec(label=3)
    flow = RealNVP(VECTOR, context=spec, layers=2, hidden=(4,)).double()
    x, label = torch.zeros(3, 3).double(), torch.arange(3)
    one = lambda x, y: flow.log_prob(x[None], Context(label=y[None]))[0]  # noqa: E731
    torch.testing.assert_close(
        torch.func.vmap(one)(x, label), flow.log_prob(x, Context(label=label))
    )

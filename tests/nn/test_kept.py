"""What evaluation keeps of weights is made again after every kind of change to them."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.energy.rbm import RBM
from phosphene.generative.flow.glow import Glow
from phosphene.generative.flow.layers.autoregressive import MaskedAutoregressive
from phosphene.generative.flow.layers.conditioner import ImageConditioner
from phosphene.generative.flow.layers.conv1x1 import InvertibleConv, NormConv
from phosphene.nn.monotone import Affine

Change = Callable[[nn.Module, dict[str, Tensor]], object]


def _each(write: Callable[[Tensor, Tensor], object]) -> Change:
    def change(module: nn.Module, new: dict[str, Tensor]) -> None:
        for name, tensor in module.state_dict(keep_vars=True).items():
            write(tensor, new[name])

    return change


def _in_inference_mode(module: nn.Module, new: dict[str, Tensor]) -> None:
    with torch.inference_mode():
        _each(lambda p, value: p.copy_(value))(module, new)


def _exchanged(p: Tensor, value: Tensor) -> None:
    p.data = value.clone()


def _stepped(fused: bool) -> Change:
    """A step of an optimizer with given gradients: no pass with gradients comes before it."""

    def change(module: nn.Module, new: dict[str, Tensor]) -> None:
        for p in module.parameters():
            p.grad = torch.randn(p.shape, generator=generator(3))
        torch.optim.Adam(module.parameters(), lr=0.3, fused=fused).step()

    return change


CHANGES: dict[str, Change] = {
    "p.data.copy_": _each(lambda p, value: p.data.copy_(value)),
    "p.copy_": _each(lambda p, value: p.copy_(value)),
    "p.data =": _each(_exchanged),
    "inference mode": _in_inference_mode,
    "load": lambda module, new: module.load_state_dict(new),
    "assign": lambda module, new: module.load_state_dict(copy.deepcopy(new), assign=True),
    "step": _stepped(False),
    "fused step": _stepped(True),
    "double": lambda module, new: module.double(),
}


def _convolution(module: nn.Module) -> list[Tensor]:
    x = torch.randn(4, 5, generator=generator(1)).to(next(module.parameters()).dtype)
    return [*module(x), *module.inverse_and_log_det(x)]  # type: ignore[operator]


def _network(module: nn.Module) -> list[Tensor]:
    x = torch.randn(2, 3, 4, 4, generator=generator(1)).to(next(module.parameters()).dtype)
    return [module(x)]


def _autoregressive(module: nn.Module) -> list[Tensor]:
    x = torch.randn(4, 5, generator=generator(1)).to(next(module.parameters()).dtype)
    return [*module(x), module.inverse(x)]  # type: ignore[operator]


def _flow(module: nn.Module) -> list[Tensor]:
    x = torch.randn(2, 1, 4, 4, generator=generator(1)).to(next(module.parameters()).dtype)
    return [*module.forward_and_log_det(x), module.inverse(x)]  # type: ignore[operator]


def _energy(module: nn.Module) -> list[Tensor]:
    return [module.log_prob(torch.ones(2, 4))]  # type: ignore[operator]


def moved(module: nn.Module, seed: int) -> nn.Module:
    with seeded(seed):
        for p in module.parameters():
            nn.init.normal_(p, std=0.5)
    return module


def _ordered(seed: int) -> nn.Module:
    order = torch.randperm(5, generator=generator(seed))
    return MaskedAutoregressive(5, Affine(), hidden=(8,), order=order)


MADE: dict[str, tuple[Callable[[int], nn.Module], Callable[[nn.Module], list[Tensor]]]] = {
    "plu": (lambda seed: InvertibleConv(5, "plu"), _convolution),
    "dense": (lambda seed: InvertibleConv(5, "dense"), _convolution),
    "norm": (lambda seed: NormConv(5), _convolution),
    "network": (lambda seed: ImageConditioner(3, 8, 4), _network),
    "masked": (_ordered, _autoregressive),
    "glow": (
        lambda seed: Glow(Event.image(1, 4, levels=4), levels=1, steps=2, hidden=4),
        _flow,
    ),
    "rbm": (lambda seed: RBM(Event.binary(4), hidden=3), _energy),
}


def made(name: str, seed: int) -> nn.Module:
    with seeded(seed):
        return moved(MADE[name][0](seed), seed).eval()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_what_is_kept_follows_the_weights(name: str, change: str, mode: type) -> None:
    module, results = made(name, 0), MADE[name][1]
    with mode():
        before = results(module)
        again = results(module)
    for one, two in zip(before, again, strict=True):
        assert torch.equal(one, two)
    new = copy.deepcopy(made(name, 1).state_dict())
    with torch.no_grad():
        CHANGES[change](module, new)
    fresh = copy.deepcopy(MADE[name][0](1))
    fresh.load_state_dict({k: v.clone() for k, v in module.state_dict().items()})
    fresh.to(next(module.parameters()).dtype).eval()
    with mode():
        for one, two in zip(results(module), results(fresh), strict=True):
            assert one.dtype == two.dtype
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
        if change != "double":
            assert any(not torch.equal(a, b) for a, b in zip(before, results(module), strict=True))


@pytest.mark.parametrize("kind", ["plu", "dense"])
def test_it_is_kept_while_nothing_changes(kind: str) -> None:
    layer, x = InvertibleConv(5, kind).eval(), torch.randn(4, 5)
    with torch.no_grad():
        layer(x)
        kept = layer._kept.values["forward"][1][0]
        layer(x)
        assert layer._kept.values["forward"][1][0] is kept, "computed twice"


def test_a_model_built_in_inference_mode_works() -> None:
    """Its tensors have no version counters."""
    with torch.inference_mode():
        flow = Glow(Event.image(1, 4, levels=4), levels=1, steps=1, hidden=4).eval()
        x = torch.randn(2, 1, 4, 4)
        z, _ = flow.forward_and_log_det(x)
        assert torch.allclose(flow.inverse(z), x, atol=1e-5)
        layer = _ordered(0)
        assert layer(torch.randn(2, 5))[0].shape == (2, 5)

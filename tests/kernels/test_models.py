"""Models sample by kernels what they sample in torch, from the same uniform numbers."""

import pytest
import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.generative.autoregressive.made import MADE
from phosphene.kernels import library
from phosphene.kernels.library import backend, forced
from phosphene.nn.choosing import Choosing

pytestmark = pytest.mark.skipif(backend().library is None, reason=backend().why)


def scattered(model, std=0.4):
    for p in model.parameters():
        torch.nn.init.normal_(p, std=std)
    return model.double()


def agree(model, monkeypatch, n=19, how=None, context=None, given=None, calls=1):
    """Native, stepper and naive draws are equal, and the native one is really called."""
    called = []
    original = library.call

    def counted(name, *arguments):
        called.append(name)
        original(name, *arguments)

    for module in ("nade", "masked"):
        monkeypatch.setattr(f"phosphene.kernels.{module}.call", counted, raising=False)
    shape = (n, model.event.dimensions, model.conditional.uniforms)
    u = torch.rand(shape, generator=torch.Generator().manual_seed(3)).double()
    member = torch.arange(n) % model.members
    options = {"how": how, "member": member, "given": given}
    with torch.no_grad():
        native = model.generate(u, context, **options)
        assert len(called) == calls
        with forced("off"):
            stepped = model.generate(u, context, **options)
        naive = model.generate(u, context, naive=True, **options)
    assert len(called) == calls
    for other in (stepped, naive):
        torch.testing.assert_close(native, other, rtol=1e-9, atol=1e-9)


EVENTS = {
    "binary": Event.binary(12),
    "image": Event.image(1, 3, levels=2),
    "levels": Event.image(1, 3, levels=5),
    "tokens": Event.tokens(6, vocabulary=40),
    "real": Event.real(7),
}


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.0])
def test_made_of_every_event(name, temperature, monkeypatch):
    model = scattered(MADE(EVENTS[name], hidden=(30, 30)), 0.2)
    agree(model, monkeypatch, how=Choosing(temperature=temperature))


def test_made_of_several_orders_masks_and_a_label(monkeypatch):
    model = MADE(
        Event.binary(12), hidden=(20, 20), order="random", orders=2, masks=2, residual=True,
        activation="tanh", context=ContextSpec(label=3),
    )  # fmt: skip
    agree(scattered(model), monkeypatch, context=Context(label=torch.arange(19) % 3), calls=4)


@pytest.mark.parametrize("conditional", ["gaussian-mixture", "logistic-mixture"])
def test_made_of_scaled_reals_keeps_what_is_known(conditional, monkeypatch):
    model = scattered(MADE(Event.real(7), hidden=(20,), conditional=conditional, components=3), 0.2)
    model.conditional.scale.copy_(torch.rand(7) + 0.5)
    model.conditional.shift.copy_(torch.randn(7))
    given = (torch.randn(19, 7).double(), (torch.arange(7) < 3).expand(19, 7))
    agree(model, monkeypatch, given=given)


def test_made_of_what_kernels_do_not_know_goes_to_torch(monkeypatch):
    agree(scattered(MADE(Event.binary(6), activation="gelu")), monkeypatch, calls=0)
    levels = scattered(MADE(Event.image(1, 2, levels=200)), 0.2)
    agree(levels, monkeypatch, calls=0)
    agree(scattered(MADE(EVENTS["levels"])), monkeypatch, how=Choosing(top_k=2), calls=0)

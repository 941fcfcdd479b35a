"""Models sample by kernels what they sample in torch, from the same uniform numbers."""

import pytest
import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.generative.autoregressive.made import MADE
from phosphene.generative.autoregressive.nade import NADE
from phosphene.generative.autoregressive.wavenet import WaveNet
from phosphene.kernels import masked, nade, wavenet
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

    def counted(name, gate):
        def call(*arguments):
            found = gate(*arguments)
            called.extend([name] * (found is not None))
            return found

        return call

    for module in (nade, masked, wavenet):
        name = "_" + module.__name__.rpartition(".")[2]
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
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


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh"])
def test_nade(temperature, activation, monkeypatch):
    model = scattered(NADE(Event.binary(12), hidden=21, activation=activation))
    agree(model, monkeypatch, how=Choosing(temperature=temperature))


def test_nade_of_several_orders_a_label_and_known_values(monkeypatch):
    model = scattered(NADE(Event.binary(12), hidden=8, orders=2, context=ContextSpec(label=3)))
    given = (torch.randint(0, 2, (19, 12)).double(), torch.rand(19, 12) < 0.3)
    context = Context(label=torch.arange(19) % 3)
    agree(model, monkeypatch, context=context, given=given, calls=2)


def test_nade_of_levels_goes_to_torch(monkeypatch):
    agree(scattered(NADE(EVENTS["levels"], hidden=8)), monkeypatch, calls=0)
    agree(scattered(NADE(EVENTS["binary"])), monkeypatch, how=Choosing(top_p=0.5), calls=0)


@pytest.mark.parametrize("event", [Event.audio(20, levels=256), Event.tokens(20, vocabulary=7)])
@pytest.mark.parametrize("temperature", [1.0, 0.0])
def test_wavenet(event, temperature, monkeypatch):
    model = scattered(WaveNet(event, layers=3, stacks=2, channels=8, skip=12, kernel=3), 0.3)
    agree(model, monkeypatch, n=6, how=Choosing(temperature=temperature))


def test_wavenet_of_one_layer_a_label_and_known_values(monkeypatch):
    model = WaveNet(Event.tokens(9, vocabulary=5), layers=1, context=ContextSpec(label=3))
    given = (torch.randint(0, 5, (19, 9)).double(), (torch.arange(9) < 4).expand(19, 9))
    context = Context(label=torch.arange(19) % 3)
    agree(scattered(model), monkeypatch, context=context, given=given)


def test_wavenet_of_reals_goes_to_torch(monkeypatch):
    agree(scattered(WaveNet(Event.real(8), layers=2), 0.2), monkeypatch, calls=0)

"""Denoising networks: shapes, conditions, the start, derivatives, sizes, names, bad input."""

import pytest
import torch

from phosphene.core.config import Configured
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.diffusion.layers.networks import (
    NetworkSettings,
    build_network,
    usual_widths,
)

IMAGE = Event.image(2, (6, 5))
EVENTS = {"unet": IMAGE, "transformer": IMAGE, "mlp": Event.real(3)}
SMALL = {
    "unet": {"widths": (8, 12), "blocks": 1, "attention": (1,), "heads": 2},
    "transformer": {"widths": (8,), "blocks": 2, "heads": 2},
    "mlp": {"widths": (8, 12), "blocks": 1},
}
SPEC = ContextSpec(
    label=4, vector=Event.real(3), image=Event.image(1, (3, 4)), text=Event.tokens(5, 7)
)
NAMES = pytest.mark.parametrize("name", EVENTS)


def made(name, spec=None, event=None, *, scattered=True, **settings):
    with seeded(0):
        net = build_network(event or EVENTS[name], spec, name, **{**SMALL[name], **settings})
        if scattered:  # what is 0 at the start hides what lies before it
            for p in net.parameters():
                if not p.any():
                    torch.nn.init.normal_(p, std=0.2)
    return net


def noise(n, event, seed=1, dtype=torch.float32):
    return torch.randn(n, *event.shape, generator=generator(seed), dtype=dtype)


def told(n=4, seed=2):
    g = generator(seed)
    return Context(
        label=torch.randint(4, (n,), generator=g),
        vector=torch.randn(n, 3, generator=g),
        image=torch.randint(256, (n, 1, 3, 4), generator=g),
        text=torch.randint(7, (n, 5), generator=g),
    )


def times(n):
    return torch.linspace(0.1, 0.9, n)


@NAMES
def test_the_output_is_zero_at_the_start_and_like_x(name):
    net = made(name, SPEC, scattered=False)
    x = noise(4, EVENTS[name])
    y = net(x, times(4), told())
    assert y.shape == x.shape
    assert not y.any()


@NAMES
def test_one_time_stands_for_all(name):
    net = made(name)
    x = noise(3, EVENTS[name])
    one = net(x, torch.tensor([0.3]))
    torch.testing.assert_close(net(x, torch.full((3,), 0.3)), one, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(net(x, torch.tensor([0.31])), one, atol=1e-4)


@NAMES
def test_examples_are_independent(name):
    net = made(name, SPEC).double()
    x, context, t = noise(4, EVENTS[name], dtype=torch.float64), told(), times(4).double()
    whole = net(x, t, context)
    for k in range(4):
        torch.testing.assert_close(net(x[k : k + 1], t[k : k + 1], context[k : k + 1])[0], whole[k])


@NAMES
@pytest.mark.parametrize("part", SPEC.names)
def test_each_part_of_the_context_matters_until_it_is_withheld(name, part):
    spec = ContextSpec(**{part: getattr(SPEC, part)})
    net = made(name, spec)
    x, t = noise(4, EVENTS[name]), times(4)
    a, b = (Context(**{part: getattr(told(seed=k), part)}) for k in (2, 3))
    assert not torch.allclose(net(x, t, a), net(x, t, b), atol=1e-4)
    dropped = torch.tensor([True, False, True, False])
    without = [net(x, t, Context(**dict(c.parts()), dropped=dropped)) for c in (a, b)]
    assert torch.equal(without[0][dropped], without[1][dropped])
    assert torch.equal(without[0][~dropped], net(x, t, a)[~dropped])
    assert not torch.allclose(without[0][dropped], net(x, t, a)[dropped], atol=1e-4)


@NAMES
def test_a_withheld_label_is_one_that_is_unknown(name):
    net = made(name, ContextSpec(label=4))
    x, t = noise(2, EVENTS[name]), times(2)
    label = torch.tensor([1, 2])
    dropped = net(x, t, Context(label=label, dropped=torch.tensor([True, True])))
    assert torch.equal(dropped, net(x, t, Context(label=torch.tensor([-1, -1]))))


@NAMES
def test_every_parameter_gets_a_gradient(name):
    net = made(name, SPEC)
    context = told()
    context = Context(**dict(context.parts()), dropped=torch.tensor([True, False, False, False]))
    net(noise(4, EVENTS[name]), times(4), context).square().sum().backward()
    for key, p in net.named_parameters():
        assert p.grad is not None, key
        assert torch.isfinite(p.grad).all(), key
        assert p.grad.any(), key


@NAMES
def test_the_same_seed_gives_the_same_network(name):
    a, b = made(name, SPEC), made(name, SPEC)
    x = noise(4, EVENTS[name])
    assert torch.equal(a(x, times(4), told()), b(x, times(4), told()))


@NAMES
def test_dropout_acts_where_noise_is_given(name):
    net = made(name, dropout=0.5)
    x = noise(3, EVENTS[name])

    def uniform(shape):
        return torch.rand(3, *shape, generator=generator(5))

    plain = net(x, times(3))
    assert torch.equal(net(x, times(3)), plain)
    assert torch.equal(net(x, times(3), uniform=uniform), net(x, times(3), uniform=uniform))
    assert not torch.allclose(net(x, times(3), uniform=uniform), plain, atol=1e-4)


@NAMES
def test_second_derivatives(name):
    net = made(name).double()
    for p in net.parameters():
        p.requires_grad_(False)
    x = noise(1, EVENTS[name], dtype=torch.float64).requires_grad_()
    t = torch.tensor([0.4], dtype=torch.float64)
    assert torch.autograd.gradgradcheck(lambda y: net(y, t).square(), (x,), fast_mode=True)


@NAMES
def test_function_transforms_agree_with_backward(name):
    net = made(name, ContextSpec(label=4)).double()
    event, t = EVENTS[name], torch.tensor([0.4], dtype=torch.float64)
    x, v = (noise(1, event, seed, torch.float64) for seed in (1, 2))
    context = Context(label=torch.tensor([1]))

    def f(y):
        return net(y, t, context)

    jacobian = torch.autograd.functional.jacobian(f, x).reshape(x.numel(), -1)
    _, tangent = torch.func.jvp(f, (x,), (v,))
    torch.testing.assert_close(tangent.flatten(), jacobian @ v.flatten())
    basis = torch.eye(x.numel(), dtype=x.dtype).view(-1, *x.shape)
    columns = torch.func.vmap(lambda e: torch.func.jvp(f, (x,), (e,))[1])(basis)
    torch.testing.assert_close(columns.flatten(1).T, jacobian)
    _, pull = torch.func.vjp(f, x)
    rows = torch.func.vmap(lambda e: pull(e)[0])(basis)
    torch.testing.assert_close(rows.flatten(1), jacobian)


@NAMES
def test_half_precision_trains(name):
    net = made(name, SPEC)
    x, context = noise(4, EVENTS[name]), told()
    exact = net(x, times(4), context)
    with torch.autocast("cpu", torch.bfloat16):
        y = net(x, times(4), context)
        y.float().square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
    assert float((y.float() - exact).detach().abs().max() / exact.detach().abs().max()) < 0.1


@NAMES
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4), (7, 9), (16, 15), (28, 28), (31, 40)])
def test_any_size(name, size):
    event = Event.image(1, size)
    net = build_network(event, None, name, widths=None if name == "unet" else (8,), blocks=1)
    x = noise(2, event)
    assert net(x, torch.tensor([0.5])).shape == x.shape


def test_names():
    assert type(build_network(Event.image(1, 8), widths=(8,))).__name__ == "UNet"
    assert type(build_network(Event.real(3, 4, 4), widths=(8,))).__name__ == "UNet"
    assert type(build_network(Event.audio(16), widths=(8,))).__name__ == "TimedMLP"
    with pytest.raises(UnknownNameError, match="unknown network 'unett'; did you mean 'unet'"):
        build_network(IMAGE, name="unett")


@pytest.mark.parametrize("name", ["unet", "transformer"])
@pytest.mark.parametrize("event", [Event.real(3), Event.audio(8), Event.real(2, 2)])
def test_images_only(name, event):
    with pytest.raises(ConfigError, match=r"needs an image .* use network='mlp'"):
        build_network(event, name=name)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("unet", {"widths": ()}, "at least one level"),
        ("unet", {"widths": (8, 0)}, "positive whole numbers"),
        ("unet", {"widths": (8, 8, 8), "patch": 2}, "at most 2 levels"),
        ("unet", {"widths": (8,), "patch": 9}, "patch is at most 5"),
        ("unet", {"widths": (8,), "patch": 0}, "patch must be at least 1"),
        ("unet", {"widths": (8, 8), "attention": (2,)}, r"levels in 0\.\.1, got \(2,\)"),
        ("unet", {"widths": (8,), "attention": (0,), "heads": 3}, "heads must divide the width 8"),
        ("transformer", {"widths": (8, 8)}, "one width"),
        ("transformer", {"widths": (6,)}, "multiple of 4"),
        ("transformer", {"widths": (8,), "heads": 3}, "heads must divide the width 8"),
        ("transformer", {"widths": (8,), "patch": 6}, r"patch must be in 1\.\.5"),
        ("mlp", {"widths": ()}, "at least one width"),
        ("mlp", {"dropout": 1.0}, "dropout must be in"),
    ],
)
def test_what_cannot_be_is_refused(name, settings, words):
    with pytest.raises(ConfigError, match=words):
        build_network(IMAGE, name=name, **settings)


def test_the_largest_number_of_levels_that_is_named_fits():
    for size in (1, 2, 3, 5, 8, 11):
        for patch in range(1, size + 1):
            with pytest.raises(ConfigError, match=rf"images of {size}x20.*at most (\d)") as caught:
                build_network(Event.image(1, (size, 20)), widths=(4,) * 9, patch=patch, name="unet")
            most = int(str(caught.value).partition("at most ")[2][0])
            build_network(Event.image(1, (size, 20)), widths=(4,) * most, patch=patch, name="unet")
            with pytest.raises(ConfigError):
                build_network(
                    Event.image(1, (size, 20)), widths=(4,) * (most + 1), patch=patch, name="unet"
                )


def test_usual_widths_fit():
    for size in (1, 2, 3, 4, 7, 13, 15, 16, 17, 28, 33, 64):
        for patch in (1, 2) if size > 1 else (1,):
            widths = usual_widths((1, size, 70), patch)
            with torch.device("meta"):
                build_network(Event.image(1, (size, 70)), widths=widths, patch=patch)


def test_settings_are_what_a_network_is_built_with():
    class Holder(NetworkSettings, Configured):
        pass

    holder = Holder(widths=(8,), network="unet", blocks=2)
    net = build_network(IMAGE, None, **holder.network_settings)
    assert len(net.encoder.blocks) == 2
    with pytest.raises(ConfigError, match="heads must be at least 1"):
        Holder(heads=0)
    with pytest.raises(ConfigError, match="widths must be at least 1"):
        Holder(widths=(8, 0))
    with pytest.raises(ConfigError, match="did you mean 'unet'"):
        Holder(network="unett")


def test_the_paper_can_be_said():
    """Ho et al. (2020) on CIFAR-10: their 35.7 million parameters, and a scale for each shift."""
    with torch.device("meta"):
        net = build_network(
            Event.image(3, 32),
            widths=(128, 256, 256, 256),
            blocks=2,
            attention=(1,),
            heads=1,
            patch=1,
            dropout=0.1,
            groups=32,
        )
    scales = sum(m.weight.numel() + m.bias.numel() for k, m in net.named_modules() if "modul" in k)
    assert sum(p.numel() for p in net.parameters()) - scales // 2 == 35_746_307

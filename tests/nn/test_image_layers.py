"""Layers of image flows: inverses, log-determinants against autograd, initialisation, caches."""

import copy

import pytest
import torch
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.layers.actnorm import ActNorm
from phosphene.generative.flow.layers.conditioner import ImageConditioner
from phosphene.generative.flow.layers.conv1x1 import InvertibleConv, NormConv
from phosphene.generative.flow.layers.coupling import ChannelCoupling, CheckerboardCoupling
from phosphene.generative.flow.layers.injector import AffineInjector
from phosphene.generative.flow.layers.multiscale import Level, MultiScale, check_levels
from phosphene.generative.flow.layers.permute import Permute
from phosphene.generative.flow.layers.split import Split
from phosphene.generative.flow.layers.squeeze import Squeeze
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.nn.monotone import Additive, Affine

SPEC = ContextSpec(label=3, vector=Event.real(2), image=Event.image(1, 2, levels=4))
PLAIN = ContextSpec()


def _steps(channels: int, spec: ContextSpec) -> Transform:
    net = ImageConditioner(channels - channels // 2, 4, 2 * (channels // 2), context=spec)
    coupling = ChannelCoupling(channels, Affine(), net)
    return Composition([ActNorm(channels), InvertibleConv(channels), coupling])


def _layer(name: str, spec: ContextSpec) -> Transform:
    """A layer for events of 3x4x4."""
    if name == "channel":
        return ChannelCoupling(3, Affine(), ImageConditioner(2, 4, 2, context=spec), swap=True)
    if name == "additive":
        return ChannelCoupling(3, Additive(), ImageConditioner(2, 4, 1, context=spec))
    if name in ("white", "black"):
        net = ImageConditioner(4, 4, 6, context=spec)
        return CheckerboardCoupling(3, Affine(), net, swap=name == "black")
    if name == "injector":
        return AffineInjector(ImageConditioner(1, 4, 6, context=spec))
    if name == "multi-scale":
        board = CheckerboardCoupling(3, Affine(), ImageConditioner(4, 4, 6, context=spec))
        first = Level(_steps(12, spec), Split(12, context=spec), before=board)
        second = Level(_steps(24, spec), Split(24, prior=False))
        return MultiScale([first, second, Level(_steps(12, spec), squeezed=False)])
    simple = {
        "squeeze": Squeeze,
        "actnorm": lambda: ActNorm(3),
        "plu": lambda: InvertibleConv(3, "plu"),
        "dense": lambda: InvertibleConv(3, "dense"),
        "norm-conv": lambda: NormConv(3, "dense"),
        "permute": lambda: Permute.random(3, generator(1)),
        "split": lambda: Split(3, context=spec),
        "plain split": lambda: Split(3, prior=False),
    }
    return simple[name]()


LAYERS = (
    *("squeeze", "actnorm", "plu", "dense", "norm-conv", "permute", "split", "plain split"),
    *("channel", "additive", "white", "black", "injector", "multi-scale"),
)


def _made(name: str, spec: ContextSpec, dtype: torch.dtype) -> tuple[Transform, Tensor, Context]:
    """A layer that has lived: parameters away from their start."""
    with seeded(3):
        layer = _layer(name, spec).to(dtype)
        x = torch.randn(4, 3, 4, 4, dtype=torch.float64).to(dtype)
        context = _context(4, dtype) if spec else Context()
        layer.prepare(x, context)
        with torch.no_grad():
            for p in layer.parameters():
                p.add_(0.1 * torch.randn_like(p))
    return layer, x, context


def _context(n: int, dtype: torch.dtype) -> Context:
    return Context(
        label=torch.arange(n) % 3,
        vector=torch.randn(n, 2).to(dtype),
        image=torch.randint(4, (n, 1, 2, 2)),
    )


@pytest.mark.parametrize("spec", [PLAIN, SPEC], ids=["plain", "conditional"])
@pytest.mark.parametrize("name", LAYERS)
def test_inverts_and_agrees_with_autograd(name: str, spec: ContextSpec) -> None:
    if spec is SPEC and not list(_layer(name, spec).parameters()):
        return
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        layer, x, context = _made(name, spec, dtype)
        for training in (True, False):
            layer.train(training)
            with torch.no_grad():
                z, log_det = layer(x, context)
                back, back_log_det = layer.inverse_and_log_det(z, context)
                again = layer.inverse(z, context)
            assert log_det.shape == (4,)
            for inverse in (back, again):
                assert float((inverse - x).abs().max() / x.abs().max()) <= tolerance
            assert torch.allclose(back_log_det, -log_det, atol=100 * tolerance)
            if dtype == torch.float64:
                exact = torch.stack([_log_det(layer, x[i], context[i : i + 1]) for i in range(2)])
                assert torch.allclose(log_det[:2], exact, atol=1e-9), name


def _log_det(layer: Transform, x: Tensor, context: Context) -> Tensor:
    def forward(v: Tensor) -> Tensor:
        return layer(v[None], context)[0].flatten()

    jacobian = torch.autograd.functional.jacobian(forward, x).reshape(x.numel(), -1)
    return torch.linalg.slogdet(jacobian)[1]


@pytest.mark.parametrize("name", ["channel", "additive", "white", "black", "split", "injector"])
def test_what_has_a_network_starts_as_the_identity(name: str) -> None:
    x = torch.randn(4, 3, 4, 4)
    z, log_det = _layer(name, SPEC)(x, _context(4, torch.float32))
    assert torch.equal(z, x)
    assert not log_det.any()


# -- squeeze ------------------------------------------------------------------------------------


def test_squeeze_puts_each_square_into_the_channels_of_its_own() -> None:
    x = torch.arange(2 * 3 * 4 * 6).view(2, 3, 4, 6).float()
    z, _ = Squeeze()(x)
    for c in range(3):
        for i in range(2):
            for j in range(2):
                assert torch.equal(z[:, 4 * c + 2 * i + j], x[:, c, i::2, j::2])


# -- activation normalisation -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(64, 3), (16, 3, 4, 4)])
def test_actnorm_starts_by_whitening_its_first_batch_and_never_again(
    shape: tuple[int, ...],
) -> None:
    x = torch.randn(shape) * 3 + 100
    layer = ActNorm(3)
    z = layer.prepare(x).movedim(1, 0).flatten(1)
    assert float(z.mean(1).abs().max()) <= 1e-4
    assert torch.allclose(z.std(1, correction=0), torch.ones(3), atol=1e-5)
    before = copy.deepcopy(layer.state_dict())
    layer.prepare(torch.randn(shape))
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())


def test_actnorm_whitens_exactly_in_double() -> None:
    x = torch.randn(16, 3, 4, 4, dtype=torch.float64) * 3 + 100
    z = ActNorm(3).double().prepare(x).movedim(1, 0).flatten(1)
    assert float(z.mean(1).abs().max()) <= 1e-10
    assert torch.allclose(z.std(1, correction=0), torch.ones(3).double(), atol=1e-10)


def test_actnorm_is_not_initialised_again_after_loading() -> None:
    first, second = ActNorm(2), ActNorm(2)
    first.prepare(torch.randn(8, 2) * 5)
    second.load_state_dict(first.state_dict())
    second.prepare(torch.randn(8, 2) + 7)
    assert torch.equal(first.log_scale, second.log_scale)
    assert torch.equal(first.shift, second.shift)


@pytest.mark.parametrize("x", [torch.full((8, 2), 0.3), torch.randn(1, 2), torch.zeros(4, 2, 3, 3)])
def test_actnorm_of_what_never_varies_is_finite(x: Tensor) -> None:
    layer = ActNorm(2)
    z = layer.prepare(x)
    assert float(z.abs().max()) <= 1e-6
    assert torch.equal(layer.log_scale, torch.zeros(2))


# -- invertible convolution ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plu", "dense"])
@pytest.mark.parametrize("channels", [1, 2, 12])
def test_convolution_starts_as_a_rotation(kind: str, channels: int) -> None:
    w, log_det = InvertibleConv(channels, kind).double().weight()
    assert torch.allclose(w @ w.T, torch.eye(channels).double(), atol=1e-5)
    assert abs(log_det.item()) <= 1e-5


def test_factors_assemble_to_the_matrix_they_were_taken_from() -> None:
    with seeded(4):
        dense, plu = InvertibleConv(12, "dense"), InvertibleConv(12, "plu")
    with seeded(4):
        plu = InvertibleConv(12, "plu")
    assert torch.allclose(dense.weight()[0], plu.weight()[0], rtol=0, atol=1e-6)


def test_convolution_takes_vectors_and_images_alike() -> None:
    layer = InvertibleConv(5)
    x = torch.randn(3, 5)
    flat, log_det = layer(x)
    image, image_log_det = layer(x[:, :, None, None].expand(-1, -1, 2, 3))
    assert torch.allclose(image[:, :, 1, 2], flat, atol=1e-6)
    assert torch.allclose(image_log_det, 6 * log_det)
    assert torch.allclose(layer.inverse(flat), x, atol=1e-5)


@pytest.mark.parametrize("name", ["multi-scale", "dense", "white", "split"])
def test_autocast_rounds_only_inside_networks(name: str) -> None:
    """Latents and log-determinants keep their type, and the inverse still undoes the map."""
    layer, x, context = _made(name, SPEC, torch.float32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        z, log_det = layer(x, context)
        back = layer.inverse(z, context)
    assert z.dtype == log_det.dtype == torch.float32
    assert float((back - x).abs().max() / x.abs().max()) <= 1e-5


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 2, 3)])
def test_norm_and_convolution_in_one_are_the_two_in_turn(shape: tuple[int, ...]) -> None:
    layer, x = NormConv(5).double(), torch.randn(shape, dtype=torch.float64) * 2 + 3
    prepared = layer.prepare(x)
    two = Composition([layer.norm, layer.conv])
    for training in (True, False):
        layer.train(training)
        with torch.no_grad():
            for one, other in (
                (layer(x), two(x)),
                (layer.inverse_and_log_det(x), two.inverse_and_log_det(x)),
            ):
                assert torch.allclose(one[0], other[0])
                assert torch.allclose(one[1], other[1])
            assert torch.allclose(layer.inverse(x), two.inverse(x))
    assert torch.allclose(prepared, two(x)[0])


def test_norm_and_convolution_in_one_notice_changes_of_either() -> None:
    layer, x = NormConv(3).eval(), torch.randn(4, 3)
    with torch.no_grad():
        layer(x)
        for parameter in (layer.norm.shift, layer.norm.log_scale, layer.conv.log_scale):
            before = layer(x)[0]
            parameter.add_(0.5)
            assert not torch.allclose(layer(x)[0], before)
            assert torch.allclose(layer.inverse(layer(x)[0]), x, atol=1e-5)


def test_gradients_flow_in_evaluation_too() -> None:
    layer = InvertibleConv(3).eval()
    with torch.no_grad():
        layer(torch.randn(2, 3))
    layer(torch.randn(2, 3))[0].sum().backward()
    assert layer.lower.grad is not None


def test_copies_and_state_hold_no_cache() -> None:
    layer = InvertibleConv(3).eval()
    with torch.no_grad():
        layer(torch.randn(2, 3))
    assert set(layer.state_dict()) == {"lower", "upper", "log_scale", "rotation", "signs"}
    other = copy.deepcopy(layer)
    with torch.no_grad():
        other.log_scale.add_(1.0)
        assert torch.allclose(other(torch.zeros(1, 3))[1], layer(torch.zeros(1, 3))[1] + 3)


# -- splits and levels --------------------------------------------------------------------------


def test_split_whitens_by_what_goes_on() -> None:
    layer, x, context = _made("split", SPEC, torch.float64)
    z, _ = layer(x, context)
    assert torch.equal(z[:, :2], x[:, :2])
    moved = x.clone()
    moved[:, 2] += 1
    difference = layer(moved, context)[0] - z
    assert bool((difference[:, 2] > 0).all())
    assert not difference[:, :2].any()


def test_packed_latents_have_a_place_for_each_level() -> None:
    x = torch.randn(2, 1, 8, 8)
    nothing = Composition([])
    flow = MultiScale([Level(nothing, Split(4)), Level(nothing, Split(8)), Level(nothing)])
    assert torch.equal(flow(x)[0], x)  # without steps, every value returns to its place


@pytest.mark.parametrize(
    ("event", "levels", "message"),
    [
        (Event.image(1, 7), 1, "7x7 can be halved not even once"),
        (Event.image(1, 28), 3, "28x28 can be halved 2 times"),
        (Event.image(3, (8, 6)), 2, "8x6 can be halved only once"),
        (Event.real(4), 1, "squeezes images"),
    ],
)
def test_sizes_that_cannot_be_halved_are_refused(event: Event, levels: int, message: str) -> None:
    with pytest.raises(EventError, match=message):
        check_levels(event, levels, "Glow")


def test_bad_choices_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="levels must be 1 or more, got 0"):
        check_levels(Event.image(1, 8), 0, "Glow")
    with pytest.raises(UnknownNameError, match="plu"):
        InvertibleConv(3, "pl")


def test_layers_are_modules_with_saved_orders() -> None:
    layer = Permute.random(6, generator(2))
    assert isinstance(layer, nn.Module)
    other = Permute.reversing(6)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(2, 6)
    assert torch.equal(other(x)[0], layer(x)[0])

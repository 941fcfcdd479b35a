"""Networks: shapes for any image, gradients everywhere, dropout that is told its noise."""

import pytest
import torch

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.generative.autoencoder.layers.networks import build_decoder, build_encoder
from phosphene.generative.autoencoder.layers.shift import shift_images
from phosphene.nn.activations import ACTIVATIONS, activation_named
from phosphene.nn.context_embedding import ConditionEmbedding, LabelEmbedding
from phosphene.nn.conv import ResidualBlock
from phosphene.nn.mlp import MLP
from phosphene.nn.noise import dropout

IMAGES = [
    Event.image(1, 8),
    Event.image(1, 28),
    Event.image(3, 32),
    Event.image(2, (9, 21)),
    Event.image(1, (5, 1)),
]


@pytest.mark.parametrize("event", IMAGES, ids=str)
@pytest.mark.parametrize("network", ["mlp", "conv", "resnet"])
@pytest.mark.parametrize("condition", [0, 3])
def test_shapes_and_gradients(event, network, condition):
    norm = "group" if network == "resnet" else "none"
    encoder = build_encoder(network, event, (8, 12), 6, norm=norm, condition=condition)
    decoder = build_decoder(network, 4, (12, 8), event, 2, norm=norm, condition=condition)
    c = torch.randn(3, condition) if condition else None
    code = encoder(torch.randn(3, *event.shape), c)
    out = decoder(torch.randn(3, 4), c)
    assert code.shape == (3, 6)
    assert out.shape == (3, 2, *event.shape)
    (code.square().sum() + out.square().sum()).backward()
    for module in (encoder, decoder):
        for name, p in module.named_parameters():
            assert p.grad is not None, name
            assert torch.isfinite(p.grad).all(), name


@pytest.mark.parametrize("network", ["conv", "resnet"])
@pytest.mark.parametrize("event", [Event.image(1, 28), Event.image(3, (9, 5))], ids=str)
def test_patches_fold_the_image_and_unfold_it(event, network):
    encoder = build_encoder(network, event, (8, 12), 6, patch=2)
    decoder = build_decoder(network, 4, (12, 8), event, 3, patch=2)
    assert encoder.down[0].in_channels == 4 * event.shape[0]
    assert encoder(torch.randn(2, *event.shape)).shape == (2, 6)
    # The bias stands at pixels, after unfolding; and every pixel hears the latent.
    start = torch.randn(3, *event.shape)
    z = torch.randn(2, 4)
    before = decoder(z)
    decoder.start_at(start)
    torch.testing.assert_close(decoder(z) - before, start.expand(2, *start.shape))
    assert (before[0] != before[1]).all()


@pytest.mark.parametrize("network", ["mlp", "conv", "resnet"])
def test_condition_matters(network):
    event = Event.image(1, 8)
    encoder = build_encoder(network, event, (8,), 4, condition=2)
    decoder = build_decoder(network, 4, (8,), event, condition=2)
    x, z = torch.randn(1, 1, 8, 8), torch.randn(1, 4)
    a, b = torch.zeros(1, 2), torch.ones(1, 2)
    assert not torch.equal(encoder(x, a), encoder(x, b))
    assert not torch.equal(decoder(z, a), decoder(z, b))


@pytest.mark.parametrize("network", ["mlp", "conv", "resnet"])
def test_decoder_starts_at_given_parameters(network):
    event = Event.image(1, (6, 4))
    decoder = build_decoder(network, 4, (8,), event, 2)
    start = torch.randn(2, 1, 6, 4)
    before = decoder(torch.ones(1, 4))
    decoder.start_at(torch.zeros(2, 1, 6, 4))
    plain = decoder(torch.ones(1, 4))
    decoder.start_at(start)
    torch.testing.assert_close(decoder(torch.ones(1, 4)) - plain, start[None])
    assert before.shape == plain.shape


def test_examples_do_not_touch_each_other():
    """No normalization over the batch: an example's output is the same in any company."""
    event = Event.image(1, 8)
    encoder = build_encoder("resnet", event, (8, 8), 4, norm="group").double()
    x = torch.randn(6, 1, 8, 8).double()
    torch.testing.assert_close(encoder(x)[:2], encoder(x[:2]), atol=1e-12, rtol=0)


def test_residual_block_starts_as_the_identity():
    x = torch.randn(2, 8, 5, 5)
    for norm in ("none", "group"):
        assert torch.equal(ResidualBlock(8, norm=norm)(x), x)
    with pytest.raises(ConfigError, match="norm must be"):
        ResidualBlock(8, norm="batch")


def test_mlp_is_the_formula():
    net = MLP(3, (5,), 2, activation="tanh")
    x = torch.randn(4, 3)
    first, second = net.layers
    expected = torch.tanh(x @ first.weight.T + first.bias) @ second.weight.T + second.bias
    torch.testing.assert_close(net(x), expected)
    assert sum(p.numel() for p in MLP(3, (), 2).parameters()) == 8


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_have_gradients(name):
    x = torch.linspace(-2, 2, 9, requires_grad=True)
    activation_named(name)(x).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(
    ("build", "error", "word"),
    [
        (lambda: build_encoder("mpl", Event.binary(4), (4,), 2), UnknownNameError, "'mlp'"),
        (lambda: build_encoder("conv", Event.binary(4), (4,), 2), ConfigError, "image"),
        (lambda: build_encoder("conv", Event.image(1, 8), (), 2), ConfigError, "stage"),
        (lambda: build_encoder("conv", Event.image(1, 8), (4,), 2, patch=0), ConfigError, "patch"),
        (lambda: build_decoder("mlp", 2, (4, 0), Event.binary(4)), ConfigError, "widths"),
        (lambda: MLP(2, (4,), 2, activation="rellu"), UnknownNameError, "'relu'"),
        (lambda: MLP(2, (4,), 2, dropout=1.0), ConfigError, "dropout"),
    ],
)
def test_bad_settings_are_refused(build, error, word):
    with pytest.raises(error, match=word):
        build()


def test_dropout_keeps_the_mean_and_the_probability():
    batch = Batch.of(torch.zeros(400, 1))
    x = torch.ones(400, 50)
    out = dropout(x, 0.3, batch.uniform)
    assert abs(float((out == 0).float().mean()) - 0.3) < 0.02
    assert abs(float(out.mean()) - 1) < 0.03
    assert torch.equal(dropout(x, 0.3, None), x)
    assert torch.equal(dropout(x, 0.0, batch.uniform), x)


def test_dropout_of_channels_is_one_decision_a_channel():
    x = torch.ones(20, 6, 4, 4)
    out = dropout(x, 0.5, Batch.of(x).uniform, channels=True).flatten(2)
    assert ((out == 0).all(-1) | (out == 2).all(-1)).all()


def test_dropout_does_not_depend_on_slicing():
    x = torch.randn(10, 3)
    net = MLP(3, (16,), 2, dropout=0.5)
    whole, batch = Batch.of(x, seed=3), Batch.of(x, seed=3)
    parts = [net(part.x, uniform=part.uniform) for part in (batch[0:4], batch[4:10])]
    torch.testing.assert_close(net(x, uniform=whole.uniform), torch.cat(parts))


def test_unknown_and_withheld_labels_are_the_same():
    embed = LabelEmbedding(4, 3)
    label = torch.tensor([0, -1, 2])
    told = embed(label)
    withheld = embed(torch.tensor([0, 1, 2]), torch.tensor([False, True, False]))
    assert torch.equal(told, withheld)
    assert not torch.equal(told[0], told[2])


def test_condition_of_label_and_vector():
    spec = ContextSpec(label=4, vector=Event.real(3))
    embed = ConditionEmbedding(spec, width=5)
    context = Context(
        label=torch.tensor([1, 2]),
        vector=torch.randn(2, 3),
        dropped=torch.tensor([False, True]),
    )
    out = embed(context)
    assert out.shape == (2, embed.width) == (2, 10)
    assert (out[1, 5:] == 0).all()
    assert ConditionEmbedding(ContextSpec())(Context()) is None


def test_shift_moves_pixels_and_repeats_borders():
    x = torch.arange(12, dtype=torch.uint8).view(1, 1, 3, 4).expand(3, 2, 3, 4)
    moved = shift_images(x, torch.tensor([[0, 0], [1, 0], [0, -1]]))
    assert moved.dtype == torch.uint8
    assert torch.equal(moved[0], x[0])
    assert torch.equal(moved[1, :, 1:], x[1, :, :-1])
    assert torch.equal(moved[1, :, 0], x[1, :, 0])
    assert torch.equal(moved[2, :, :, :-1], x[2, :, :, 1:])

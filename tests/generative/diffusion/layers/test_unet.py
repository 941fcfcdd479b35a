"""The halves of the U-Net: what is copied, added and hinted at; tokens; patches."""

import copy

import pytest
import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.diffusion.layers.blocks import Up, fold, group_norm, unfold
from phosphene.generative.diffusion.layers.unet import UNet

SHAPE = (1, 13, 10)


def made(**settings):
    with seeded(0):
        net = UNet(SHAPE, widths=(8, 12, 16), **{"attention": (1,), "heads": 2, **settings})
        for p in net.parameters():
            if not p.any():
                torch.nn.init.normal_(p, std=0.2)
    return net


@pytest.fixture
def x():
    return torch.randn(2, *SHAPE, generator=generator(1))


T = torch.tensor([0.2, 0.7])


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("patch", [1, 2])
def test_zero_control_changes_no_bit(x, blocks, patch):
    net = made(blocks=blocks, patch=patch)
    nothing = [torch.zeros(2, *shape) for shape in net.encoder.shapes]
    assert torch.equal(net(x, T, control=nothing), net(x, T))
    found = net.encoder(x, T)
    assert [tuple(h.shape[1:]) for h in found.hidden] == net.encoder.shapes


def test_each_control_matters(x):
    net = made()
    plain = net(x, T)
    for k in range(len(net.encoder.shapes)):
        control = [torch.zeros(2, *shape) for shape in net.encoder.shapes]
        control[k] += torch.randn(control[k].shape, generator=generator(2))
        assert not torch.allclose(net(x, T, control=control), plain, atol=1e-4), k


def test_a_wrong_number_of_controls_is_refused(x):
    net = made()
    with pytest.raises(ValueError, match="shorter"):
        net(x, T, control=[torch.zeros(2, *net.encoder.shapes[0])])


def test_a_copy_of_the_first_half_is_its_own(x):
    net = made()
    twin = copy.deepcopy(net.encoder)
    hint = torch.zeros(1, *twin.hint_shape)
    same = twin(x, T, hint=hint).hidden
    assert all(torch.equal(a, b) for a, b in zip(same, net.encoder(x, T).hidden, strict=True))
    hinted = twin(x, T, hint=hint + 0.5).hidden
    assert all(not torch.equal(a, b) for a, b in zip(same, hinted, strict=True))
    control = [0.1 * h for h in hinted]
    net(x, T, control=control).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in twin.parameters())


def test_the_order_of_tokens_matters(x):
    net = made(context=ContextSpec(text=Event.tokens(3, 5)), attention=())
    a, b = (Context(text=torch.tensor([row] * 2)) for row in ([0, 1, 2], [2, 1, 0]))
    assert not torch.allclose(net(x, T, a), net(x, T, b), atol=1e-4)


def test_patches_come_back():
    y = torch.randn(2, 3, 7, 5, generator=generator(3))
    for patch in (1, 2, 3, 4):
        assert torch.equal(unfold(fold(y, patch), patch, (7, 5)), y)


def test_groups_hold_four_channels_at_least():
    for channels in range(1, 70):
        for groups in (1, 8, 32):
            norm = group_norm(channels, groups)
            assert norm.num_groups <= groups
            assert channels // norm.num_groups >= min(4, channels)


@pytest.mark.parametrize("size", [(8, 6), (7, 5), (8, 5)])
def test_doubling_is_a_convolution_of_pixels_four_times(size):
    with seeded(1):
        up = Up(3).double()
    x = torch.randn(2, 3, 4, 3, generator=generator(4), dtype=torch.float64)
    large = x.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, : size[0], : size[1]]
    torch.testing.assert_close(up(x, size), up.conv(large))

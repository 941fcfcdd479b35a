"""Images beside their block means: the kernel is what it says, and bad sizes are refused."""

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.core.errors import ConfigError, DataError, PhospheneError
from phosphene.core.event import Event
from phosphene.data.low_resolution import downsample, with_low_resolution
from tests.helpers.tiny import examples, tiny_digits, tiny_moons


def test_a_low_pixel_is_the_rounded_mean_of_its_block():
    x = examples(Event.image(3, (8, 12)), 5)
    low = downsample(x, 4)
    assert low.shape == (5, 3, 2, 3)
    assert low.dtype == torch.uint8
    for i in range(2):
        for j in range(3):
            block = x[:, :, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4].double().mean((2, 3))
            assert torch.equal(low[:, :, i, j].double(), (block + 0.5).floor())


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_the_range_of_codes_becomes_256_levels(levels):
    for code, low in ((0, 0), (levels - 1, 255)):
        x = torch.full((1, 1, 4, 4), code, dtype=torch.uint8)
        assert (downsample(x, 2, levels) == low).all()


def test_a_brighter_image_has_brighter_means():
    x = examples(Event.image(1, 8), 50) // 2
    assert torch.equal(downsample(x + 1, 4), downsample(x, 4) + 1)


def test_two_steps_by_two_are_one_step_by_four_up_to_rounding():
    x = examples(Event.image(1, 16), 20)
    once, twice = downsample(x, 4).int(), downsample(downsample(x, 2), 2).int()
    assert (once - twice).abs().max() <= 1


def test_mnist_is_paired_and_the_same_each_time():
    pairs = ph.data.load("mnist-x4", "test")
    plain = ph.data.load("mnist", "test")
    assert torch.equal(pairs.x, plain.x)
    assert pairs.reduction == 4
    assert pairs.image_event == Event.image(1, 7)
    assert pairs.image is not None
    assert torch.equal(pairs.image, downsample(plain.x, 4))
    assert torch.equal(pairs.image, ph.data.load("mnist-x4", "test").image)
    assert pairs.context.names == ("label", "image")
    rows = torch.tensor([3, 1])
    x, context = pairs.take(rows)
    assert context.image is not None
    assert torch.equal(downsample(x, 4), context.image)
    assert pairs.subset(rows).reduction == 4


def test_colors_are_averaged_each_by_itself():
    pairs = ph.data.load("openmoji-x4", "validation")
    assert pairs.image_event == Event.image(3, 8)
    assert pairs.image is not None
    red = downsample(pairs.x[:, :1], 4)
    assert torch.equal(pairs.image[:, :1], red)


def test_any_data_set_by_name(tmp_path):
    x = np.arange(3 * 64, dtype=np.uint8).reshape(3, 1, 8, 8)
    np.savez(tmp_path / "own.npz", x=np.repeat(x, 20, 0))
    name = f"x4:npz:{tmp_path}/own.npz?levels=256"
    pairs = ph.data.load(name, "train")
    assert pairs.name == name
    assert pairs.image_event == Event.image(1, 2)
    assert torch.equal(
        ph.data.load("x4:mnist", "test").image, ph.data.load("mnist-x4", "test").image
    )


@pytest.mark.parametrize(
    ("name", "word"),
    [("x4", "argument"), ("x4:mnis", "mnist"), ("x4:moons", "moons"), ("x4:x4:mnist", "already")],
)
def test_names_that_cannot_be_paired(name, word):
    with pytest.raises(PhospheneError, match=word) as error:
        ph.data.load(name, "test")
    assert "\n" not in str(error.value)


def test_any_images_can_be_paired():
    pairs = with_low_resolution(tiny_digits(8, levels=17), factor=2)
    assert pairs.name == "tiny-digits-x2"
    assert pairs.image_event == Event.image(1, 4)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: downsample(torch.zeros(1, 1, 6, 8), 4), "6 x 8"),
        (lambda: downsample(torch.zeros(1, 1, 8, 8), 1), "got 1"),
        (lambda: with_low_resolution(ph.data.load("bars3", "test")), "bars3"),
        (lambda: with_low_resolution(tiny_moons(4)), "no low resolution"),
        (lambda: with_low_resolution(with_low_resolution(tiny_digits(4))), "already"),
    ],
)
def test_what_cannot_be_paired_is_refused_in_one_sentence(make, word):
    with pytest.raises((ConfigError, DataError)) as error:
        make()
    assert word in str(error.value)
    assert "\n" not in str(error.value)

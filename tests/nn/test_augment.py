"""Distortions of images: codes stay codes, and each number does what its name says."""

import math

import torch

from phosphene.core.batch import Batch
from phosphene.nn.augment import DISTORTIONS, distort_images, random_distortions


def by(**numbers):
    names = ("down", "right", "turn", "tall", "wide")
    return torch.tensor([[numbers.get(name, 0.0) for name in names]])


def image(h=3, w=4, channels=2):
    return torch.arange(channels * h * w, dtype=torch.uint8).view(1, channels, h, w)


def test_no_distortion_is_the_identity():
    x = torch.randint(0, 256, (5, 3, 7, 4), dtype=torch.uint8)
    assert torch.equal(distort_images(x, torch.zeros(5, 5), shift=3, warp=0.5), x)
    assert torch.equal(distort_images(x, torch.ones(5, 5)), x)


def test_shift_moves_pixels_and_repeats_borders():
    x = image()
    down = distort_images(x, by(down=1.0), shift=1)
    assert down.dtype == torch.uint8
    assert torch.equal(down[:, :, 1:], x[:, :, :-1])
    assert torch.equal(down[:, :, 0], x[:, :, 0])
    left = distort_images(x, by(right=-1.0), shift=1)
    assert torch.equal(left[..., :-1], x[..., 1:])
    assert torch.equal(distort_images(x, by(down=0.5), shift=2), down)


def test_quarter_turn_is_exact():
    x = image(5, 5)
    turned = distort_images(x, by(turn=1.0), warp=math.pi / 2)
    assert any(torch.equal(turned, torch.rot90(x, k, (2, 3))) for k in (1, 3))


def test_stretch_enlarges_along_its_axis():
    x = torch.zeros(1, 1, 9, 9)
    x[..., 3:6, 3:6] = 1
    tall = distort_images(x, by(tall=1.0), warp=math.log(2.0))
    assert int(tall.sum(2).max()) > 3
    assert int(tall.sum(3).max()) == 3


def test_each_image_has_its_own_distortion():
    x = image().expand(2, -1, -1, -1)
    both = torch.cat((by(down=1.0), by(right=1.0)))
    out = distort_images(x, both, shift=1)
    for i in range(2):
        assert torch.equal(out[i], distort_images(x[:1], both[i : i + 1], shift=1)[0])


def test_random_distortions_fill_their_range_and_leave_some_alone():
    u = Batch.of(torch.zeros(2000, 1)).uniform((DISTORTIONS + 1,))
    drawn = random_distortions(u)
    assert drawn.abs().max() <= 1
    assert drawn.min() < -0.99
    assert abs(float((drawn == 0).all(1).float().mean()) - 0.1) < 0.03

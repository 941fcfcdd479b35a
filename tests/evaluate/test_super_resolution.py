"""Scores of super-resolution on models whose scores are known by hand."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from phosphene.core.context import ContextSpec
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.data.low_resolution import with_low_resolution
from phosphene.evaluate.scoring import evaluate_model
from phosphene.evaluate.section import SECTIONS, Shown
from phosphene.evaluate.super_resolution import (
    bicubic,
    comparison,
    super_resolution,
    super_resolves,
)
from tests.helpers.tiny import examples, tiny_digits

EVENT = Event.image(1, 8)


def pairs(n=40):
    digits = replace(tiny_digits(n), event=EVENT, x=examples(EVENT, n) // 2 + 60)
    return with_low_resolution(digits, 4)


class Toy(Model):
    """Knows the true image of each input; adds a shift, and noise of a temperature."""

    def __init__(self, data, shift=0, noise=0.0, event=EVENT):
        super().__init__(event, context=ContextSpec(image=data.image_event))
        self.scale = nn.Parameter(torch.ones(()))
        self.data, self.shift, self.noise = data, shift, noise
        self.asked = []

    def sample(self, n, context=None, *, generator=None, temperature=1.0):
        self.asked.append((n, temperature))
        same = (context.image[:, None] == self.data.image[None]).flatten(2).all(2)
        x = self.data.x[same.int().argmax(1)].double() + self.shift
        e = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        x = x + self.noise * temperature * e
        return x.round().clamp(0, 255).to(torch.uint8)


def test_the_true_image_is_perfect_and_alone():
    data = pairs()
    scores = super_resolution(Toy(data), data)
    assert scores["psnr"].value == pytest.approx(120.0)
    assert scores["lr_consistency"].value == pytest.approx(120.0)
    assert scores["solution_diversity"].value == 0.0
    gain = 120 - scores["psnr_bicubic"].value
    assert scores["psnr_gain"].value == pytest.approx(gain)


@pytest.mark.parametrize("shift", [1, 10])
def test_a_constant_shift_by_hand(shift):
    data = pairs()
    scores = super_resolution(Toy(data, shift=shift), data)
    expected = 20 * math.log10(255 / shift)
    assert scores["psnr"].value == pytest.approx(expected)
    assert scores["lr_consistency"].value == pytest.approx(expected)
    assert scores["psnr"].stderr == pytest.approx(0.0, abs=1e-9)


def test_diversity_is_the_deviation_times_the_temperature():
    data = pairs()
    model = Toy(data, noise=10.0)
    scores = super_resolution(model, data, temperature=0.8)
    # The standard deviation of 8 draws is biased by c_4(8) = 0.9650; rounding adds 1/12.
    expected = math.sqrt(8.0**2 + 1 / 12) * 0.9650
    assert scores["solution_diversity"].value == pytest.approx(expected, rel=0.02)
    assert scores["psnr"].value == pytest.approx(120.0)  # at temperature 0
    mean_of_16 = 8.0**2 / 16 + 1 / 12
    consistency = -10 * math.log10(mean_of_16 / 255**2)
    assert scores["lr_consistency"].value == pytest.approx(consistency, abs=0.3)
    assert {t for _, t in model.asked} == {0.0, 0.8}


def test_bicubic_by_hand():
    # Keys' kernel, a = -0.75: the weights at distances 0.375, 0.625 and 1.375, 1.625.
    def near(d):
        return (1.25 * d - 2.25) * d * d + 1

    def far(d):
        return -0.75 * (((d - 5) * d + 8) * d - 4)

    low = torch.tensor([[[[0, 0, 80, 80]]]]).expand(1, 1, 4, 4)
    y = bicubic(low, Event.image(1, 4), Event.image(1, 16))
    assert y.shape == (1, 1, 16, 16)
    # Pixel 7 of 16 lies at 7.5 / 4 - 0.5 = 1.375 of the small one.
    expected = 80 * (near(0.625) + far(1.625))
    assert float(y[0, 0, 8, 7]) == pytest.approx(expected)
    assert float(bicubic(low, Event.image(1, 4), Event.image(1, 16, levels=2)).max()) <= 1


def test_scores_are_added_where_they_are_true():
    data = pairs()
    model = Toy(data)
    names = {"psnr", "psnr_bicubic", "psnr_gain", "lr_consistency", "solution_diversity"}
    assert names <= set(evaluate_model(model, data, data, samples=20))
    assert not super_resolves(model, replace(data, reduction=None))
    plain = Toy(data)
    plain.context = ContextSpec()
    assert not super_resolves(plain, data)


def test_the_same_seed_gives_the_same_scores():
    data = pairs()
    one, same, other = (super_resolution(Toy(data, noise=9.0), data, seed=s) for s in (1, 1, 2))
    assert one == same
    assert one["solution_diversity"] != other["solution_diversity"]


def test_a_row_of_pictures_for_each_input():
    data = pairs(6)
    model = Toy(data, noise=9.0)
    rows = comparison(model, data, torch.tensor([2, 5]), draws=3)
    assert rows.shape == (2, 7, *EVENT.shape)
    given, _, still, *draws, truth = rows.unbind(1)
    assert torch.equal(given[:, :, ::4, ::4], data.image[[2, 5]].double())
    assert torch.equal(given[:, :, :4, :4], given[:, :, :1, :1].expand(2, 1, 4, 4))
    assert torch.equal(still, data.x[[2, 5]].double())
    assert torch.equal(truth, data.x[[2, 5]].double())
    assert not any(torch.equal(draw, truth) for draw in draws)


def shown_of(model, data):
    shown = Shown(model=model, test=data, train=data)
    return "".join(section.html(shown) for section in SECTIONS)


def test_the_report_shows_inputs_and_solutions():
    data = pairs(6)
    text = shown_of(Toy(data, noise=9.0), data)
    assert "Super-resolution" in text
    assert "bicubic" in text
    plain = replace(data, reduction=None)
    assert "bicubic" not in shown_of(Toy(data), plain)

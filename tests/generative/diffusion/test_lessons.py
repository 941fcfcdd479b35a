"""The lesson in the plane says what its pictures show."""

import pytest
import torch

from phosphene.api.learn import learn
from phosphene.core.errors import ConfigError


def test_the_lesson_in_the_plane():
    lesson = learn("diffusion-plane", density="ring8", steps=40, weight=2.0)
    numbers = lesson.numbers
    errors = [numbers[f"DPM-Solver++, asked {n} times: mean distance to the flow's end"]
              for n in (4, 8, 16, 32, 64)]  # fmt: skip
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01
    assert numbers["w = 2: p(c | x)"] > numbers["w = 0: p(c | x)"]
    assert numbers["w = 2: variance"] < numbers["w = 0: variance"]
    assert "bought with diversity" in lesson.text
    drawn, flowed = (panel.paths for panel in lesson.panels[3:5])
    assert drawn.shape == flowed.shape == (9, 41, 2)
    assert torch.equal(drawn[:, 0], flowed[:, 0])  # the same noise
    assert not torch.allclose(drawn[:, -1], flowed[:, -1], atol=0.5)
    again = learn("diffusion-plane", density="ring8", steps=40, weight=2.0)
    assert again.numbers == numbers


def test_without_guidance_it_says_so():
    assert "conditional model itself" in learn("diffusion-plane", density="ring8", weight=0.0).text


@pytest.mark.parametrize("given", [{"density": "checkerboard"}, {"steps": 3}, {"weight": -1.0}])
def test_bad_input(given):
    with pytest.raises(ConfigError):
        learn("diffusion-plane", **given)

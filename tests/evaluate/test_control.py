"""Scores of control on models whose scores are known by hand."""

import pytest
import torch
from torch import nn

from phosphene.core.context import ContextSpec
from phosphene.core.model import Model
from phosphene.data.image_conditions import edges, with_condition
from phosphene.evaluate.control import control, controlled, f1
from phosphene.evaluate.scoring import evaluate_model
from tests.helpers.tiny import tiny_digits


class Toy(Model):
    """Gives the example that each condition was made of, or the one after it."""

    def __init__(self, data, off=0):
        super().__init__(data.event, context=ContextSpec(image=data.image_event))
        self.scale = nn.Parameter(torch.ones(()))
        self.data, self.off = data, off

    def sample(self, n, context=None, *, generator=None):
        same = (context.image[:, None] == self.data.image[None]).flatten(2).all(2)
        return self.data.x.roll(-self.off, 0)[same.int().argmax(1)]


def pairs(kind="edges", levels=17):
    return with_condition(tiny_digits(40, levels=levels, split="test"), kind)


def test_what_was_asked_for_is_found_and_chance_is_another_example():
    data = pairs()
    scores = control(Toy(data), data)
    assert scores["control_f1"].value == 1.0
    found, asked = edges(data.x, 17), edges(data.x.roll(20, 0), 17)
    by_hand = [
        2 * int((a & b).sum()) / int(a.sum() + b.sum()) for a, b in zip(found, asked, strict=True)
    ]
    assert scores["control_f1_chance"].value == pytest.approx(sum(by_hand) / 40)


def test_another_example_than_asked_for_scores_lower():
    data = pairs()
    assert control(Toy(data, off=1), data)["control_f1"].value < 0.9


def test_sketches_agree_pixel_by_pixel():
    data = pairs("sketch")
    scores = control(Toy(data), data)
    assert set(scores) == {"control_agreement", "control_agreement_chance"}
    assert scores["control_agreement"].value == 1.0 > scores["control_agreement_chance"].value


def test_f1_by_hand():
    a = torch.tensor([[1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    b = torch.tensor([[1, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]])
    assert f1(a, b).tolist() == pytest.approx([2 / 3, 1.0, 0.0])
    assert torch.equal(f1(a, b), f1(b, a))


def test_it_is_true_where_the_condition_was_made_of_the_image():
    data, plain = pairs(), tiny_digits(40, levels=17, split="test")
    assert controlled(Toy(data), data)
    assert not controlled(Toy(data), plain)
    found = evaluate_model(Toy(data), data, data, samples=40)
    assert found["control_f1"].value == 1.0

"""Paths and directions in codes, on a model whose codes are its examples."""

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.evaluate.views import interpolations, spread, traversals


class Plain(Model):
    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        return x

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        return z


MODEL = Plain(Event.real(4))
SCALES = torch.tensor([0.1, 5.0, 1.0, 3.0])


def data() -> Tensor:
    return 7 + SCALES * torch.randn(500, 4, generator=torch.Generator().manual_seed(0))


def test_traversals_move_what_varies_most_as_far_as_the_data_do() -> None:
    x = data()
    moments = spread(MODEL, x)
    torch.testing.assert_close(moments[0], x.mean(0))
    torch.testing.assert_close(moments[1], x.std(0))
    moved, order = traversals(MODEL, x[:1], moments, dimensions=2, steps=5, reach=2.0)
    assert order == [1, 3]
    for row, d in zip(moved, order, strict=True):
        wanted = moments[0][d] + moments[1][d] * torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
        torch.testing.assert_close(row[:, d], wanted)
        others = [k for k in range(4) if k != d]
        assert torch.equal(row[:, others], x[:1, others].expand(5, -1))


def test_interpolations_are_straight_lines_from_a_to_b() -> None:
    a, b = data()[:3], data()[3:6]
    lines = interpolations(MODEL, a, b, count=5)
    assert lines.shape == (3, 5, 4)
    for k in range(5):
        torch.testing.assert_close(lines[:, k], a + (b - a) * k / 4)

"""LSTMs over rows and diagonals against the paper's skewed convolutions, written out (float64)."""

import pytest
import torch
import torch.nn.functional as F

from phosphene.generative.autoregressive.layers.image_lstm import (
    ColorLinear,
    DiagonalBiLSTM,
    RowLSTM,
    color_mask,
)
from phosphene.generative.autoregressive.layers.line_scan import Lines, lstm_cell, scan_lines


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def cell_by_cell(gates: torch.Tensor, weight: torch.Tensor, lines: Lines) -> torch.Tensor:
    """The scan with dictionaries of places and autograd's gradients."""
    zero = gates.new_zeros(gates.shape[0], gates.shape[2], gates.shape[3] // 4)
    out, h, c = [], {}, {}
    for start, low, high in lines.spans:
        new_h, new_c = {}, {}
        for q, place in enumerate(range(low, high)):
            seen = torch.cat([h.get(place + tap, zero) for tap in lines.taps], -1)
            own = gates[:, start + q] + seen @ weight
            new_h[place], new_c[place] = lstm_cell(own, c.get(place, zero))
            out.append(new_h[place])
        h, c = new_h, new_c
    return torch.stack(out, 1)


@pytest.mark.parametrize(
    ("lines", "directions"),
    [
        (Lines.rows(4, 5, kernel=3), 1),
        (Lines.rows(3, 2, kernel=5), 1),
        (Lines.diagonals(4, 5), 2),
        (Lines.diagonals(5, 3), 2),
        (Lines.diagonals(1, 4), 2),
        (Lines.diagonals(4, 1), 2),
    ],
)
def test_scan_and_its_gradient_equal_cell_by_cell(lines, directions):
    cells = sum(high - low for _, low, high in lines.spans)
    gates = draw(directions, cells, 3, 8).requires_grad_()
    weight = draw(directions, 2 * len(lines.taps), 8, seed=1).requires_grad_()
    ours, theirs = scan_lines(gates, weight, lines), cell_by_cell(gates, weight, lines)
    torch.testing.assert_close(ours, theirs, atol=1e-13, rtol=0)
    upstream = draw(*ours.shape, seed=2)
    for one, other in zip(
        torch.autograd.grad(ours, (gates, weight), upstream),
        torch.autograd.grad(theirs, (gates, weight), upstream),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def cell_of_maps(gates: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The cell on (n, features, places)."""
    h, c = lstm_cell(gates.transpose(1, 2), c.transpose(1, 2))
    return h.transpose(1, 2), c.transpose(1, 2)


def skewed_lstm(x: torch.Tensor, layer: DiagonalBiLSTM, d: int) -> torch.Tensor:
    """One direction as in the paper: skew, a 2 x 1 convolution along columns, skew back."""
    n, _, height, width = x.shape
    hidden = layer.hidden
    conv_in = (layer.masked()[d].t()[..., None, None], layer.bias[d, 0])
    gates = F.conv2d(x, *conv_in)
    skewed = x.new_zeros(n, 4 * hidden, height, 2 * width + height)
    for i in range(height):
        skewed[:, :, i, i : i + width] = gates[:, :, i]
    own, above = layer.state_weight[d].unflatten(0, (2, hidden))
    kernel = torch.stack([above.t(), own.t()], -1)
    h = c = x.new_zeros(n, hidden, height)
    columns = []
    for column in skewed.unbind(-1):
        total = column + F.conv1d(F.pad(h, (1, 0)), kernel)
        h, c = (
            part.transpose(1, 2) for part in lstm_cell(total.transpose(1, 2), c.transpose(1, 2))
        )
        columns.append(h)
    states = torch.stack(columns, -1)
    return torch.stack([states[:, :, i, i : i + width] for i in range(height)], 2)


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (5, 2), (1, 3), (3, 1)])
def test_diagonal_is_the_papers_skewed_convolution(size):
    torch.manual_seed(0)
    layer = DiagonalBiLSTM(size, 6, 3, colors=3).double()
    x = draw(2, 6, *size)
    right = skewed_lstm(x, layer, 0)
    left = skewed_lstm(x.flip(3), layer, 1).flip(3)
    both = right + F.pad(left, (0, 0, 1, 0))[:, :, : size[0]]
    ours = layer(x.flatten(2).permute(2, 0, 1)).permute(1, 2, 0).unflatten(2, size)
    torch.testing.assert_close(ours, both, atol=1e-13, rtol=0)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_row_is_two_convolutions(kernel):
    torch.manual_seed(0)
    layer = RowLSTM((4, 5), 6, 3, colors=3, kernel=kernel).double()
    x, reach = draw(2, 6, 4, 5), kernel // 2
    into = layer.masked()[0].unflatten(0, (reach + 1, 6)).permute(2, 1, 0)
    across = layer.state_weight[0].unflatten(0, (kernel, 3)).permute(2, 1, 0)
    h = c = x.new_zeros(2, 3, 5)
    for i in range(4):
        gates = F.conv1d(F.pad(x[:, :, i], (reach, 0)), into, layer.bias[0, 0])
        gates = gates + F.conv1d(h, across, padding=reach)
        h, c = (
            part.transpose(1, 2) for part in lstm_cell(gates.transpose(1, 2), c.transpose(1, 2))
        )
        ours = layer(x.flatten(2).permute(2, 0, 1)).unflatten(0, (4, 5))[i].permute(1, 2, 0)
        torch.testing.assert_close(ours, h, atol=1e-13, rtol=0)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: RowLSTM((4, 5), 6, 3, colors=3),
        lambda: RowLSTM((3, 2), 6, 3, kernel=5),
        lambda: DiagonalBiLSTM((4, 5), 6, 3, colors=3),
        lambda: DiagonalBiLSTM((1, 5), 6, 3),
        lambda: DiagonalBiLSTM((5, 1), 6, 3),
    ],
)
def test_walk_equals_the_scan_and_takes_back_what_was_not_known(layer):
    torch.manual_seed(0)
    layer = layer().double()
    height, width = layer.size
    x = draw(height * width, 2, 6)
    walk, states = layer.walk(), []
    for p in range(height * width):
        walk(*divmod(p, width), draw(2, 6, seed=p))
        states.append(walk(*divmod(p, width), x[p]))
    torch.testing.assert_close(torch.stack(states), layer(x), atol=1e-13, rtol=0)


def test_colors_see_those_before():
    assert color_mask(6, 3, 3).tolist() == [[1, 1, 1]] * 2 + [[0, 1, 1]] * 2 + [[0, 0, 1]] * 2
    assert color_mask(3, 3, 3, strict=True).tolist() == [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    linear = ColorLinear(6, 3, 3).double()
    jacobian = torch.autograd.functional.jacobian(linear, draw(6))
    assert torch.equal(jacobian != 0, color_mask(6, 3, 3).t() > 0)


@pytest.mark.parametrize("make", [RowLSTM, DiagonalBiLSTM])
def test_bf16_autocast_keeps_the_memory_in_full_precision(make):
    torch.manual_seed(0)
    layer, x = make((4, 4), 8, 4), torch.randn(16, 2, 8)
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        near = layer(x)
    assert near.dtype == torch.float32
    torch.testing.assert_close(near, exact, atol=0.02, rtol=0)
    near.sum().backward()

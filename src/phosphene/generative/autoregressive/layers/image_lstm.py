"""LSTM layers over images: rows, and diagonals in both directions (van den Oord et al., 2016).

Both are one scan over lines of cells in which a line needs only the line before it: a row needs the
row above, a diagonal (cells with i + j = t) the diagonal t - 1. Everything that does not recur is
computed for all cells at once before the scan, and the gradients of the weights in one product
after it. Maps are kept position first, (P, n, features) with P = H W in raster order, so that a
line is one piece of memory.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.generative.autoregressive.layers.line_scan import Lines, lstm_cell, scan_lines

__all__ = [
    "ColorLinear",
    "DiagonalBiLSTM",
    "RowLSTM",
    "Walk",
    "color_mask",
]


def color_mask(inputs: int, outputs: int, colors: int, *, strict: bool = False) -> Tensor:
    """Which features may see which: (inputs, outputs), 1 where input's color <= output's.

    Features fall into ``colors`` equal runs, one for each color in the order R, G, B. Mask B lets a
    color see itself and those before it; mask A (``strict``) only those before it.

    Example:
        >>> color_mask(3, 3, 3)
        tensor([[1., 1., 1.],
                [0., 1., 1.],
                [0., 0., 1.]])
    """
    source = torch.arange(inputs)[:, None] * colors // inputs
    target = torch.arange(outputs) * colors // outputs
    return (source < target if strict else source <= target).to(torch.get_default_dtype())


class ColorLinear(nn.Module):
    """y = x (W * M) + b at every pixel, M the mask B of colors: a masked 1 x 1 convolution.

    Args:
        inputs: Features in, a multiple of ``colors``.
        outputs: Features out, a multiple of ``colors``.
        colors: How many colors the features are split into.
        bias: Whether to add b.
    """

    mask: Tensor

    def __init__(self, inputs: int, outputs: int, colors: int, *, bias: bool = True) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.register_buffer("mask", color_mask(inputs, outputs, colors), persistent=False)

    def masked(self) -> Tensor:
        """The weights that count."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """Features (..., outputs) of (..., inputs)."""
        return F.linear(x, self.masked().t(), self.bias)


class _Layer(nn.Module):
    """What both layers share: weights, the product for all inputs, and the scan.

    Args:
        size: Height and width of the map.
        lines: The order of a scan.
        mask: Which inputs a gate sees (directions, inputs to a cell, hidden).
    """

    mask: Tensor
    beside: int = 0

    def __init__(
        self,
        size: tuple[int, int],
        lines: Lines,
        mask: Tensor,
    ) -> None:
        super().__init__()
        directions, ins, hidden = mask.shape
        self.size, self.hidden, self.lines = size, hidden, lines
        states = len(lines.taps) * hidden
        bound = (ins + states) ** -0.5
        shape = (directions, ins, 4 * hidden)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        shape = (directions, states, 4 * hidden)
        self.state_weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        bias = torch.zeros(directions, 1, 4 * hidden)
        bias[..., 2 * hidden : 3 * hidden] = 1.0  # remember, at first
        self.bias = nn.Parameter(bias)
        self.register_buffer("mask", mask.repeat(1, 1, 4), persistent=False)

    def masked(self) -> Tensor:
        """The input-to-state weights that count (directions, inputs, 4 h)."""
        return self.weight * self.mask

    def scan(self, x: Tensor) -> Tensor:
        """States (directions, P, n, h) of inputs (directions, P, n, inputs), in scanned order."""
        gates = torch.baddbmm(self.bias, x.flatten(1, 2), self.masked())
        return scan_lines(gates.unflatten(1, x.shape[1:3]), self.state_weight, self.lines)


class RowLSTM(_Layer):
    """An LSTM that goes from row to row, all cells of a row at once (van den Oord et al., 2016).

    The gates of a cell see the input map at the cell and up to (kernel - 1)/2 cells to its left (a
    masked convolution along the row), and the states of ``kernel`` cells of the row above: what a
    state knows is a triangle above it. Memory comes from the cell above.

    Args:
        size: Height and width of the map.
        inputs: Features of the input map, a multiple of ``colors``.
        hidden: Features of the states, a multiple of ``colors``.
        colors: How many colors the features are split into.
        kernel: Width of both convolutions, odd.

    Example:
        >>> RowLSTM((4, 5), 6, 3, colors=3)(torch.randn(20, 2, 6)).shape
        torch.Size([20, 2, 3])
    """

    def __init__(
        self, size: tuple[int, int], inputs: int, hidden: int, colors: int = 1, kernel: int = 3
    ) -> None:
        self.left = kernel // 2
        # The cell itself under mask B; the cells to its left are known in all colors.
        mask = torch.cat(
            [torch.ones(self.left * inputs, hidden), color_mask(inputs, hidden, colors)]
        )
        super().__init__(size, Lines.rows(*size, kernel), mask[None])

    def forward(self, x: Tensor) -> Tensor:
        """States (P, n, h) of an input map (P, n, inputs)."""
        rows = x.unflatten(0, self.size)
        width = rows.shape[1]
        shifted = [F.pad(rows, (0, 0, 0, 0, d, 0))[:, :width] for d in range(self.left, 0, -1)]
        return self.scan(torch.cat([*shifted, rows], -1).flatten(0, 1)[None])[0]

    def walk(self) -> "Walk":
        """Computes one cell after another."""
        return _RowWalk(self)


class DiagonalBiLSTM(_Layer):
    """Two LSTMs that go from diagonal to diagonal (van den Oord et al., 2016).

    One starts in the upper left corner: a cell sees the states of its left and its upper cell, and
    knows all that is above and to the left. The other is its mirror image, and would know what lies
    to the right of a cell in the same row; its states are moved one row down before the two are
    added. Together they know all cells before a cell in raster order. Memory comes from the side.

    After mask A the map at a cell holds what came before its pixel, not the pixel. All but the last
    pixel of a row are in the map at the next cell of the row; the last one would be hidden from the
    row below, but for the cells near to it, whatever the depth. ``beside`` closes this gap: more
    inputs, such as the pixels themselves, for the mirrored direction alone, which is a row late.

    Args:
        size: Height and width of the map.
        inputs: Features of the input map, a multiple of ``colors``.
        hidden: Features of the states, a multiple of ``colors``.
        colors: How many colors the features are split into.
        beside: How many more inputs only the mirrored direction sees, after the others.

    Example:
        >>> DiagonalBiLSTM((4, 5), 6, 3, colors=3)(torch.randn(20, 2, 6)).shape
        torch.Size([20, 2, 3])
    """

    order: Tensor
    place: Tensor

    def __init__(
        self, size: tuple[int, int], inputs: int, hidden: int, colors: int = 1, beside: int = 0
    ) -> None:
        height, width = size
        lines = Lines.diagonals(height, width)
        more = torch.stack([torch.zeros(beside, hidden), torch.ones(beside, hidden)])
        own = color_mask(inputs, hidden, colors).expand(2, -1, -1)
        super().__init__(size, lines, torch.cat([own, more], 1))
        self.beside = beside
        cells = [
            (i, t - i) for t, (_, low, high) in enumerate(lines.spans) for i in range(low, high)
        ]
        order = torch.tensor(
            [[i * width + j for i, j in cells], [i * width + width - 1 - j for i, j in cells]]
        )
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("place", order.argsort(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """States (P, n, h) of an input map (P, n, inputs + beside)."""
        h = self.scan(x[self.order])
        width = self.size[1]
        right = h[0].index_select(0, self.place[0])
        if self.size[0] == 1:
            return right
        left = h[1].index_select(0, self.place[1, :-width])
        return torch.cat([right[:width], right[width:] + left])

    def walk(self) -> "Walk":
        """Computes one cell after another."""
        return _DiagonalWalk(self)


class Walk:
    """A layer's states one after another, in raster order, each computed once.

    Call it with a cell and the input there; the same cell may come again with more colors known,
    and then replaces what was.

    Args:
        layer: Whose states.
    """

    def __init__(self, layer: _Layer) -> None:
        self.width, self.row = layer.size[1], -1
        self.weight, self.bias = layer.masked(), layer.bias
        self.taps = layer.state_weight.unflatten(1, (-1, layer.hidden))
        self.x: list[Tensor] = []
        self.h: list[Tensor] = []
        self.c: list[Tensor] = []

    def __call__(self, i: int, j: int, x: Tensor, above: Tensor | None = None) -> Tensor:
        """The state (n, h) of cell (i, j), whose input is x (n, inputs).

        At the start of a row ``above`` (W, n, beside) is what the mirrored direction sees besides
        of the row above.
        """
        if i != self.row:
            self.begin_row(x, above)
            self.row = i
            self.x, self.h, self.c = [], [], []
        for known in (self.x, self.h, self.c):
            del known[j:]
        self.x.append(x)
        return self.state(j)

    def begin_row(self, x: Tensor, above: Tensor | None) -> None:
        """Compute what the row above, now complete, gives to the next one."""
        raise NotImplementedError

    def state(self, j: int) -> Tensor:
        """The state of the last cell of ``self.x``."""
        raise NotImplementedError

    def zeros(self, x: Tensor, *shape: int) -> Tensor:
        """Zeros beside an input."""
        return x.new_zeros(*shape[:-1], len(x), shape[-1])


class _RowWalk(Walk):
    """Rows: the row above gives its convolution to a whole row at once."""

    def __init__(self, layer: RowLSTM) -> None:
        super().__init__(layer)
        self.left = layer.left

    def begin_row(self, x: Tensor, above: Tensor | None) -> None:
        hidden = self.taps.shape[2]
        self.none = torch.zeros_like(x)
        if self.row < 0:
            self.above = self.bias.expand(self.width, len(x), -1)
            self.above_c = list(self.zeros(x, self.width, hidden))
            return
        pad = self.taps.shape[1] // 2
        row = F.pad(torch.stack(self.h), (0, 0, 0, 0, pad, pad))
        seen = torch.cat([row[k : k + self.width] for k in range(self.taps.shape[1])], -1)
        self.above = seen @ self.taps[0].flatten(0, 1) + self.bias
        self.above_c = self.c

    def state(self, j: int) -> Tensor:
        near = [self.x[b] if b >= 0 else self.none for b in range(j - self.left, j + 1)]
        gates = self.above[j] + torch.cat(near, -1) @ self.weight[0]
        h, c = lstm_cell(gates, self.above_c[j])
        self.h.append(h)
        self.c.append(c)
        return h


class _DiagonalWalk(Walk):
    """Diagonals: the mirrored direction of a row is computed when the row is complete.

    It needs the row's last cell first, and nothing needs it before the next row.
    """

    def begin_row(self, x: Tensor, above: Tensor | None) -> None:
        self.none = self.zeros(x, self.taps.shape[2])
        if self.row < 0:
            self.above = self.bias[0].expand(self.width, len(x), -1)
            self.mirrored: Tensor | None = None
            return
        self.above = torch.stack(self.h) @ self.taps[0, 1] + self.bias[0]
        seen = torch.stack(self.x)
        seen = seen if above is None else torch.cat([seen, above], -1)
        gates = seen @ self.weight[1] + self.bias[1]
        if self.mirrored is not None:
            gates = gates + self.mirrored @ self.taps[1, 1]
        h, c, states = self.none, self.none, []
        for line in reversed(gates.unbind()):
            h, c = lstm_cell(torch.addmm(line, h, self.taps[1, 0]), c)
            states.append(h)
        self.mirrored = torch.stack(states[::-1])

    def state(self, j: int) -> Tensor:
        left, c = (self.h[j - 1], self.c[j - 1]) if j else (self.none, self.none)
        gates = self.above[j] + self.x[j] @ self.weight[0, : self.x[j].shape[1]]
        h, c = lstm_cell(torch.addmm(gates, left, self.taps[0, 0]), c)
        self.h.append(h)
        self.c.append(c)
        return h if self.mirrored is None else h + self.mirrored[j]

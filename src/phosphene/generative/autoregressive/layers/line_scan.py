"""The scan of LSTMs over lines of cells in which a line needs only the line before it.

Everything that does not recur is computed for all cells at once before the scan, and the gradients
of the weights in one product after it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from phosphene.core.derivatives import again_wanted, gradients_again, transformed

__all__ = ["Lines", "lstm_cell", "scan_lines"]


def lstm_cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The state and the memory of an LSTM (Hochreiter and Schmidhuber, 1997), without peepholes.

    c' = f c + i u and h' = o tanh(c'), where o, i, f = sigmoid and u = tanh of the four parts.

    Args:
        gates: Pre-activations (..., 4 h) of o, i, f and u.
        c: The memory (..., h).
    """
    o, i, f, u = gates.chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(u)
    return torch.sigmoid(o) * torch.tanh(c), c


@dataclass(frozen=True, eq=False)
class Lines:
    """How the cells of a map are scanned, line after line.

    Args:
        spans: For each line its first cell in the scanned order, and its places low..high-1: the
            memory of a cell is handed on to the cell at the same place of the next line.
        places: How many places there are.
        taps: Which places of the line before a cell's gates see, relative to its own.
    """

    spans: tuple[tuple[int, int, int], ...]
    places: int
    taps: tuple[int, ...]

    @classmethod
    def rows(cls, height: int, width: int, kernel: int) -> "Lines":
        """Rows from above; a cell sees ``kernel`` cells of the row above, centered."""
        reach = kernel // 2
        spans = tuple((i * width, 0, width) for i in range(height))
        return cls(spans, width, tuple(range(-reach, reach + 1)))

    @classmethod
    def diagonals(cls, height: int, width: int) -> "Lines":
        """Diagonals i + j = t; the place is the row i, a cell sees its left and its upper one.

        Skewing the map by one column a row makes diagonals columns; here nothing is skewed, since
        only cells inside of the map are held.
        """
        spans, start = [], 0
        for t in range(height + width - 1):
            low, high = max(0, t - width + 1), min(t, height - 1) + 1
            spans.append((start, low, high))
            start += high - low
        return cls(tuple(spans), height, (0, -1))


class _Scan(torch.autograd.Function):
    """The scan with its gradient by hand: no graph of small pieces, one product for the weights."""

    @staticmethod
    def forward(ctx: FunctionCtx, gates: Tensor, weight: Tensor, lines: Lines) -> Tensor:
        directions, cells, n, four = gates.shape
        h, taps, pad = four // 4, lines.taps, -min(lines.taps)
        seen = gates.new_empty(directions, cells, n, len(taps) * h)
        active = torch.empty_like(gates)
        old_c, tanh_c, out = (gates.new_empty(directions, cells, n, h) for _ in range(3))
        # What lies outside of the map is 0.
        states = gates.new_zeros(directions, pad + lines.places + max(taps), n, h)
        memory = gates.new_zeros(directions, lines.places, n, h)
        for start, low, high in lines.spans:
            at = slice(start, start + high - low)
            for k, tap in enumerate(taps):
                seen[:, at, :, k * h : (k + 1) * h] = states[:, pad + low + tap : pad + high + tap]
            line = active[:, at].flatten(1, 2)
            torch.baddbmm(gates[:, at].flatten(1, 2), seen[:, at].flatten(1, 2), weight, out=line)
            line[..., : 3 * h].sigmoid_()
            line[..., 3 * h :].tanh_()
            o, i, f, u = active[:, at].chunk(4, -1)
            c = memory[:, low:high]
            old_c[:, at] = c
            c.mul_(f).addcmul_(i, u)
            torch.tanh(c, out=tanh_c[:, at])
            torch.mul(o, tanh_c[:, at], out=out[:, at])
            states[:, pad + low : pad + high] = out[:, at]
        ctx.save_for_backward(gates, weight, seen, active, old_c, tanh_c)
        ctx.lines = lines  # type: ignore[attr-defined]
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        gates, weight, seen, active, old_c, tanh_c = ctx.saved_tensors  # type: ignore[attr-defined]
        lines: Lines = ctx.lines  # type: ignore[attr-defined]
        if again_wanted(grad):
            needed = ctx.needs_input_grad[:2]  # type: ignore[attr-defined]
            to_gates, to_weight = gradients_again(
                lambda gates, weight: _scan_plain(gates, weight, lines),
                (gates, weight), (grad,), needed,
            )  # fmt: skip
            return to_gates, to_weight, None
        h, taps, pad = grad.shape[-1], lines.taps, -min(lines.taps)
        o, i, f, u = active.chunk(4, -1)
        # dh/dc, and what dh and dc are multiplied with to become gradients of the gates.
        through = o * (1 - tanh_c.square())
        slope = torch.cat(
            [
                tanh_c * o * (1 - o),
                u * i * (1 - i),
                old_c * f * (1 - f),
                i * (1 - u.square()),
            ],
            -1,
        )
        d_states = grad.new_zeros(grad.shape[0], pad + lines.places + max(taps), *grad.shape[2:])
        d_memory = grad.new_zeros(grad.shape[0], lines.places, *grad.shape[2:])
        d_gates, back = slope, weight.transpose(1, 2)  # slope becomes the gradient in place
        for start, low, high in reversed(lines.spans):
            at = slice(start, start + high - low)
            d_h = grad[:, at] + d_states[:, pad + low : pad + high]
            d_c = torch.addcmul(d_memory[:, low:high], d_h, through[:, at])
            line = d_gates[:, at]
            line[..., :h].mul_(d_h)
            line[..., h:].unflatten(-1, (3, h)).mul_(d_c.unsqueeze(-2))
            torch.mul(d_c, f[:, at], out=d_memory[:, low:high])
            d_seen = torch.bmm(line.flatten(1, 2), back).unflatten(1, (high - low, -1))
            d_states.zero_()
            for k, tap in enumerate(taps):
                d_states[:, pad + low + tap : pad + high + tap] += d_seen[..., k * h : (k + 1) * h]
        d_weight = torch.bmm(seen.flatten(1, 2).transpose(1, 2), d_gates.flatten(1, 2))
        return d_gates, d_weight, None


def _scan_plain(gates: Tensor, weight: Tensor, lines: Lines) -> Tensor:
    """The same line by line, as torch differentiates it."""
    directions, _, n, four = gates.shape
    pad, end = -min(lines.taps), max(lines.taps)
    zero = gates.new_zeros(directions, lines.places, n, four // 4)
    h, memory, out = zero, zero, []
    for start, low, high in lines.spans:
        around = torch.nn.functional.pad(h, (0, 0, 0, 0, pad, end))
        seen = [around[:, pad + low + tap : pad + high + tap] for tap in lines.taps]
        own = gates[:, start : start + high - low]
        moved = own + torch.cat(seen, -1) @ weight[:, None]
        line, c = lstm_cell(moved, memory[:, low:high])
        out.append(line)
        h = torch.cat((h[:, :low], line, h[:, high:]), 1)
        memory = torch.cat((memory[:, :low], c, memory[:, high:]), 1)
    return torch.cat(out, 1)


def scan_lines(gates: Tensor, weight: Tensor, lines: Lines) -> Tensor:
    """All states (directions, P, n, h) of LSTMs that go from line to line.

    The gates of a cell are its own plus sum_k h(tap k) W_k over the taps of the line before.

    Args:
        gates: What the gates get from elsewhere (directions, P, n, 4 h), cells in scanned order.
        weight: The state-to-state weights (directions, taps h, 4 h).
        lines: The order of the scan.

    Example:
        >>> gates = torch.randn(1, 6, 5, 8)
        >>> scan_lines(gates, torch.randn(1, 6, 8), Lines.rows(2, 3, kernel=3)).shape
        torch.Size([1, 6, 5, 2])
    """
    with torch.autocast(gates.device.type, enabled=False):
        gates = gates.to(weight.dtype).contiguous()
        if transformed():
            return _scan_plain(gates, weight, lines)
        out: Tensor = _Scan.apply(gates, weight, lines)
        return out

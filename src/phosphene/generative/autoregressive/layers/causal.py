"""Causal dilated convolutions along a sequence, in parallel and value by value.

Inside, sequences lie time-major: rows t n + i hold example i of n at time t, so that "d steps ago"
is the same matrix shifted by d n rows. A convolution is then one matrix product for each tap, on
slices that need neither padding nor copies.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.derivatives import again_wanted, gradients_again, transformed
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event

__all__ = [
    "CausalConv",
    "PastValues",
    "Window",
    "causal_conv",
    "check_counts",
    "gate",
    "receptive_field",
]


def receptive_field(kernel: int, dilations: Sequence[int]) -> int:
    """RF = 1 + sum_l (k - 1) d_l: how many inputs one output of stacked convolutions sees.

    Example:
        >>> receptive_field(2, [2**i for i in range(10)])
        1024
    """
    return 1 + sum((kernel - 1) * d for d in dilations)


def causal_conv(x: Tensor, weight: Tensor, bias: Tensor | None, shift: int) -> Tensor:
    """y_t = b + sum_j x_{t - (k-1-j) d} W_j, with zeros before the first value.

    Args:
        x: Rows (T n, inputs), time-major.
        weight: (k, inputs, outputs); the last tap is the present, the one before it d steps ago.
        bias: (outputs,), or None.
        shift: d n, the rows that one tap reaches back.

    Returns:
        (T n, outputs).

    Example:
        >>> x = torch.tensor([[1.0], [2.0], [3.0]])
        >>> causal_conv(x, torch.tensor([[[10.0]], [[1.0]]]), None, 1).flatten()
        tensor([ 1., 12., 23.])
    """
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    if transformed():
        return _taps_plain(x, weight, bias, shift)
    if not torch.is_grad_enabled():
        return _taps(x, weight, bias, shift)
    out: Tensor = _CausalConv.apply(x, weight, bias, shift)
    return out


def _taps(x: Tensor, weight: Tensor, bias: Tensor | None, shift: int) -> Tensor:
    y = x @ weight[-1] if bias is None else torch.addmm(bias, x, weight[-1])
    for age in range(1, len(weight)):
        if age * shift < len(x):
            y[age * shift :].addmm_(x[: -age * shift], weight[-1 - age])
    return y


def _taps_plain(x: Tensor, weight: Tensor, bias: Tensor | None, shift: int) -> Tensor:
    """The same, writing into nothing."""
    y = x @ weight[-1] if bias is None else torch.addmm(bias, x, weight[-1])
    for age in range(1, len(weight)):
        if age * shift < len(x):
            y = y + F.pad(x[: -age * shift] @ weight[-1 - age], (0, 0, age * shift, 0))
    return y


class _CausalConv(torch.autograd.Function):
    """Autograd would pad and add a gradient of full size for each tap; these are products alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, shift: int) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        ctx.shift, ctx.biased = shift, bias is not None
        return _taps(x, weight, bias, shift)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight, bias = ctx.saved_tensors
        if again_wanted(g):
            found = gradients_again(
                lambda x, weight, bias: _taps_plain(x, weight, bias, ctx.shift),
                (x, weight, bias), (g,), ctx.needs_input_grad[:3],
            )  # fmt: skip
            return found[0], found[1], found[2], None
        to_x, to_weight = g @ weight[-1].T, torch.zeros_like(weight)
        to_weight[-1] = x.T @ g
        for age in range(1, len(weight)):
            back = age * ctx.shift
            if back < len(x):
                to_x[:-back].addmm_(g[back:], weight[-1 - age].T)
                to_weight[-1 - age] = x[:-back].T @ g[back:]
        return to_x, to_weight, g.sum(0) if ctx.biased else None, None


def gate(u: Tensor) -> Tensor:
    """tanh(a / 2) sigmoid(b) of u = (a, b): (..., 2 c) to (..., c).

    Since tanh(a / 2) = 2 sigmoid(a) - 1, one sigmoid serves both halves; it is several times
    faster than a tanh on CPUs.

    Example:
        >>> gate(torch.tensor([[2.0, 0.0]])) / torch.tanh(torch.tensor(1.0))
        tensor([[0.5000]])
    """
    if not torch.is_grad_enabled() or transformed():
        a, b = torch.sigmoid(u).chunk(2, -1)
        return (2 * a - 1) * b
    out: Tensor = _Gate.apply(u)[0]
    return out


class _Gate(torch.autograd.Function):
    """Keeps the sigmoids alone, and writes both halves of the gradient to one tensor.

    The sigmoids are a result too: what is saved of them is then a function of u, and the gradient
    has a gradient.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor) -> tuple[Tensor, Tensor]:
        # Near 0, 2 sigmoid(a) - 1 cancels: half precision would lose what is left.
        s = torch.sigmoid(u.float() if u.dtype in (torch.bfloat16, torch.float16) else u)
        ctx.save_for_backward(s)
        ctx.set_materialize_grads(False)
        ctx.dtype = u.dtype
        a, b = s.chunk(2, -1)
        return ((2 * a - 1) * b).to(u.dtype), s

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, g_s: Tensor | None) -> Tensor | None:
        (s,) = ctx.saved_tensors
        a, b = s.chunk(2, -1)
        if g is None or g_s is not None or again_wanted(g):
            parts = []
            if g is not None:
                to_both = torch.cat((2 * g * b, g * (2 * a - 1)), -1)
                parts.append(to_both * s * (1 - s))
            if g_s is not None:
                parts.append(g_s * s * (1 - s))
            return sum(parts[1:], parts[0]).to(ctx.dtype) if parts else None
        out = torch.empty_like(s)
        to_a, to_b = out.chunk(2, -1)
        gb = g * b
        torch.mul(2 * gb, a * (1 - a), out=to_a)
        torch.mul(gb * (2 * a - 1), 1 - b, out=to_b)
        return out.to(ctx.dtype)


class CausalConv(nn.Module):
    """A causal dilated convolution, perhaps with weight normalization.

    Weight normalization (Salimans and Kingma, 2016) learns an output channel's length g and
    direction v apart, W = g v / |v|.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernel: k, the number of taps.
        dilation: d, the steps between them.
        weight_norm: Learn lengths and directions apart.

    Example:
        >>> conv = CausalConv(3, 4, kernel=2, dilation=8)
        >>> conv(torch.zeros(20 * 5, 3), 5).shape  # 20 steps of 5 examples
        torch.Size([100, 4])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int,
        dilation: int = 1,
        weight_norm: bool = False,
    ) -> None:
        super().__init__()
        self.kernel, self.dilation = kernel, dilation
        direction = torch.randn(kernel, inputs, outputs) * (2.0 / (kernel * inputs)) ** 0.5
        self.direction = nn.Parameter(direction)
        self.length = nn.Parameter(_lengths(direction)) if weight_norm else None
        self.bias = nn.Parameter(torch.zeros(outputs))

    @property
    def weight(self) -> Tensor:
        """W (k, inputs, outputs), contiguous: the oldest tap first, the present last."""
        if self.length is None:
            return self.direction
        return self.direction * (self.length / _lengths(self.direction))

    def forward(self, x: Tensor, n: int, *, every: int = 1) -> Tensor:
        """Map rows (T n, inputs) of n examples to (T n, outputs); they may be every 2nd, 4th step.

        Args:
            x: Rows, time-major.
            n: Examples.
            every: The steps between rows, a divisor of the dilation.
        """
        return causal_conv(x, self.weight, self.bias, self.dilation // every * n)


def _lengths(direction: Tensor) -> Tensor:
    return direction.square().sum((0, 1)).clamp(min=1e-24).sqrt()


class Window:
    """What one convolution still has to see, for evaluating it value by value.

    Steps t, t + d, t + 2 d, ... share one window of k inputs side by side; d windows make a ring.
    A step overwrites the oldest of the k, so that the taps' order rotates from visit to visit:
    instead of moving inputs, the k rotations of the weights are kept. A step is one product of the
    window (n, k inputs) with a matrix (k inputs, outputs); nothing is copied, and nothing is
    allocated after the construction.

    Args:
        weight: (k, inputs, outputs), as :class:`CausalConv` has it.
        dilation: d.
        n: Examples.
        steps: The length of the sequence; a ring is never longer.

    Example:
        >>> window = Window(torch.tensor([[[10.0]], [[1.0]]]), dilation=1, n=1, steps=3)
        >>> for t, x in enumerate((1.0, 2.0, 3.0)):
        ...     present, inputs, taps = window[t]
        ...     _ = present.fill_(x)
        ...     print(float(inputs @ taps))
        1.0
        12.0
        23.0
    """

    def __init__(self, weight: Tensor, dilation: int, n: int, steps: int) -> None:
        weight = weight.detach()
        kernel, inputs, outputs = weight.shape
        ring = max(1, min(dilation, steps))
        buffer = weight.new_zeros(ring, n, kernel * inputs)
        # At visit v the present is in place v mod k, and place j holds what came (v - j) mod k
        # visits before.
        ages = (torch.arange(kernel)[:, None] - torch.arange(kernel)) % kernel
        rotations = weight[kernel - 1 - ages].reshape(kernel, kernel * inputs, outputs).unbind(0)
        windows = [(window.split(inputs, 1), window) for window in buffer.unbind(0)]
        # All views are made here: making one costs half as much as a small product.
        self.visits = [
            (places[v], window, taps)
            for v, taps in enumerate(rotations)
            for places, window in windows[: max(0, steps - v * ring)]
        ]
        """The views of steps 0, 1, ..., after which they come again."""

    def __getitem__(self, t: int) -> tuple[Tensor, Tensor, Tensor]:
        """For step t: where its input (n, inputs) goes, all k inputs, and the k inputs' weights."""
        return self.visits[t % len(self.visits)]


class PastValues(nn.Module):
    """What a network sees of a sequence when it predicts x_t: x_{t-1}, as a vector.

    Codes have a learned vector each; that of audio codes starts as random Fourier features of the
    amplitude (Rahimi and Recht, 2007), so that neighboring codes look alike. Reals are mapped
    linearly. The first value is predicted from a vector of its own.

    Args:
        event: A sequence.
        width: Size of the vectors.

    Example:
        >>> past = PastValues(Event.tokens(4, vocabulary=3), 8)
        >>> past(torch.tensor([[0.0, 1.0, 2.0, 0.0]])).shape
        torch.Size([4, 8])
    """

    def __init__(self, event: Event, width: int) -> None:
        super().__init__()
        self.levels, self.width = event.levels, width
        rows = 1 if event.levels is None else event.levels
        table = torch.randn(rows, width) * 0.5
        if event.kind == "audio":
            amplitude = torch.linspace(-1, 1, rows)[:, None]
            table = torch.cos(amplitude * torch.randn(width) * 4.0 + torch.rand(width) * 6.2832)
        self.table = nn.Parameter(table)
        self.start = nn.Parameter(torch.randn(1, width) * 0.5)

    def one(self, y: Tensor) -> Tensor:
        """Vectors (n, width) of codes, or of standardized reals (n,)."""
        if self.levels is None:
            return y.to(self.table.dtype)[:, None] * self.table
        out: Tensor = F.embedding(y.long(), self.table)
        return out

    def forward(self, y: Tensor) -> Tensor:
        """Rows (T n, width) of n sequences (n, T), each shifted by one."""
        before = self.one(y[:, :-1].T.reshape(-1))
        return torch.cat([self.start.expand(len(y), -1), before])


def check_counts(**counts: int) -> None:
    """Raise ConfigError for a setting below 1; a kernel needs 2 taps to look back."""
    for name, value in counts.items():
        least = 2 if name == "kernel" else 1
        if value < least:
            raise ConfigError(f"{name} must be {least} or more, got {value}")

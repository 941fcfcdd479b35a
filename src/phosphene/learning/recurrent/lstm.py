"""Long short-term memory."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from phosphene.core.errors import ConfigError, brief
from phosphene.learning.recurrent.layer import At, Recurrent

__all__ = ["LSTM", "lstm_step"]


def lstm_step(a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step from the sums a (n, 4 hidden), in the order i, f, o, g, and the cell before.

        c_t = sigmoid(f) c_(t-1) + sigmoid(i) tanh(g);   h_t = sigmoid(o) tanh(c_t)

    Returns h_t and c_t.
    """
    i, f, o, g = a.chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), with a forget gate (Gers, 2000).

        (i, f, o, g) = (sigmoid, sigmoid, sigmoid, tanh)(W_xh x_t + W_hh h_(t-1) + b)
        c_t = f c_(t-1) + i g
        h_t = o tanh(c_t)

    Along the cell dc_t/dc_(t-1) = f and nothing else: where f = 1 and i = 0, what is kept and its
    gradient stay as they are for ever. The gates lie in the order i, f, o, g, so that all three
    sigmoids are one call; torch has them as i, f, g, o, which :meth:`from_torch` and
    :meth:`to_torch` take care of.

    Args:
        inputs: Values of x at one time.
        hidden: Values of h and of c.
        forget_bias: What b of f begins with: at 1 a cell keeps 0.73 of its value a step, at 0 half
            (Jozefowicz, Zaremba and Sutskever, 2015).
        seed: Of the first weights.
        dtype: Of all tensors.

    Example:
        >>> layer = LSTM(3, 8)
        >>> y = layer.forward(torch.randn(5, 2, 3))  # time, examples, values
        >>> dx = layer.backward(torch.ones_like(y))
        >>> tuple(y.shape), tuple(dx.shape), tuple(layer.grads["W_hh"].shape)
        ((5, 2, 8), (5, 2, 3), (32, 8))
    """

    gates: ClassVar[int] = 4
    names: ClassVar[tuple[str, ...]] = ("h", "c")
    order: ClassVar[tuple[int, ...]] = (0, 1, 3, 2)
    module: ClassVar[type[nn.RNNBase]] = nn.LSTM

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        forget_bias: float = 1.0,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(inputs, hidden, seed=seed, dtype=dtype)
        number = isinstance(forget_bias, int | float) and not isinstance(forget_bias, bool)
        if not number or not abs(forget_bias) <= torch.finfo(dtype).max:
            raise ConfigError(f"forget_bias must be a finite number, got {brief(forget_bias)}")
        self.parameters["b"][hidden : 2 * hidden] = forget_bias

    def begin(self, a: Tensor) -> None:
        """The sums become the gates in place."""
        self.gate = a
        self.tanh_c = torch.empty_like(self.states["c"][1:])

    def advance(self, t: int) -> None:
        """:func:`lstm_step`, in place."""
        h, c, a = self.states["h"], self.states["c"], self.gate[t]
        a.addmm_(h[t], self.parameters["W_hh"].T)
        a[:, : 3 * self.hidden].sigmoid_()
        i, f, o, g = a.chunk(4, -1)
        g.tanh_()
        torch.mul(f, c[t], out=c[t + 1]).addcmul_(i, g)
        torch.mul(o, torch.tanh(c[t + 1], out=self.tanh_c[t]), out=h[t + 1])

    def finish(self) -> None:
        """The slopes of all gates, of all times."""
        sigmoids, g = self.gate.split((3 * self.hidden, self.hidden), -1)
        self.slope = torch.cat([sigmoids * (1 - sigmoids), 1 - g * g], -1)
        o = self.gate[..., 2 * self.hidden : 3 * self.hidden]
        self.into_cell = o * (1 - self.tanh_c**2)  # dh_t/dc_t

    def back(self, t: At, dh: Tensor, *dc: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """dc_t = dc_t + dh_t o (1 - tanh^2 c_t), then each gate's part; dc_(t-1) = f dc_t."""
        i, f, _, g = self.gate[t].chunk(4, -1)
        cell = torch.addcmul(dc[0], dh, self.into_cell[t])
        da = torch.cat(
            [cell * g, cell * self.states["c"][:-1][t], dh * self.tanh_c[t], cell * i], -1
        )
        da *= self.slope[t]
        return da, (da @ self.parameters["W_hh"], f * cell)

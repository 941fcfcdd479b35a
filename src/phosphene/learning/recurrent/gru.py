"""The gated recurrent unit."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from phosphene.learning.recurrent.layer import At, Recurrent

__all__ = ["GRU", "gru_step"]


def gru_step(a: Tensor, u: Tensor, h: Tensor) -> Tensor:
    """One step from a = W_xh x + b and u = W_hh h + b_n, in the order r, z, n, and the h before.

    n = tanh(a_n + sigmoid(a_r + u_r) u_n);   z = sigmoid(a_z + u_z)
    h_t = (1 - z) n + z h_(t-1)
    """
    (a_r, a_z, a_n), (u_r, u_z, u_n) = a.chunk(3, -1), u.chunk(3, -1)
    n = (a_n + (a_r + u_r).sigmoid() * u_n).tanh()
    z = (a_z + u_z).sigmoid()
    return (1 - z) * n + z * h


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al., 2014).

        r = sigmoid(W_xr x_t + W_hr h_(t-1) + b_r)
        z = sigmoid(W_xz x_t + W_hz h_(t-1) + b_z)
        n = tanh(W_xn x_t + b_xn + r (W_hn h_(t-1) + b_hn))
        h_t = (1 - z) n + z h_(t-1)

    The gates lie in the order r, z, n, as in torch. r comes after the product with W_hn, as in
    torch and cuDNN; Cho et al. have W_hn (r h_(t-1)), which is another function. In their first
    version z and 1 - z change places, which is only a name.

    Args:
        inputs: Values of x at one time.
        hidden: Values of h.
        seed: Of the first weights.
        dtype: Of all tensors.

    Attributes:
        parameters: As of other layers, and ``b_n`` (hidden), which is b_hn above.

    Example:
        >>> layer = GRU(3, 8)
        >>> y = layer.forward(torch.randn(5, 2, 3))  # time, examples, values
        >>> dx = layer.backward(torch.ones_like(y))
        >>> tuple(y.shape), tuple(dx.shape), tuple(layer.grads["W_hh"].shape)
        ((5, 2, 8), (5, 2, 3), (24, 8))
    """

    gates: ClassVar[int] = 3
    order: ClassVar[tuple[int, ...]] = (0, 1, 2)
    module: ClassVar[type[nn.RNNBase]] = nn.GRU

    def __init__(
        self, inputs: int, hidden: int, *, seed: int = 0, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__(inputs, hidden, seed=seed, dtype=dtype)
        self.parameters["b_n"] = torch.zeros(hidden, dtype=dtype)

    def begin(self, a: Tensor) -> None:
        """The sums become the gates in place."""
        self.gate = a
        self.recalled = torch.empty_like(self.states["h"][1:])
        zero = self.parameters["b"].new_zeros(2 * self.hidden)
        self._b = torch.cat([zero, self.parameters["b_n"]])

    def advance(self, t: int) -> None:
        """:func:`gru_step`, in place."""
        h, a, size = self.states["h"], self.gate[t], self.hidden
        u = torch.addmm(self._b, h[t], self.parameters["W_hh"].T)
        gates, n = a[:, : 2 * size], a[:, 2 * size :]
        gates.add_(u[:, : 2 * size]).sigmoid_()
        r, z = gates.chunk(2, -1)
        self.recalled[t] = u[:, 2 * size :]
        n.addcmul_(r, self.recalled[t]).tanh_()
        torch.lerp(n, h[t], z, out=h[t + 1])  # n + z (h - n)

    def finish(self) -> None:
        """The slopes of all gates, of all times."""
        sigmoids, n = self.gate.split((2 * self.hidden, self.hidden), -1)
        self.slope = torch.cat([sigmoids * (1 - sigmoids), 1 - n * n], -1)

    def back(self, t: At, dh: Tensor, *dc: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Each gate's part; h_(t-1) is reached through z and through W_hh."""
        _, z, n = self.gate[t].chunk(3, -1)
        r_slope, z_slope, n_slope = self.slope[t].chunk(3, -1)
        da_n = dh * (1 - z) * n_slope
        da_z = dh * (self.states["h"][:-1][t] - n) * z_slope
        da_r = da_n * self.recalled[t] * r_slope
        da = torch.cat([da_r, da_z, da_n], -1)
        through = self.through_state(da, t) @ self.parameters["W_hh"]
        return da, (torch.addcmul(through, dh, z),)

    def through_state(self, da: Tensor, t: At = slice(None)) -> Tensor:
        """n has W_hn h times r."""
        rest, da_n = da.split((2 * self.hidden, self.hidden), -1)
        return torch.cat([rest, da_n * self.gate[t][..., : self.hidden]], -1)

    def collect(self, da: Tensor) -> Tensor:
        """Fill ``grads``; returns that of x."""
        dx = super().collect(da)
        self.grads["b_n"] = self.through_state(da)[..., 2 * self.hidden :].sum((0, 1))
        return dx

    def torch_names(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Parameters or gradients under torch's names; of gradients b_n is in ``bias_hh_l0``."""
        second = torch.cat([values["b"][: 2 * self.hidden], values["b_n"]])
        return super().torch_names(values) | {"bias_hh_l0": second}

    def _take_biases(self, first: Tensor, second: Tensor) -> None:
        size = 2 * self.hidden
        self.parameters["b"].copy_(torch.cat([first[:size] + second[:size], first[size:]]))
        self.parameters["b_n"].copy_(second[size:])

    def _second_bias(self, values: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([values["b"].new_zeros(2 * self.hidden), values["b_n"]])

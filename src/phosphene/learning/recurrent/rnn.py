"""The plain recurrent network."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self, get_args

import torch
from torch import Tensor, nn

from phosphene.core.errors import ChoiceError, ConfigError
from phosphene.learning.recurrent.layer import At, Recurrent

__all__ = ["RNN", "rnn_step"]

Activation = Literal["tanh", "relu", "sigmoid"]
_FUNCTIONS = {"tanh": torch.tanh_, "relu": torch.relu_, "sigmoid": torch.sigmoid_}
_SLOPES = {
    "tanh": lambda h: 1 - h * h,
    "relu": lambda h: (h > 0).to(h.dtype),
    "sigmoid": lambda h: h * (1 - h),
}
"""f'(a) as a function of h = f(a)."""


def rnn_step(
    x: Tensor,
    h: Tensor,
    W_xh: Tensor,
    W_hh: Tensor,
    b: Tensor,
    f: Callable[[Tensor], Tensor] = torch.tanh,
) -> Tensor:
    """h_t = f(W_xh x_t + W_hh h_(t-1) + b), of x (n, inputs) and h (n, hidden)."""
    return f(x @ W_xh.T + h @ W_hh.T + b)


class RNN(Recurrent):
    """A recurrent network (Elman, 1990).

        h_t = f(W_hh h_(t-1) + W_xh x_t + b)

    Args:
        inputs: Values of x at one time.
        hidden: Values of h.
        activation: f: ``tanh``, ``relu`` or ``sigmoid``.
        seed: Of the first weights.
        dtype: Of all tensors.

    Example:
        >>> layer = RNN(3, 8)
        >>> y = layer.forward(torch.randn(5, 2, 3))  # time, examples, values
        >>> dx = layer.backward(torch.ones_like(y))
        >>> tuple(y.shape), tuple(dx.shape), tuple(layer.grads["W_hh"].shape)
        ((5, 2, 8), (5, 2, 3), (8, 8))
    """

    module: ClassVar[type[nn.RNNBase]] = nn.RNN

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        activation: Activation = "tanh",
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if activation not in get_args(Activation):
            raise ChoiceError("activation", activation, get_args(Activation))
        super().__init__(inputs, hidden, seed=seed, dtype=dtype)
        self.activation = activation

    def begin(self, a: Tensor) -> None:
        """The sums become the states in place."""
        self._a = a

    def advance(self, t: int) -> None:
        """h_t = f(a_t + W_hh h_(t-1))."""
        h = self.states["h"]
        a = torch.addmm(self._a[t], h[t], self.parameters["W_hh"].T, out=h[t + 1])
        _FUNCTIONS[self.activation](a)

    def finish(self) -> None:
        """The slopes f'(a_t) of all times."""
        self.slopes = _SLOPES[self.activation](self.states["h"][1:])
        del self._a

    def back(self, t: At, dh: Tensor, *dc: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """da_t = dh_t f'(a_t); dh_(t-1) = W_hh^T da_t."""
        da = dh * self.slopes[t]
        return da, (da @ self.parameters["W_hh"],)

    def jacobian(self, t: int) -> Tensor:
        """dh_t/dh_(t-1) = diag(f'(a_t)) W_hh of each example (n, hidden, hidden)."""
        found: Tensor = self.slopes[t][:, :, None] * self.parameters["W_hh"]
        return found

    def _torch_layer(self) -> nn.RNNBase:
        if self.activation == "sigmoid":
            raise ConfigError("torch.nn.RNN has no activation 'sigmoid', only 'tanh' and 'relu'")
        return nn.RNN(self.inputs, self.hidden, nonlinearity=self.activation, dtype=self.dtype)

    @classmethod
    def from_torch(cls, module: nn.RNNBase, **settings: Any) -> Self:
        """The same as a ``torch.nn.RNN`` of one layer."""
        return super().from_torch(
            module, activation=getattr(module, "nonlinearity", "tanh"), **settings
        )

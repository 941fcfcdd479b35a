"""Backpropagation through time: gradients of all losses, carried from last time to first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from phosphene.learning.recurrent.layer import Recurrent
    from phosphene.learning.recurrent.rnn import RNN

__all__ = ["backprop_through_time", "gradient_by_paths", "gradients_of_each_loss", "total_gradient"]


def backprop_through_time(layer: "Recurrent", dy: Tensor, dc: Tensor | None = None) -> Tensor:
    """Gradients of L = sum_t L_t (Werbos, 1990), by one pass over time.

    Of h_t = f(a_t), a_t = W_xh x_t + W_hh h_(t-1) + b, from the last time to the first:

        dL/dh_t = dL_t/dh_t + W_hh^T dL/da_(t+1)
        dL/da_t = dL/dh_t * f'(a_t)
        dL/dW_hh = sum_t dL/da_t h_(t-1)^T,   dL/dW_xh = sum_t dL/da_t x_t^T

    Args:
        layer: After its forward pass.
        dy: dL_t/dh_t of each time (T, n, hidden).
        dc: The gradient of the last c (n, hidden), of an LSTM.

    Returns:
        dL/dx (T, n, inputs); the layer's ``grads`` and ``state_grads`` are filled.

    Raises:
        DataError: dy has another shape than what forward gave.
    """
    layer.check_gradient(dy, dc)
    d = [torch.zeros_like(dy[0]) for _ in layer.names]
    if dc is not None:
        d[layer.names.index("c")] += dc
    da = dy.new_empty(*dy.shape[:2], layer.gates * layer.hidden)
    for t in range(len(dy) - 1, -1, -1):
        da[t], d = layer.back(t, d[0] + dy[t], *d[1:])  # type: ignore[assignment]
    dx = layer.collect(da)
    layer.state_grads = dict(zip(layer.names, d, strict=True))
    return dx


def gradients_of_each_loss(layer: "Recurrent", dy: Tensor, name: str = "W_hh") -> list[Tensor]:
    """dL_t/dW for t = 1 .. T, each by a pass of its own."""
    found = []
    for t in range(len(dy)):
        only = torch.zeros_like(dy)
        only[t] = dy[t]
        backprop_through_time(layer, only)
        found.append(layer.grads[name])
    return found


def total_gradient(of_each: Sequence[Tensor]) -> Tensor:
    """dL/dW = sum_t dL_t/dW: the weights are the same at all times, and L is a sum over them."""
    return torch.stack(list(of_each)).sum(0)


def gradient_by_paths(layer: "RNN", dy: Tensor, t: int, kappa: int | None = None) -> Tensor:
    """dL_t/dW_hh as the sum over all earlier times k, as a proof writes it.

        dL_t/dW = sum_(k <= t) dL_t/dh_t (prod_(k < j <= t) dh_j/dh_(j-1)) d+h_k/dW

    dh_j/dh_(j-1) = diag(f'(a_j)) W_hh, and d+ leaves h_(k-1) as it is.

    Args:
        layer: After its forward pass.
        dy: dL_t/dh_t of each time (T, n, hidden).
        t: Which loss, from 0.
        kappa: Of the times k only the last so many; None for all.
    """
    total = torch.zeros_like(layer.parameters["W_hh"])
    row = dy[t][:, None]  # dL_t/dh_k (n, 1, hidden), from k = t on
    for k in range(t, max(t - (kappa or t + 1), -1), -1):
        through = row[:, 0] * layer.slopes[k]  # dL_t/da_k
        total += through.T @ layer.states["h"][k]
        row = row @ layer.jacobian(k)
    return total

"""Backpropagation through time that is cut short, in both forms that go by that name."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError, brief

if TYPE_CHECKING:
    from phosphene.learning.recurrent.layer import Recurrent

__all__ = ["chunked", "windowed"]


def windowed(layer: "Recurrent", dy: Tensor, kappa: int) -> Tensor:
    """Each loss goes back over its own last kappa times (Williams and Peng, 1990: BPTT(kappa)).

        dL_t/dW ~ sum_(t - kappa < k <= t) dL_t/dh_t (prod_(k < j <= t) dh_j/dh_(j-1)) d+h_k/dW

    All losses go back together, one step each in a round: kappa rounds over whole sequences.

    Args:
        layer: After its forward pass.
        dy: dL_t/dh_t of each time (T, n, hidden).
        kappa: Times that a loss reaches, its own included; T or more is the full gradient.

    Returns:
        The gradient of x; the layer's ``grads`` are filled.

    Raises:
        ConfigError: kappa is not a whole number from 1 on.
        DataError: dy has another shape than what forward gave.
    """
    _check("kappa", kappa, 1)
    layer.check_gradient(dy)
    time, n, _ = dy.shape
    da = dy.new_zeros(time, n, layer.gates * layer.hidden)
    d: tuple[Tensor, ...] = (dy, *(torch.zeros_like(dy) for _ in layer.names[1:]))
    for round_ in range(min(kappa, time)):  # the loss of time s is now at time s - round_
        left = time - round_
        part, d = layer.back(slice(0, left), *d)
        da[:left] += part
        d = tuple(one[1:] for one in d)  # that of the first time has reached the beginning
    return layer.collect(da)


def chunked(layer: "Recurrent", dy: Tensor, k1: int, k2: int) -> Tensor:
    """Every k1 times, the losses of the last k1 go back over the last k2 (BPTT(k2; k1)).

    A backward pass ends k2 - k1 times before its losses begin, also the last one, which may have
    fewer losses.

    k1 = k2 is what a training loop does that cuts a sequence into chunks and detaches the state
    between them: the first loss of a chunk reaches one time, the last all k2. k1 = 1 is
    :func:`windowed` with kappa = k2.

    Args:
        layer: After its forward pass.
        dy: dL_t/dh_t of each time (T, n, hidden).
        k1: Times from one backward pass to the next.
        k2: Times that a backward pass goes back, k1 or more.

    Returns:
        The gradient of x; the layer's ``grads`` are filled.

    Raises:
        ConfigError: k1 or k2 is not a whole number from 1 on, or k2 is less than k1.
        DataError: dy has another shape than what forward gave.
    """
    _check("k1", k1, 1)
    _check("k2", k2, k1)
    layer.check_gradient(dy)
    time, n, _ = dy.shape
    da = dy.new_zeros(time, n, layer.gates * layer.hidden)
    for begin in range(0, time, k1):
        end = min(begin + k1, time)
        d: tuple[Tensor, ...] = tuple(torch.zeros_like(dy[0]) for _ in layer.names)
        for t in range(end - 1, max(begin + k1 - k2, 0) - 1, -1):
            dh = d[0] + dy[t] if t >= begin else d[0]
            part, d = layer.back(t, dh, *d[1:])
            da[t] += part
    return layer.collect(da)


def _check(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} must be a whole number, at least {least}, got {brief(value)}")

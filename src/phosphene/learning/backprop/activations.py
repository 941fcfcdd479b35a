"""Activation functions, their derivatives, and where they saturate.

A unit saturates where the derivative of its activation is nearly 0: what reaches it from above is
then multiplied by nearly 0, and the weights below it learn nothing.

    =============  ==================================  ===========================================
    name           f(x)                                f'(x)
    =============  ==================================  ===========================================
    ``identity``   x                                   1
    ``sigmoid``    s(x) = 1 / (1 + exp -x)             s(x) s(-x), at most 1/4
    ``tanh``       tanh x                              1 - tanh^2 x, at most 1
    ``relu``       max(x, 0)                           [x > 0]
    ``leaky-relu`` x if x > 0, else a x                1 if x > 0, else a
    ``elu``        x if x > 0, else a (exp x - 1)      1 if x > 0, else a exp x
    ``gelu``       x P(x), P the normal's integral     P(x) + x p(x), p the normal's density
    ``gelu-tanh``  x (1 + tanh u(x)) / 2               (1 + tanh u)/2 + x (1 - tanh^2 u) u' / 2
    ``silu``       x s(x)                              s(x) (1 + x s(-x))
    ``softplus``   log(1 + exp x)                      s(x)
    ``softmax``    exp x_i / sum_k exp x_k             y_i ([i = j] - y_j), a matrix
    =============  ==================================  ===========================================

with u(x) = sqrt(2 / pi) (x + 0.044715 x^3). At 0, where some have no derivative, f' is what
``torch`` takes: that from the left.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.ranges import Within

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "Activation",
    "GELUTanh",
    "Identity",
    "LeakyReLU",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "activation",
    "saturation",
]


class Activation(ABC):
    """A function f of one number, applied to each entry of a tensor.

    Args:
        name: What the user types.
        pointwise: Whether an entry of the value depends on that entry of x alone.
    """

    name: str
    pointwise: bool = True

    @abstractmethod
    def value(self, x: Tensor) -> Tensor:
        """f(x), of the shape of x."""

    @abstractmethod
    def derivative(self, x: Tensor) -> Tensor:
        """f'(x), of the shape of x."""

    def backward(self, x: Tensor, delta: Tensor) -> Tensor:
        """Turn the gradient with respect to f(x) into that with respect to x: delta f'(x).

        Args:
            x: What the activation was given.
            delta: The gradient with respect to its value, of the same shape.
        """
        return delta * self.derivative(x)

    def __call__(self, x: Tensor) -> Tensor:
        """f(x)."""
        return self.value(x)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Identity(Activation):
    """f(x) = x."""

    name = "identity"

    def value(self, x: Tensor) -> Tensor:
        """x."""
        return x

    def derivative(self, x: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(x)


class Sigmoid(Activation):
    """s(x) = 1 / (1 + exp -x); s(-x) = 1 - s(x). Saturates on both sides.

    Example:
        >>> Sigmoid().derivative(torch.tensor([0.0, 10.0]))
        tensor([2.5000e-01, 4.5396e-05])
    """

    name = "sigmoid"

    def value(self, x: Tensor) -> Tensor:
        """1 / (1 + exp -x)."""
        return torch.sigmoid(x)

    def derivative(self, x: Tensor) -> Tensor:
        """s(x) s(-x): of 1 - s(x) nothing would be left where s(x) rounds to 1."""
        return torch.sigmoid(x) * torch.sigmoid(-x)


class Tanh(Activation):
    """tanh x = 2 s(2 x) - 1. Saturates on both sides; its mean over symmetric input is 0."""

    name = "tanh"

    def value(self, x: Tensor) -> Tensor:
        """Tanh x."""
        return torch.tanh(x)

    def derivative(self, x: Tensor) -> Tensor:
        """1 - tanh^2 x."""
        return 1 - torch.tanh(x).square()


class ReLU(Activation):
    """max(x, 0) (Nair and Hinton, 2010): never saturates to the right, wholly to the left."""

    name = "relu"

    def value(self, x: Tensor) -> Tensor:
        """max(x, 0)."""
        return x.clamp(min=0)

    def derivative(self, x: Tensor) -> Tensor:
        """1 where x > 0, else 0."""
        return (x > 0).to(x.dtype)


class LeakyReLU(Activation):
    """x, or a x where x <= 0 (Maas, Hannun and Ng, 2013): no unit dies.

    Args:
        slope: a, in [0, 1].

    Example:
        >>> LeakyReLU(0.1)(torch.tensor([-2.0, 3.0]))
        tensor([-0.2000,  3.0000])
    """

    name = "leaky-relu"

    def __init__(self, slope: float = 0.01) -> None:
        Within(0, 1).check("slope", slope)
        self.slope = slope

    def value(self, x: Tensor) -> Tensor:
        """x where x > 0, else a x."""
        return torch.where(x > 0, x, self.slope * x)

    def derivative(self, x: Tensor) -> Tensor:
        """1 where x > 0, else a."""
        return torch.where(x > 0, torch.ones_like(x), self.slope)

    def __repr__(self) -> str:
        return f"LeakyReLU({self.slope:g})"


class ELU(Activation):
    """x, or a (exp x - 1) where x <= 0 (Clevert, Unterthiner and Hochreiter, 2016).

    Args:
        alpha: a, above 0; the value at minus infinity is -a.
    """

    name = "elu"

    def __init__(self, alpha: float = 1.0) -> None:
        Within(0, above=True).check("alpha", alpha)
        self.alpha = alpha

    def value(self, x: Tensor) -> Tensor:
        """x where x > 0, else a (exp x - 1)."""
        return torch.where(x > 0, x, self.alpha * torch.expm1(x.clamp(max=0)))

    def derivative(self, x: Tensor) -> Tensor:
        """1 where x > 0, else a exp x."""
        return torch.where(x > 0, 1.0, self.alpha * torch.exp(x.clamp(max=0)))

    def __repr__(self) -> str:
        return f"ELU({self.alpha:g})"


class GELU(Activation):
    """x P(x), P the integral of the standard normal (Hendrycks and Gimpel, 2016)."""

    name = "gelu"

    def value(self, x: Tensor) -> Tensor:
        """X P(x)."""
        return x * _normal_integral(x)

    def derivative(self, x: Tensor) -> Tensor:
        """P(x) + x p(x); it dips to -0.13 at x = -sqrt 2."""
        density = torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)
        return _normal_integral(x) + x * density


class GELUTanh(Activation):
    """The approximation x (1 + tanh u) / 2, u = sqrt(2/pi) (x + 0.044715 x^3), off by < 5e-4."""

    name = "gelu-tanh"

    def value(self, x: Tensor) -> Tensor:
        """X (1 + tanh u) / 2."""
        return x * (1 + torch.tanh(self._inner(x))) / 2

    def derivative(self, x: Tensor) -> Tensor:
        """(1 + tanh u) / 2 + x (1 - tanh^2 u) u' / 2."""
        t = torch.tanh(self._inner(x))
        slope = _GELU_SCALE * (1 + 3 * _GELU_CUBE * x.square())
        return (1 + t) / 2 + x * (1 - t.square()) * slope / 2

    @staticmethod
    def _inner(x: Tensor) -> Tensor:
        return _GELU_SCALE * (x + _GELU_CUBE * x**3)


class SiLU(Activation):
    """x s(x), also called swish (Elfwing, Uchibe and Doya, 2018)."""

    name = "silu"

    def value(self, x: Tensor) -> Tensor:
        """X s(x)."""
        return x * torch.sigmoid(x)

    def derivative(self, x: Tensor) -> Tensor:
        """s(x) (1 + x s(-x))."""
        return torch.sigmoid(x) * (1 + x * torch.sigmoid(-x))


class Softplus(Activation):
    """log(1 + exp x), a smooth max(x, 0), at most log 2 above it.

    Example:
        >>> Softplus()(torch.tensor([-1e4, 0.0, 1e4]))
        tensor([0.0000e+00, 6.9315e-01, 1.0000e+04])
    """

    name = "softplus"

    def value(self, x: Tensor) -> Tensor:
        """max(x, 0) + log(1 + exp -|x|): nothing overflows."""
        return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))

    def derivative(self, x: Tensor) -> Tensor:
        """s(x)."""
        return torch.sigmoid(x)


class Softmax(Activation):
    """y_i = exp x_i / sum_k exp x_k over the last axis, which the entries share.

    Its derivative is a matrix for each row, and ``backward`` takes the product with it without
    writing it down: (delta - <delta, y>) y.

    Example:
        >>> Softmax()(torch.tensor([[0.0, 0.0], [1000.0, 0.0]]))
        tensor([[0.5000, 0.5000],
                [1.0000, 0.0000]])
    """

    name = "softmax"
    pointwise = False

    def value(self, x: Tensor) -> Tensor:
        """exp(x - max x), scaled to sum 1."""
        y = torch.exp(x - x.amax(-1, keepdim=True))
        return y / y.sum(-1, keepdim=True)

    def derivative(self, x: Tensor) -> Tensor:
        """The Jacobians y_i ([i = j] - y_j): (..., d, d) of x (..., d)."""
        y = self.value(x)
        return y.diag_embed() - y[..., :, None] * y[..., None, :]

    def backward(self, x: Tensor, delta: Tensor) -> Tensor:
        """(delta - <delta, y>) y."""
        y = self.value(x)
        return (delta - (delta * y).sum(-1, keepdim=True)) * y


_GELU_SCALE, _GELU_CUBE = math.sqrt(2 / math.pi), 0.044715


def _normal_integral(x: Tensor) -> Tensor:
    """P(x) = erfc(-x / sqrt 2) / 2, which keeps its digits in the left tail."""
    return torch.erfc(-x / math.sqrt(2)) / 2


ACTIVATIONS: dict[str, Activation] = {
    f.name: f
    for f in (
        Identity(),
        Sigmoid(),
        Tanh(),
        ReLU(),
        LeakyReLU(),
        ELU(),
        GELU(),
        GELUTanh(),
        SiLU(),
        Softplus(),
        Softmax(),
    )
}
"""Every activation by its name, with its default settings."""


def activation(name: str) -> Activation:
    """The activation of that name.

    Raises:
        UnknownNameError: There is none; the nearest name is offered.

    Example:
        >>> activation("leaky-relu")
        LeakyReLU(0.01)
    """
    if name not in ACTIVATIONS:
        raise UnknownNameError("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def saturation(f: Activation, x: Tensor, *, below: float = 0.01) -> Tensor:
    """The part of the units that are saturated: |f'(x)| < below.

    Args:
        f: An activation of single numbers.
        x: What the units are given (n, ...).
        below: What counts as no derivative.

    Returns:
        A number between 0 and 1 for each unit (...): the part of the n examples. A ReLU at 1 is
        dead: none of the examples moves its weights.

    Raises:
        ConfigError: ``below`` is not above 0, there are no examples, or the entries share f.

    Example:
        >>> x = torch.tensor([[-9.0, 0.0], [9.0, 0.0]])
        >>> saturation(ACTIVATIONS["sigmoid"], x), saturation(ACTIVATIONS["relu"], x)
        (tensor([1., 0.]), tensor([0.5000, 1.0000]))
    """
    Within(0, above=True).check("below", below)
    if not f.pointwise:
        raise ConfigError(
            f"saturation is told of one unit at a time, and the units of {f} share it"
        )
    if x.ndim == 0 or len(x) == 0:
        raise ConfigError(f"saturation needs examples (n, ...), got shape {tuple(x.shape)}")
    return (f.derivative(x).abs() < below).to(x.dtype).mean(0)

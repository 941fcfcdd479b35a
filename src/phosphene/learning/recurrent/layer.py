"""What recurrent layers share: their loop over time, and the way from and to torch's weights."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from phosphene.core.errors import ConfigError, DataError
from phosphene.core.ranges import COUNT
from phosphene.core.rng import check_seed, generator
from phosphene.learning.backprop.layer import Layer
from phosphene.learning.recurrent.bptt import backprop_through_time

__all__ = ["Recurrent"]

At = int | slice
"""One time, or several at once."""


class Recurrent(Layer, checked=False):
    """A layer that goes from one time to the next, with its backward pass written out.

    Sequences are time-major, (T, n, d): time, examples, values, as in ``torch.nn``. A subclass says
    how a step goes (:meth:`advance`), how its gradient comes back (:meth:`back`), and how its
    weights lie in torch's. Nothing here uses autograd.

    Args:
        inputs: Values of x at one time.
        hidden: Values of h.
        seed: Of the first weights, uniform on [-1, 1] / sqrt(hidden); biases are 0.
        dtype: Of all tensors.

    Attributes:
        parameters: ``W_xh`` (gates hidden, inputs), ``W_hh`` (gates hidden, hidden), ``b``.
        grads: The gradient of each, of the last backward pass.
        states: ``h`` (and ``c``), (T + 1, n, hidden): the first is where it began.
        state_grads: The gradient of where each state began.
    """

    gates: ClassVar[int] = 1
    names: ClassVar[tuple[str, ...]] = ("h",)
    order: ClassVar[tuple[int, ...]] = (0,)
    """Where torch has each of our gates; each order here is its own inverse."""
    module: ClassVar[type[nn.RNNBase]]

    def __init__(
        self, inputs: int, hidden: int, *, seed: int = 0, dtype: torch.dtype = torch.float32
    ) -> None:
        for name, value in (("inputs", inputs), ("hidden", hidden)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise ConfigError(f"{name} must be a whole number, got {value!r}")
            COUNT.check(name, value)
        g = generator(check_seed(seed))
        super().__init__()
        self.inputs, self.hidden = inputs, hidden
        rows = self.gates * hidden

        def drawn(*shape: int) -> Tensor:
            unit = torch.rand(shape, generator=g, dtype=torch.float64)
            weights: Tensor = (2 * unit - 1) / hidden**0.5
            return weights.to(dtype)

        self.parameters = {
            "W_xh": drawn(rows, inputs),
            "W_hh": drawn(rows, hidden),
            "b": torch.zeros(rows, dtype=dtype),
        }
        self.states: dict[str, Tensor] = {}
        self.state_grads: dict[str, Tensor] = {}
        self.x: Tensor | None = None

    @property
    def dtype(self) -> torch.dtype:
        """Of all tensors."""
        return self.parameters["W_hh"].dtype

    # -- forward and backward ----------------------------------------------------------------

    @torch.no_grad()
    def forward(self, x: Tensor, h0: Tensor | None = None, c0: Tensor | None = None) -> Tensor:
        """Run over a sequence, and keep what the backward pass needs.

        Args:
            x: (T, n, inputs).
            h0: Where h begins (n, hidden); 0 if it is not given.
            c0: The same of c, which only an LSTM has.

        Returns:
            h of each time (T, n, hidden).

        Raises:
            DataError: A tensor has another shape or type.
        """
        self._check("x", x, (None, None, self.inputs))
        time, n, _ = x.shape
        if c0 is not None and "c" not in self.names:
            raise DataError(f"{type(self).__name__} has no cell c to begin with")
        self.x, self.grads, self.state_grads = x, {}, {}
        for name, first in (("h", h0), ("c", c0)):
            if name in self.names:
                self.states[name] = x.new_zeros(time + 1, n, self.hidden)
                if first is not None:
                    self._check(f"{name}0", first, (n, self.hidden))
                    self.states[name][0] = first
        own = self.parameters
        a = x @ own["W_xh"].T + own["b"]  # all times at once
        self.begin(a)
        for t in range(time):
            self.advance(t)
        self.finish()
        return self.states["h"][1:]

    def __call__(self, x: Tensor, h0: Tensor | None = None, c0: Tensor | None = None) -> Tensor:
        """The same as ``forward``."""
        return self.forward(x, h0, c0)

    @torch.no_grad()
    def backward(self, dy: Tensor, dc: Tensor | None = None) -> Tensor:
        """Gradients by backpropagation through time, of the pass that :meth:`forward` kept.

        Args:
            dy: The loss's gradient of what forward gave (T, n, hidden).
            dc: Its gradient of the last c (n, hidden), of an LSTM.

        Returns:
            The gradient of x (T, n, inputs); those of the weights are then in ``grads``, those of
            where the states began in ``state_grads``.
        """
        return backprop_through_time(self, dy, dc)

    def begin(self, a: Tensor) -> None:
        """Make room for what a pass keeps; a (T, n, gates hidden) has W_xh x + b."""
        raise NotImplementedError

    def advance(self, t: int) -> None:
        """Compute the states of time t, at index t + 1, from those at index t."""
        raise NotImplementedError

    def finish(self) -> None:
        """What can be computed of all times at once."""

    def back(self, t: At, dh: Tensor, *dc: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """From gradients of the states of time t to those of the sums and of the states before.

        Args:
            t: One time, or a slice: then all tensors have one more axis in front.
            dh: dL/dh_t (n, hidden), with all that later times add to it.
            dc: dL/dc_t, of an LSTM.

        Returns:
            dL/da_t (n, gates hidden), a the sums that the gates are functions of; and dL/dh_(t-1)
            (and dL/dc_(t-1)) through time t.
        """
        raise NotImplementedError

    def collect(self, da: Tensor) -> Tensor:
        """Fill ``grads`` from the gradients of all sums (T, n, gates hidden); returns that of x."""
        assert self.x is not None
        flat, through = da.flatten(0, 1), self.through_state(da).flatten(0, 1)
        self.grads = {
            "W_xh": flat.T @ self.x.flatten(0, 1),
            "W_hh": through.T @ self.states["h"][:-1].flatten(0, 1),
            "b": flat.sum(0),
        }
        return da @ self.parameters["W_xh"]

    def through_state(self, da: Tensor, t: At = slice(None)) -> Tensor:
        """The gradient of W_hh h, given that of the sums."""
        return da

    def check_gradient(self, dy: Tensor, dc: Tensor | None = None) -> None:
        """Refuse gradients that are not of the last forward pass."""
        if self.x is None:
            raise DataError("backward needs a forward pass before it")
        self._check("dy", dy, tuple(self.states["h"][1:].shape))
        if dc is not None:
            if "c" not in self.names:
                raise DataError(f"{type(self).__name__} has no cell c that a gradient could be of")
            self._check("dc", dc, tuple(self.states["c"][0].shape))

    def _check(self, name: str, value: Tensor, shape: tuple[int | None, ...]) -> None:
        fits = value.ndim == len(shape) and all(
            s in (None, k) for s, k in zip(shape, value.shape, strict=True)
        )
        if not fits:
            told = ", ".join("any" if s is None else str(s) for s in shape)
            raise DataError(f"{name} must have the shape ({told}), got {tuple(value.shape)}")
        if value.dtype != self.dtype:
            raise DataError(f"{name} must be of {self.dtype}, as the weights, got {value.dtype}")

    # -- torch's weights -----------------------------------------------------------------------

    def to_torch(self) -> nn.RNNBase:
        """The layer of ``torch.nn`` that computes the same."""
        made = self._torch_layer()
        own = self.parameters
        theirs = self.torch_names(own) | {"bias_hh_l0": self._second_bias(own)}
        with torch.no_grad():
            for name, p in made.named_parameters():
                p.copy_(theirs[name])
        return made

    def _torch_layer(self) -> nn.RNNBase:
        kind: Any = self.module
        made: nn.RNNBase = kind(self.inputs, self.hidden, dtype=self.dtype)
        return made

    @classmethod
    def from_torch(cls, module: nn.RNNBase, **settings: Any) -> Self:
        """The same as a layer of ``torch.nn``: one layer, one direction; its two biases are added.

        Raises:
            ConfigError: It is of another kind, has several layers, directions or a projection.
        """
        if not isinstance(module, cls.module):
            name = f"torch.nn.{cls.module.__name__}"
            raise ConfigError(
                f"{cls.__name__} takes weights of {name}, got {type(module).__name__}"
            )
        for name, plain in (("num_layers", 1), ("bidirectional", False), ("proj_size", 0)):
            if getattr(module, name) != plain:
                raise ConfigError(f"{name} must be {plain}, got {getattr(module, name)}")
        theirs = {name: p.detach() for name, p in module.named_parameters()}
        kind = theirs["weight_ih_l0"].dtype
        made = cls(module.input_size, module.hidden_size, dtype=kind, **settings)
        none = torch.zeros_like(made.parameters["b"])
        for own, name in (("W_xh", "weight_ih_l0"), ("W_hh", "weight_hh_l0")):
            made.parameters[own].copy_(made._ordered(theirs[name]))
        biases = (theirs.get(name, none) for name in ("bias_ih_l0", "bias_hh_l0"))
        made._take_biases(*map(made._ordered, biases))
        return made

    def torch_names(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Parameters or gradients under torch's names and in its order of gates.

        Of gradients ``bias_hh_l0`` is the same as ``bias_ih_l0``, where both stand in one sum.
        """
        return {
            "weight_ih_l0": self._ordered(values["W_xh"]),
            "weight_hh_l0": self._ordered(values["W_hh"]),
            "bias_ih_l0": self._ordered(values["b"]),
            "bias_hh_l0": self._ordered(values["b"]),
        }

    def _ordered(self, value: Tensor) -> Tensor:
        parts = value.detach().chunk(self.gates)
        return torch.cat([parts[k] for k in self.order])

    def _take_biases(self, first: Tensor, second: Tensor) -> None:
        self.parameters["b"].copy_(first + second)

    def _second_bias(self, values: Mapping[str, Tensor]) -> Tensor:
        return torch.zeros_like(values["b"])

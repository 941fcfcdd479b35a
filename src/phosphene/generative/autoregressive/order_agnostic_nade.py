"""Order-agnostic NADE: one deep network for all orders, and ensembles of orders."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.settings import setting
from phosphene.generative.autoregressive.autoregressive import Stepper
from phosphene.generative.autoregressive.order_agnostic import OrderAgnostic, RowStepper
from phosphene.generative.autoregressive.settings import InputSettings
from phosphene.nn.activations import activation_named
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.mlp import check_widths
from phosphene.nn.noise import Uniform, dropout
from phosphene.nn.scalar_distributions import Categorical
from phosphene.nn.settings import ActivationSettings, DropoutSettings

__all__ = ["OrderAgnosticNADE"]

_ACTIVATIONS = 1 << 21
"""First-layer activations that are held at once when all conditionals of an order are computed."""


class OrderAgnosticNADE(ActivationSettings, DropoutSettings, InputSettings, OrderAgnostic):
    """h_1 = f(W [x m, m] + b), h_l = f(W_l h_{l-1} + b_l), p(x_o | known) = g(c_o + V_o h_L).

    Deep NADE by Uria, Murray and Larochelle (2014): m marks the known values, and one network
    predicts any unknown value from any known ones, so the likelihood of every order and the
    completion of every mask come from one training. See
    :class:`~phosphene.generative.autoregressive.order_agnostic.OrderAgnostic` for the loss and the
    mixture of orders.

    In a given order the first layer is kept by running activations, as NADE's; the deeper layers
    are computed for each value.

    Args:
        event: What one example is: codes, or reals.
        context: A label or a vector, or nothing; it adds to the first and the last biases.

    Raises:
        ConfigError: A setting is out of range.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = OrderAgnosticNADE(Event.binary(4), hidden=(8, 8), ensemble=2)
        >>> mask = torch.tensor([[True, False, False, True]])
        >>> model.inpaint(torch.ones(3, 4), mask).shape
        torch.Size([3, 4])
    """

    hidden: Sequence[int] = setting(
        default=(500, 500), help="Widths of the hidden layers, one at least."
    )

    def setup(self) -> None:
        """Make the parts."""
        if self.inputs == "one-hot" and self.event.levels is None:
            raise ConfigError("inputs 'one-hot' are for codes; this event holds real numbers")
        super().setup()
        built = self.conditional
        check_widths(self.hidden)
        if not self.hidden:
            raise ConfigError("hidden must hold one width or more, got ()")
        categorical = isinstance(built, Categorical)
        self.one_hot = self.inputs == "one-hot" or (self.inputs == "auto" and categorical)
        self.activation = activation_named(self.activation_name)
        shown = self.event.levels if self.one_hot and self.event.levels is not None else 1
        dimensions = self.event.dimensions
        # The mask is the last of what is shown of each dimension.
        self.W = nn.Parameter(torch.empty(dimensions, shown + 1, self.hidden[0]))
        self.b = nn.Parameter(torch.zeros(self.hidden[0]))
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(self.hidden))
        self.V = nn.Parameter(torch.empty(dimensions, built.size, self.hidden[-1]))
        self.c = nn.Parameter(torch.zeros(dimensions, built.size))
        nn.init.uniform_(self.W, -1.0 / math.sqrt(dimensions), 1.0 / math.sqrt(dimensions))
        nn.init.uniform_(
            self.V, -1.0 / math.sqrt(self.hidden[-1]), 1.0 / math.sqrt(self.hidden[-1])
        )
        self.hidden_condition = ConditionBias(self.context, self.hidden[0])
        self.output_condition = ConditionBias(self.context, dimensions * built.size)

    def start_at(self, start: Tensor) -> None:
        """Start at the marginals."""
        self.c.copy_(start)

    # -- the network --------------------------------------------------------------------------

    def predict(
        self,
        x: Tensor,
        known: Tensor,
        context: Context | None = None,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Parameters (n, D, size) of all dimensions given the known ones."""
        a = self._first(x, known, context)
        h = self._deeper(a, uniform)
        params = F.linear(h, self.V.flatten(0, 1)).unflatten(1, self.c.shape)
        out: Tensor = params + self._output_bias(len(x), context)
        return out

    def _shown(self, x: Tensor) -> Tensor:
        """What the network sees of known values: (n, D, features + 1), the mask last."""
        if self.one_hot:
            assert self.event.levels is not None
            values = F.one_hot(x.long(), self.event.levels).to(self.dtype)
        else:
            values = self.conditional.normalize(x, self.dtype)[..., None]
        return F.pad(values, (0, 1), value=1.0)

    def _first(self, x: Tensor, known: Tensor, context: Context | None) -> Tensor:
        """The activations of the first layer (n, H)."""
        shown = (self._shown(x) * known[..., None]).flatten(1)
        given = self.hidden_condition(context)
        a = torch.addmm(self.b, shown, self.W.flatten(0, 1))
        return a if given is None else a + given

    def _deeper(self, a: Tensor, uniform: Uniform | None = None) -> Tensor:
        """The last hidden layer, from the activations of the first."""
        h = dropout(self.activation(a), self.dropout, uniform)
        for layer in self.layers:
            h = dropout(self.activation(layer(h)), self.dropout, uniform)
        return h

    def _output_bias(self, n: int, context: Context | None) -> Tensor:
        given = self.output_condition(context)
        return self.c if given is None else self.c + given.view(n, *self.c.shape)

    # -- the chain rule in one order ----------------------------------------------------------

    def conditionals(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        member: int = 0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Parameters (n, D, size) of all conditionals in one order, by running activations."""
        flat, order = x.flatten(1), self.order_of(member)
        shown = self._shown(flat)
        a = self._first(flat, torch.zeros_like(flat, dtype=torch.bool), context)
        parts = []
        for some in order.split(max(1, _ACTIVATIONS // max(a.numel(), 1))):
            added = torch.bmm(shown[:, some].transpose(0, 1), self.W[some])
            sums = added.cumsum(0)
            h = self._deeper((a + sums - added).flatten(0, 1)).unflatten(0, (len(some), -1))
            parts.append(torch.bmm(h, self.V[some].mT))
            a = a + sums[-1]
        params = torch.cat(parts).transpose(0, 1)[:, order.argsort()]
        return params + self._output_bias(len(x), context)

    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        """The first layer by running activations, the deeper ones computed for each value."""
        order = self.order_of(member)
        nothing = torch.zeros(n, self.event.dimensions, dtype=self.dtype, device=self.device)
        a = self._first(nothing, nothing.bool(), context)
        bias = self._output_bias(n, context)

        def step(k: int, x: Tensor) -> Tensor:
            nonlocal a
            if k > 0:
                last = order[k - 1]
                a = a + self._shown(x)[:, last] @ self.W[last]
            i = order[k]
            return self._deeper(a) @ self.V[i].T + bias[..., i, :]

        return step

    def row_stepper(self, x: Tensor, known: Tensor, context: Context | None = None) -> RowStepper:
        """As the stepper, with an order for each row."""
        a = self._first(x, known, context)
        bias = self._output_bias(len(x), context).expand(len(x), *self.c.shape)
        rows = torch.arange(len(x), device=x.device)
        last: Tensor | None = None

        def step(dimension: Tensor, x: Tensor) -> Tensor:
            nonlocal a, last
            if last is not None:
                shown = self._shown(x)[rows, last]
                a = a + torch.einsum("ne,neh->nh", shown, self.W[last])
            last = dimension
            h = self._deeper(a)
            return torch.einsum("nh,nsh->ns", h, self.V[dimension]) + bias[rows, dimension]

        return step

"""Masked layers: one network gives all conditionals at once, and then one after another."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError
from phosphene.nn.activations import IN_PLACE, activation_named
from phosphene.nn.cached import Snapshot
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.mlp import check_widths
from phosphene.nn.noise import Uniform, check_probability, dropout
from phosphene.nn.sorted_mlp import IncrementalMLP, SortedMLP
from phosphene.nn.staircase import Staircase, masked_linear

__all__ = ["IncrementalMLP", "MaskedLinear", "MaskedMLP", "SortedMLP"]


class MaskedLinear(nn.Module):
    """y = (W * M) x + b, the mask M given with each call.

    Args:
        inputs: Size of x.
        outputs: Size of y.
        bias: Whether b is there.

    Example:
        >>> layer = MaskedLinear(2, 1)
        >>> y = layer(torch.tensor([[5.0, 7.0]]), torch.tensor([[False, False]]))
        >>> torch.equal(y[0], layer.bias)
        True
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        like = nn.Linear(inputs, outputs, bias=bias)
        self.weight = like.weight
        self.bias = like.bias

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(n, inputs) to (n, outputs); the mask is boolean, (outputs, inputs)."""
        return F.linear(x, self.masked(mask), self.bias)

    def masked(self, mask: Tensor) -> Tensor:
        """W * M."""
        return torch.where(mask, self.weight, 0.0)


class MaskedMLP(nn.Module):
    """A network whose output for a dimension sees only those before it, by Germain et al. (2015).

    A hidden unit of degree m sees the first m values in the order. With r(d) the rank 0..D-1 of
    dimension d, a weight is kept

    - from input d to a unit of degree m where r(d) < m,
    - from a unit of degree m' to one of degree m where m' <= m,
    - from a unit of degree m to output d where m <= r(d),
    - from input d' straight to output d where r(d') < r(d).

    (In the paper's ranks, which start at 1, the last but one is the strict d > m.) Degrees lie in
    1..D-1; a unit of degree D could reach no output. With D = 1 there is nothing to see: all units
    have degree 0 and are functions of the condition alone.

    Several members share the weights and differ in order or degrees. With one mask for each order
    the degrees are spread evenly; with more they are drawn, each layer's from the smallest degree
    of the layer before, so that no unit is left without inputs. Orders and degrees are buffers: a
    loaded network has those it was trained with.

    Args:
        dimensions: D.
        hidden: Widths of the hidden layers; empty for none.
        outputs: Numbers for each dimension, S.
        features: Numbers by which the value of a dimension enters, F.
        orders: The dimensions in the order of each kind of member (k, D); None for raster order.
        masks: Draws of the degrees for each order; there are k * masks members, those of one
            order next to each other.
        activation: Its name, see ``phosphene.nn.activations``.
        dropout: Probability that a hidden unit is dropped where noise is given.
        direct: Also connect inputs to outputs.
        residual: Add each hidden layer's input to its output; the widths must agree, and so do
            the degrees then.
        context: What is conditioned on; a linear map of its embedding is added to every layer.
        generator: Draws the degrees; None for torch's global one.

    Raises:
        ConfigError: Widths below 1, residual layers of different widths, masks below 1.

    Example:
        >>> net = MaskedMLP(3, (8,), 2)
        >>> net(torch.zeros(5, 3)).shape
        torch.Size([5, 3, 2])
        >>> net.degrees_of(0)[0].tolist()
        [1, 1, 1, 1, 2, 2, 2, 2]
    """

    orders: Tensor

    def __init__(
        self,
        dimensions: int,
        hidden: Sequence[int],
        outputs: int = 1,
        *,
        features: int = 1,
        orders: Tensor | None = None,
        masks: int = 1,
        activation: str = "relu",
        dropout: float = 0.0,
        direct: bool = False,
        residual: bool = False,
        context: ContextSpec | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_widths(hidden)
        if masks < 1:
            raise ConfigError(f"masks must be 1 or more, got {masks}")
        if residual and len(set(hidden)) > 1:
            raise ConfigError(f"residual layers need equal widths, got hidden={tuple(hidden)}")
        self.dimensions, self.outputs, self.features = dimensions, outputs, features
        self.activation = activation_named(activation)
        self.dropout = check_probability("dropout", dropout)
        self.residual = residual
        orders = torch.arange(dimensions)[None] if orders is None else orders
        self.register_buffer("orders", orders.repeat_interleave(masks, 0))
        self.members = len(self.orders)
        self._staircases: dict[int, tuple[Snapshot, list[Staircase]]] = {}
        for i, degrees in enumerate(self._drawn(hidden, masks, generator)):
            self.register_buffer(f"degrees{i}", degrees)
        widths = (dimensions * features, *hidden)
        self.layers = nn.ModuleList(MaskedLinear(a, b) for a, b in pairwise(widths))
        self.head = MaskedLinear(widths[-1], dimensions * outputs)
        size = dimensions * features, dimensions * outputs
        # Without hidden layers the head is the direct connection.
        self.direct = MaskedLinear(*size, bias=False) if direct and hidden else None
        if self.direct is not None:
            nn.init.zeros_(self.direct.weight)
        spec = context or ContextSpec()
        self.conditions = nn.ModuleList(
            ConditionBias(spec, width) for width in (*hidden, dimensions * outputs)
        )

    def forward(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        member: int = 0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """All outputs (n, D, S) of features (n, D * F) or (n, D, F), in the dimensions' own places.

        Args:
            x: The features of all dimensions.
            context: The condition.
            member: Which order or mask.
            uniform: The source of noise for dropout; None means none.
        """
        x = x.flatten(1)
        *stairs, last, direct = self.staircases(member)
        # What is activated belongs to nobody else.
        activation = IN_PLACE.get(self.activation, self.activation)
        h = x
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, MaskedLinear)
            more = self.conditions[i](context)
            y = masked_linear(h, layer.weight, layer.bias, stairs[i])
            y = dropout(activation(_plus(y, more)), self.dropout, uniform)
            h = h + y if self.residual and i else y
        out = masked_linear(h, self.head.weight, self.head.bias, last)
        out = _plus(out, self.conditions[-1](context))
        if self.direct is not None:
            out = out + masked_linear(x, self.direct.weight, None, direct)
        return out.reshape(len(x), self.dimensions, self.outputs)

    def degrees_of(self, member: int) -> list[Tensor]:
        """The degrees of each hidden layer (H,)."""
        return [getattr(self, f"degrees{i}")[member] for i in range(len(self.layers))]

    def masks(self, member: int) -> list[Tensor]:
        """The masks of all layers and of the head, True where a weight is kept."""
        rank = self._rank(member)
        sees = rank.repeat_interleave(self.features) + 1
        masks = []
        for degrees in self.degrees_of(member):
            masks.append(sees <= degrees[:, None])
            sees = degrees
        out = rank.repeat_interleave(self.outputs)
        return [*masks, sees <= out[:, None]]

    def staircases(self, member: int = 0) -> list[Staircase]:
        """The masks of all layers, of the head and of the direct connections, made once."""
        given = [self.orders, *(getattr(self, f"degrees{i}") for i in range(len(self.layers)))]
        known = self._staircases.get(member)
        if known is None or not known[0].shows(given):
            masks = self.masks(member)
            masks.append(masks[-1] if self.direct is None else self.direct_mask(member))
            known = (Snapshot(given), [Staircase.of(mask) for mask in masks])
            self._staircases[member] = known
        return known[1]

    def sorted(self, member: int = 0) -> SortedMLP:
        """The weights of one member, sorted by degree."""
        return SortedMLP.of(self, member)

    def start_at(self, start: Tensor) -> None:
        """Set the biases of the outputs to (D, S)."""
        with torch.no_grad():
            self.head.bias.copy_(start.flatten())

    def _rank(self, member: int) -> Tensor:
        return torch.argsort(self.orders[member])

    def direct_mask(self, member: int) -> Tensor:
        """The mask of the connections from inputs to outputs."""
        rank = self._rank(member)
        out, into = rank.repeat_interleave(self.outputs), rank.repeat_interleave(self.features)
        return into < out[:, None]

    def _drawn(
        self, hidden: Sequence[int], masks: int, generator: torch.Generator | None
    ) -> list[Tensor]:
        """Degrees (members, width) of each hidden layer."""
        top = self.dimensions - 1
        if top == 0 or masks == 1:
            even = [top if top == 0 else 1 + torch.arange(w) * top // w for w in hidden]
            return [
                torch.as_tensor(d).expand(self.members, w).clone()
                for d, w in zip(even, hidden, strict=True)
            ]
        layers: list[Tensor] = []
        low = torch.ones(self.members, 1)
        for width in hidden:
            if layers and self.residual:
                layers.append(layers[0].clone())
                continue
            u = torch.rand(self.members, width, generator=generator)
            degrees = (low + u * (top + 1 - low)).long().clamp_(max=top)
            layers.append(degrees)
            low = degrees.amin(1, keepdim=True)
        return layers


def _plus(x: Tensor, more: Tensor | None) -> Tensor:
    return x if more is None else x + more

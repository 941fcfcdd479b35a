"""Masked layers: one network gives all conditionals at once, and then one after another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError
from phosphene.nn.activations import activation_named
from phosphene.nn.cached import Snapshot
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.mlp import check_widths
from phosphene.nn.noise import Uniform, check_probability, dropout
from phosphene.nn.staircase import Staircase, masked_linear

__all__ = ["IncrementalMLP", "MaskedLinear", "MaskedMLP", "SortedMLP"]

_IN_PLACE: dict[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]] = {
    torch.relu: torch.relu_,
    torch.tanh: torch.tanh_,
    torch.sigmoid: torch.sigmoid_,
}


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
        activation = _IN_PLACE.get(self.activation, self.activation)
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

    def sorted(self, member: int = 0) -> "SortedMLP":
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


@dataclass(frozen=True)
class SortedMLP:
    """The weights of one member of a :class:`MaskedMLP`, units sorted by degree, inputs by rank.

    Sorted so, every mask is a staircase: what is known once k values are is a leading block of
    every array. All arrays are contiguous, and masked weights are zero.

    Let x be the features by rank (D * F), a_0 = x, and a_l the hidden layers. When the first k
    values are known (k = 0, 1, ..., D-1), ``known[l][k]`` units of hidden layer l (l = 0, 1, ...)
    are: rows ``known[l][k-1]`` to ``known[l][k]`` (from 0 where k = 0) are new. A new row j is

        a_{l+1}[j] = g(b_l[j] + sum_i W_l[j, i] a_l[i]) (+ a_l[j] where residual and l > 0)

    with i below k * F for l = 0 and below ``known[l-1][k]`` else; then the outputs of the value at
    rank k are

        y[k, s] = c[k, s] + sum_i V[k, s, i] a_L[i] + sum_i U[k, s, i] x[i]

    with i below ``known[L-1][k]`` (k * F without hidden layers), and below k * F.

    Attributes:
        order: The dimension at each rank (D,), int64.
        units: For each hidden layer, its units by increasing degree (H_l,), int64.
        weights: W_l (H_l, H_{l-1}), the first (H_0, D * F).
        biases: b_l (H_l,).
        known: For each hidden layer, ``known[l][k]`` units have degree at most k, k = 0..D-1.
        head: V (D, S, H_L), by rank.
        head_bias: c (D, S), by rank.
        direct: U (D, S, D * F), by rank, or None.
    """

    order: Tensor
    units: list[Tensor]
    weights: list[Tensor]
    biases: list[Tensor]
    known: list[list[int]]
    head: Tensor
    head_bias: Tensor
    direct: Tensor | None

    @classmethod
    @torch.no_grad()
    def of(cls, net: MaskedMLP, member: int = 0, *, masked: bool = True) -> "SortedMLP":
        """Sort the weights of a network; a copy of what they are now.

        Args:
            net: The network.
            member: Which order or mask.
            masked: Zero what is masked. A walk along the staircase never reads it: without the
                zeros, what lies in its order already is not even copied, so that sorting the
                weights of evenly spread degrees in raster order takes no time.
        """
        order, degrees = net.orders[member], net.degrees_of(member)
        units = [torch.argsort(d, stable=True) for d in degrees]
        known = [
            torch.bincount(d, minlength=net.dimensions).cumsum(0)[: net.dimensions].tolist()
            for d in degrees
        ]
        into = _spread(order, net.features)
        out = _spread(order, net.outputs)
        masks: list[Tensor | None] = [*net.masks(member)] if masked else [None] * (len(units) + 1)
        weights, biases, columns = [], [], into
        for layer, mask, rows in zip(net.layers, masks[:-1], units, strict=True):
            assert isinstance(layer, MaskedLinear)
            weights.append(_taken(layer, mask, rows, columns))
            biases.append(layer.bias[rows])
            columns = rows
        shape = (net.dimensions, net.outputs, -1)
        head = _taken(net.head, masks[-1], out, columns).reshape(shape)
        direct = None
        if net.direct is not None:
            mask = net.direct_mask(member) if masked else None
            direct = _taken(net.direct, mask, out, into).reshape(shape)
        bias = net.head.bias[out].reshape(shape[:2])
        return cls(order, units, weights, biases, known, head, bias, direct)


def _taken(layer: MaskedLinear, mask: Tensor | None, rows: Tensor, columns: Tensor) -> Tensor:
    """Rows and columns of a layer's weights, contiguous; no copy where all are in place."""
    weight = layer.weight.detach() if mask is None else layer.masked(mask)
    for axis, index in enumerate((rows, columns)):
        if not torch.equal(index, torch.arange(len(index), device=index.device)):
            weight = weight.index_select(axis, index)
    return weight.contiguous()


def _spread(index: Tensor, width: int) -> Tensor:
    """Places of blocks of ``width`` numbers that are taken in the order ``index``."""
    return (index[:, None] * width + torch.arange(width, device=index.device)).flatten()


class IncrementalMLP:
    """Gives a :class:`MaskedMLP`'s outputs one rank after another, for what is known so far.

    A hidden unit is computed once, when the last value that it sees becomes known, so a whole
    example costs the products of one forward pass that leaves masked weights out. Activations are
    kept as (units, n), where all that is known is one contiguous block. There are no gradients.

    Args:
        net: The network.
        n: Examples that are made side by side.
        context: The condition of each.
        member: Which order or mask.
        weights: ``net.sorted(member)`` where it is at hand.

    Example:
        >>> net = MaskedMLP(3, (8,))
        >>> run, x = IncrementalMLP(net, 2), torch.randn(2, 3)
        >>> turns = [run.next(x[:, k - 1 : k] if k else None) for k in range(3)]
        >>> torch.allclose(torch.stack(turns, 1), net(x), atol=1e-6)
        True
    """

    @torch.no_grad()
    def __init__(
        self,
        net: MaskedMLP,
        n: int,
        context: Context | None = None,
        *,
        member: int = 0,
        weights: SortedMLP | None = None,
    ) -> None:
        self.weights = w = weights or SortedMLP.of(net, member, masked=False)
        self.features, self.residual = net.features, net.residual
        self.activation = _IN_PLACE.get(net.activation)
        self._function = net.activation
        self.rank = 0
        like = w.head
        self.state = [like.new_empty(net.dimensions * net.features, n)]
        self.state += [like.new_empty(len(b), n) for b in w.biases]
        self._offsets = [
            _offset(bias, condition(context), rows)
            for bias, condition, rows in zip(w.biases, net.conditions, w.units, strict=False)
        ]
        out = _spread(w.order, net.outputs)
        shape = (net.dimensions, net.outputs, -1)
        last = net.conditions[-1](context)
        self._head_offset = _offset(w.head_bias.flatten(), last, out).reshape(shape)

    @torch.no_grad()
    def next(self, value: Tensor | None = None) -> Tensor:
        """Outputs (n, S) of the value at the next rank.

        Args:
            value: Features (n, F) of the value at the rank before; None at rank 0.
        """
        k, w, state = self.rank, self.weights, self.state
        seen = k * self.features
        if value is not None:
            state[0][seen - self.features : seen] = value.T
        inputs = state[0][:seen]
        below = inputs
        for i, (weight, offset, known) in enumerate(
            zip(w.weights, self._offsets, w.known, strict=True)
        ):
            a, b = (known[k - 1] if k else 0), known[k]
            if b > a:
                new = state[i + 1][a:b]
                torch.addmm(offset[a:b], weight[a:b, : len(below)], below, out=new)
                if self.activation is not None:
                    self.activation(new)
                else:
                    new.copy_(self._function(new))
                if self.residual and i:
                    new += below[a:b]
            below = state[i + 1][:b]
        out = torch.addmm(self._head_offset[k], w.head[k, :, : len(below)], below)
        if w.direct is not None and seen:
            out.addmm_(w.direct[k, :, :seen], inputs)
        self.rank = k + 1
        return out.T


def _offset(bias: Tensor, condition: Tensor | None, rows: Tensor) -> Tensor:
    """What a layer's units start from: (units, 1), or (units, n) given a condition."""
    return bias[:, None] if condition is None else bias[:, None] + condition.T[rows]

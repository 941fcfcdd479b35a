"""Masked networks with their units sorted by degree, and their outputs one rank after another."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.nn.activations import IN_PLACE

if TYPE_CHECKING:
    from phosphene.nn.masked import MaskedLinear, MaskedMLP

__all__ = ["IncrementalMLP", "SortedMLP"]


@dataclass(frozen=True)
class SortedMLP:
    """The weights of one member of a ``MaskedMLP``, units sorted by degree, inputs by rank.

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
    def of(cls, net: "MaskedMLP", member: int = 0, *, masked: bool = True) -> "SortedMLP":
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
            masked_layer = cast("MaskedLinear", layer)
            weights.append(_taken(masked_layer, mask, rows, columns))
            biases.append(masked_layer.bias[rows])
            columns = rows
        shape = (net.dimensions, net.outputs, -1)
        head = _taken(net.head, masks[-1], out, columns).reshape(shape)
        direct = None
        if net.direct is not None:
            mask = net.direct_mask(member) if masked else None
            direct = _taken(net.direct, mask, out, into).reshape(shape)
        bias = net.head.bias[out].reshape(shape[:2])
        return cls(order, units, weights, biases, known, head, bias, direct)


def _taken(layer: "MaskedLinear", mask: Tensor | None, rows: Tensor, columns: Tensor) -> Tensor:
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
    """Gives a ``MaskedMLP``'s outputs one rank after another, for what is known so far.

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
        >>> from phosphene.nn.masked import MaskedMLP
        >>> net = MaskedMLP(3, (8,))
        >>> run, x = IncrementalMLP(net, 2), torch.randn(2, 3)
        >>> turns = [run.next(x[:, k - 1 : k] if k else None) for k in range(3)]
        >>> torch.allclose(torch.stack(turns, 1), net(x), atol=1e-6)
        True
    """

    @torch.no_grad()
    def __init__(
        self,
        net: "MaskedMLP",
        n: int,
        context: Context | None = None,
        *,
        member: int = 0,
        weights: SortedMLP | None = None,
    ) -> None:
        self.weights = w = weights or SortedMLP.of(net, member, masked=False)
        self.features, self.residual = net.features, net.residual
        self.activation = IN_PLACE.get(net.activation)
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

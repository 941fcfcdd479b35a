"""Masked autoregressive layers: each dimension is transformed given those before it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.derivatives import transformed
from phosphene.core.errors import ConfigError
from phosphene.generative.flow.layers.transform import Transform, total
from phosphene.nn.cached import Snapshot
from phosphene.nn.fused import invert_masked
from phosphene.nn.masked import IncrementalMLP, MaskedLinear, MaskedMLP
from phosphene.nn.monotone import Monotone

__all__ = ["MaskedAutoregressive"]


class MaskedAutoregressive(Transform):
    """z_{o_k} = h(x_{o_k}; b_k(x_{o_1}, ..., x_{o_{k-1}}, context)), for any monotone h.

    By Kingma et al. (2016) and Papamakarios, Pavlakou and Murray (2017). A masked network b gives
    all parameters in one pass (Germain et al., 2015), so that x -> z is parallel. Its Jacobian is
    triangular in the order o, with log-determinant sum_k log h'. Where all parameters are 0, as at
    the start, the layer is the identity.

    The inverse is sequential: x_{o_k} follows from z_{o_k} once those before it are known. Each
    hidden unit is computed once, when the last value that it sees is known, which costs the
    products of one forward pass in all instead of D of them: by the native kernel where there is
    one for h and the activation, else in torch. Where gradients are recorded, the same walk is
    unrolled, and gradients flow to z, to the condition and to the network.

    The network acts on the values by rank; examples of any shape are flattened in raster order.

    Args:
        dimensions: D.
        monotone: h.
        hidden: Widths of the network's hidden layers.
        order: The dimensions in the order of the layer (D,); None for raster order.
        activation: Of the network, see ``phosphene.nn.activations``.
        residual: Add each hidden layer's input to its output; the widths must agree.
        context: A label or a vector, or nothing.

    Raises:
        ConfigError: The order is not one of all dimensions, or widths are out of range.

    Example:
        >>> from phosphene.nn.monotone import Affine
        >>> layer = MaskedAutoregressive(3, Affine(), order=torch.tensor([2, 0, 1]))
        >>> z, log_det = layer(torch.ones(5, 3))
        >>> z.shape, log_det.shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    order: Tensor

    def __init__(
        self,
        dimensions: int,
        monotone: Monotone,
        *,
        hidden: Sequence[int] = (128, 128),
        order: Tensor | None = None,
        activation: str = "relu",
        residual: bool = False,
        context: ContextSpec | None = None,
    ) -> None:
        super().__init__()
        order = torch.arange(dimensions) if order is None else torch.as_tensor(order)
        if not torch.equal(order.sort().values, torch.arange(dimensions)):
            raise ConfigError(
                f"an order holds each of the dimensions 0..{dimensions - 1} once, "
                f"got {order.tolist()}"
            )
        self.monotone = monotone
        self.net = MaskedMLP(
            dimensions, hidden, monotone.size, activation=activation, residual=residual,
            context=context,
        )  # fmt: skip
        nn.init.zeros_(self.net.head.weight)
        nn.init.zeros_(self.net.head.bias)
        last = self.net.conditions[-1]
        if isinstance(last.map, nn.Linear):
            nn.init.zeros_(last.map.weight)
        self.register_buffer("order", order)
        self._arranged: tuple[Snapshot, str, Tensor] | None = None

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """All dimensions at once."""
        by_rank = self._by_rank(x.flatten(1))
        z, log_slope = self.monotone.forward(by_rank, self.net(by_rank, context))
        return self._in_place(z).view_as(x), total(log_slope)

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """One dimension after another, at the products of one pass."""
        if self._recorded(z, context):
            return self.inverse_and_log_det(z, context)[0]
        with torch.no_grad():
            by_rank = self._by_rank(z.flatten(1))
            x = invert_masked(self.net, self.monotone, by_rank, context)
            x = self._walk(by_rank, context) if x is None else x
            return self._in_place(x).view_as(z)

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """The same, with log |det dx/dz|."""
        if not self._recorded(z, context):
            x = self.inverse(z, context)
            return x, -self.forward_and_log_det(x, context)[1]
        x, log_slope = self._unrolled(self._by_rank(z.flatten(1)), context)
        return self._in_place(x).view_as(z), total(log_slope)

    def _by_rank(self, x: Tensor) -> Tensor:
        """Columns in the order of the layer."""
        kind, _ = self._arrangement()
        if kind == "raster":
            return x
        return x.flip(1) if kind == "reversed" else x.index_select(1, self.order)

    def _in_place(self, x: Tensor) -> Tensor:
        """Columns back in their own places."""
        kind, ranks = self._arrangement()
        if kind == "raster":
            return x
        return x.flip(1) if kind == "reversed" else x.index_select(1, ranks)

    def _arrangement(self) -> tuple[str, Tensor]:
        """Which kind of order there is, and the rank of each dimension; found once."""
        order, known = self.order, self._arranged
        if known is None or not known[0].shows([order]):
            ascending = torch.arange(len(order), device=order.device)
            kinds = {"raster": ascending, "reversed": ascending.flip(0)}
            kind = next((k for k, o in kinds.items() if torch.equal(o, order)), "other")
            known = self._arranged = (Snapshot([order]), kind, order.argsort())
        return known[1:]

    def _recorded(self, z: Tensor, context: Context | None) -> bool:
        """Whether somebody may ask for gradients."""
        if transformed():
            return True
        if not torch.is_grad_enabled():
            return False
        told = () if context is None else (value for _, value in context.parts())
        return any(t.requires_grad for t in (z, *told, *self.parameters()))

    def _walk(self, z: Tensor, context: Context | None) -> Tensor:
        """The inverse by rank in torch, without gradients."""
        run = IncrementalMLP(self.net, len(z), context)
        z = z.T.contiguous()
        x = torch.empty_like(z)
        for k in range(len(z)):
            params = run.next(x[k - 1, :, None] if k else None)
            x[k] = self.monotone.inverse(z[k], params)[0]
        return x.T

    def _unrolled(self, z: Tensor, context: Context | None) -> tuple[Tensor, Tensor]:
        """The inverse by rank and log dx/dz, with gradients."""
        net = self.net
        known = [_counts(degrees, net.dimensions) for degrees in net.degrees_of(0)]
        *biases, head_bias = _biases(net, context)
        head = net.head.weight.unflatten(0, (net.dimensions, net.outputs))
        head_bias = head_bias.unflatten(-1, (net.dimensions, net.outputs))
        x: list[Tensor] = []
        log_slopes: list[Tensor] = []
        state = [z.new_empty(len(z), 0)] * (1 + len(known))
        for k in range(net.dimensions):
            for i, (layer, counts) in enumerate(zip(net.layers, known, strict=True)):
                assert isinstance(layer, MaskedLinear)
                a, b = (counts[k - 1] if k else 0), counts[k]
                if b == a:
                    continue
                below = state[i]
                weight = layer.weight[a:b, : below.shape[1]]
                new = net.activation(F.linear(below, weight) + biases[i][..., a:b])
                new = new + below[:, a:b] if net.residual and i else new
                state[i + 1] = torch.cat((state[i + 1], new), 1)
            top = state[-1]
            params = F.linear(top, head[k, :, : top.shape[1]]) + head_bias[..., k, :]
            value, log_slope = self.monotone.inverse(z[:, k], params)
            x.append(value)
            log_slopes.append(log_slope)
            state[0] = torch.cat((state[0], value[:, None]), 1)
        return torch.stack(x, 1), torch.stack(log_slopes, 1)


def _counts(degrees: Tensor, dimensions: int) -> list[int]:
    """How many units are known at each rank; the units are in the order of their degrees."""
    counts: list[int] = torch.bincount(degrees, minlength=dimensions).cumsum(0).tolist()
    return counts


def _biases(net: MaskedMLP, context: Context | None) -> list[Tensor]:
    """What each layer's sums start from, the condition taken in: (H,) or (n, H)."""
    biases = []
    for layer, condition in zip((*net.layers, net.head), net.conditions, strict=True):
        bias, more = layer.bias, condition(context)
        biases.append(bias if more is None else bias + more)
    return biases

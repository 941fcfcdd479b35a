"""Multilayer perceptron whose layers are one call forward and one backward, for small networks."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.core.derivatives import again_wanted, transformed
from phosphene.core.errors import ConfigError
from phosphene.kernels.library import backend
from phosphene.kernels.mlp import (
    Networks,
    mlp_backward_reference,
    mlp_reference,
    mlp_usable,
)
from phosphene.nn.activations import activation_named
from phosphene.nn.mlp import check_widths

__all__ = ["QuickMLP", "quick_mlps"]

_PLAIN = {Tensor, nn.Parameter}
_bytes = attrgetter("nbytes")
_BASELINE_PRODUCTS = 1_500_000
"""Above so many the build without wide vectors (SSE2) can be slower than torch's product: 64 rows
of two layers of 256 units were, 128 rows of 120 and 84 were not."""


class QuickMLP(nn.Module):
    """Linear layers with an activation between them: h <- f(W h + b), out = W h + b.

    Its parameters are those of a plain stack of ``nn.Linear``: ``layers.0.weight``,
    ``layers.0.bias``, ``layers.1.weight``, ... On the CPU, in float32 or float64, all layers are
    one native call forward and one backward (``phosphene.kernels.mlp``), which saves a small
    network most of its time. Everywhere else it computes in torch, and both agree to rounding: for
    want of the native library, on other devices, under autocast, ``torch.compile`` and transforms
    of ``torch.func``, and where layers were replaced or carry hooks. Gradients can be
    differentiated again, in torch.

    Args:
        inputs: Size of the input.
        hidden: Widths of the hidden layers; empty for one linear map.
        outputs: Size of the output.
        activation: Its name, see ``phosphene.nn.activations``.
        gain: If given, weights are orthogonal, those of hidden layers times sqrt(2), those of the
            last times ``gain``, and biases are zero, as is usual for PPO (Schulman et al. 2017).
            None leaves the initialization of ``nn.Linear``.

    Example:
        >>> QuickMLP(4, (64, 64), 2)(torch.zeros(8, 4)).shape
        torch.Size([8, 2])
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        *,
        activation: str = "tanh",
        gain: float | None = None,
    ) -> None:
        super().__init__()
        check_widths((inputs, *hidden, outputs))
        activation_named(activation)
        self.activation = activation
        self.layers = nn.ModuleList(
            nn.Linear(a, b) for a, b in pairwise((inputs, *hidden, outputs))
        )
        if gain is not None:
            self._orthogonal(gain)
        self._seen: dict[int, tuple[Any, Networks | None]] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return quick_mlps((self,), x)[0]

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        first: Any = self._modules["layers"]._modules["0"]  # type: ignore[union-attr]
        found: torch.dtype = first.weight.dtype
        return found

    def plain(self, x: Tensor) -> Tensor:
        """The same in torch, layer by layer."""
        f = activation_named(self.activation)
        *body, head = self.layers
        for layer in body:
            x = f(layer(x))
        out: Tensor = head(x)
        return out

    def __getstate__(self) -> dict[str, Any]:
        # Addresses mean nothing to a copy or to another process.
        return {**self.__dict__, "_seen": {}}

    def _orthogonal(self, gain: float) -> None:
        if not gain > 0.0:
            raise ConfigError(f"the gain of the last layer must be positive, got {gain}")
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.orthogonal_(layer.weight, gain if layer is self.layers[-1] else 2.0**0.5)
            nn.init.zeros_(layer.bias)


def quick_mlps(mlps: Sequence[QuickMLP], x: Tensor) -> list[Tensor]:
    """The outputs of several networks that read the same x, such as an actor and a critic.

    They are one call together, which saves what a call costs beside its arithmetic.

    Example:
        >>> actor, critic = QuickMLP(4, (8,), 2), QuickMLP(4, (8, 8), 1)
        >>> [tuple(y.shape) for y in quick_mlps((actor, critic), torch.zeros(5, 4))]
        [(5, 2), (5, 1)]
    """
    parameters = _parameters(mlps) if _possible(x) else None
    nets = None if parameters is None else _networks(mlps, parameters)
    if nets is None or parameters is None or not _fits(nets, x):
        return [mlp.plain(x) for mlp in mlps]
    flat = x.dim() == 2
    rows = x if flat else x.reshape(-1, nets.inputs)
    if torch.is_grad_enabled() and (x.requires_grad or any(p.requires_grad for p in parameters)):
        outputs = list(_Perceptrons.apply(nets, rows, *parameters))
    else:
        outputs = nets.forward(rows, keep=False)[0]
    return outputs if flat else [y.reshape(*x.shape[:-1], y.shape[-1]) for y in outputs]


def _possible(x: Tensor) -> bool:
    """Whether x may be computed outside of torch: nothing traces or transforms what is done."""
    return not (
        torch.compiler.is_compiling()
        or type(x) not in _PLAIN
        or not x.is_cpu
        or x.layout is not torch.strided
        or transformed()
        or torch.is_autocast_enabled("cpu")
        or torch._C._is_tracing()
    )


def _parameters(mlps: Sequence[QuickMLP]) -> list[Tensor] | None:
    """W, b, W, b, ... of all networks; None if some layer is more than a plain linear map."""
    found: list[Any] = []
    for mlp in mlps:
        # By the dictionaries themselves: to look parts up by name takes ten times longer.
        for layer in mlp._modules["layers"]._modules.values():  # type: ignore[union-attr]
            if type(layer) is not nn.Linear or layer._forward_hooks or layer._forward_pre_hooks:
                return None
            if layer._backward_hooks or layer._backward_pre_hooks:
                return None
            own = layer._parameters
            found.append(own["weight"])
            found.append(own["bias"])
    return found


def _networks(mlps: Sequence[QuickMLP], parameters: list[Tensor]) -> Networks | None:
    """The networks as they were seen the last time, if every parameter is where and what it was."""
    if not _PLAIN.issuperset(map(type, parameters)):
        return None
    key = (
        backend().library,
        [mlp.activation for mlp in mlps],
        list(map(Tensor.data_ptr, parameters)),
        list(map(Tensor.stride, parameters)),
        list(map(_bytes, parameters)),  # with the distances between rows this says the shape
    )
    seen = mlps[0]._seen.get(len(mlps))
    if seen is not None and seen[0] == key:
        return seen[1]
    nets = _look(mlps, parameters)
    mlps[0]._seen[len(mlps)] = (key, nets)
    return nets


def _look(mlps: Sequence[QuickMLP], parameters: list[Tensor]) -> Networks | None:
    """The networks for the kernels; None if those cannot take them."""
    depths, activations = [len(mlp.layers) for mlp in mlps], [mlp.activation for mlp in mlps]
    with torch.no_grad():
        if not all(mlp_usable(name, *parameters) for name in activations):
            return None
    if not all(p.layout is torch.strided and p.is_contiguous() for p in parameters):
        return None
    ends = [2 * end for end in accumulate(depths, initial=0)]
    for a, b in pairwise(ends):  # do layers read what those before them give, and all the same x?
        shapes = [(w.shape[1], w.shape[0]) for w in parameters[a:b:2]]
        widths = [parameters[0].shape[1], *(out for _, out in shapes)]
        if shapes != list(pairwise(widths)):
            return None
    return Networks(parameters, depths, activations)


def _fits(nets: Networks, x: Tensor) -> bool:
    if x.dtype is not nets.dtype or x.dim() == 0 or x.shape[-1] != nets.inputs:
        return False  # torch says what is wrong
    return nets.wide or x.numel() // nets.inputs * nets.products <= _BASELINE_PRODUCTS


class _Perceptrons(torch.autograd.Function):
    """All layers of all networks as one operation."""

    @staticmethod
    def forward(ctx: Any, nets: Networks, x: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        outputs, kept = nets.forward(x, keep=True)
        ctx.nets = nets
        ctx.save_for_backward(x, kept, *parameters)
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        x, kept, *parameters = ctx.saved_tensors
        nets: Networks = ctx.nets
        if again_wanted(*grad_outputs):
            return (None, *_formula(nets, x, parameters, grad_outputs))
        if [p.data_ptr() for p in parameters] != nets.places:  # hooks moved what was saved
            parameters = [p.contiguous() for p in parameters]
            nets = Networks(parameters, nets.depths, nets.activations)
        _, need_x, *needed = ctx.needs_input_grad
        grads, grad_x = nets.backward(grad_outputs, x, kept, needed, need_x=need_x)
        return (None, grad_x, *grads)


def _formula(
    nets: Networks, x: Tensor, parameters: list[Tensor], grad_outputs: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradients of x and of the parameters by operations that can be differentiated again."""
    found: list[Tensor | None] = []
    total: Tensor | None = None
    for own, name, g in zip(nets.split(parameters), nets.activations, grad_outputs, strict=True):
        if g is None:
            found += [None] * len(own)
            continue
        hidden: list[Tensor] = []
        mlp_reference(x, own[::2], own[1::2], name, hidden)
        grads, of_x = mlp_backward_reference(g, x, hidden, own[::2], name)
        found += grads
        total = of_x if total is None else total + of_x
    return [total, *found]

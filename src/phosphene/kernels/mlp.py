"""Small multilayer perceptrons, forward and backward: native, and their reference in torch.

In reinforcement learning a network of two layers of 64 units meets a few hundred rows, and most of
a step's time is what operators cost beside their arithmetic. Here all layers of one network, or of
several that read the same x, are one call each way.
"""

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.kernels.library import ACTIVATION_CODES, backend, usable
from phosphene.kernels.reference import ACTIVATIONS

__all__ = [
    "Networks",
    "mlp_backward",
    "mlp_backward_reference",
    "mlp_forward",
    "mlp_reference",
    "mlp_usable",
]

T = TypeVar("T")
_SUFFIX = {torch.float32: "f32", torch.float64: "f64"}
_FORWARD, _BACKWARD = "mlp_forward", "mlp_backward"
_pointer, _int = ctypes.c_void_p, ctypes.c_int64
_ARGUMENTS = {
    _FORWARD: (_pointer, _int, _int, _pointer, _pointer, _pointer, _int),
    _BACKWARD: (_pointer, _int, _int, _pointer, _pointer, _pointer, _pointer, _pointer, _int),
}


def mlp_usable(activation: str, *tensors: Tensor) -> bool:
    """Whether the native kernel can take this network: its activation, device and type."""
    return activation in ACTIVATION_CODES and usable(*tensors)


def mlp_forward(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    activation: str = "tanh",
    *,
    keep: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """The output (n, d_L), and what :func:`mlp_backward` needs where ``keep`` says so.

    h_0 = x, h_{l+1} = f(W_l h_l + b_l), without f after the last layer.

    Args:
        x: (n, d_0).
        weights: One (d_{l+1}, d_l) a layer.
        biases: One (d_{l+1},) a layer.
        activation: The name of f.
        keep: Whether hidden units are kept, in an order that depends on nothing but the sizes.

    Example:
        >>> mlp_forward(torch.ones(1, 2), [torch.eye(2)], [torch.tensor([0.0, 1.0])])[0]
        tensor([[1., 2.]])
    """
    x, weights, biases = x.contiguous(), _contiguous(weights), _contiguous(biases)
    if not mlp_usable(activation, x, *weights, *biases):
        hidden: list[Tensor] = []
        y = mlp_reference(x, weights, biases, activation, hidden)
        return y, _padded(hidden, x) if keep else None
    parameters = [p for pair in zip(weights, biases, strict=True) for p in pair]
    (y,), kept = Networks(parameters, [len(weights)], [activation]).forward(x, keep=keep)
    return y, kept


def mlp_backward(
    grad_y: Tensor,
    x: Tensor,
    kept: Tensor,
    weights: Sequence[Tensor],
    activation: str = "tanh",
    *,
    need_x: bool = False,
) -> tuple[list[Tensor], list[Tensor], Tensor | None]:
    """Gradients of the weights, of the biases and, if asked for, of x.

    d_L = grad_y, d_{l-1} = (d_l W_l) * f'(h_l), grad W_l = d_l^T h_l, grad b_l = sum of d_l's rows.

    Args:
        grad_y: (n, d_L), the gradient of the output.
        x: The input (n, d_0) of the forward pass.
        kept: What the forward pass kept.
        weights: Those of the forward pass.
        activation: The name of f.
        need_x: Whether the gradient of x is computed.
    """
    x, grad_y, weights = x.contiguous(), grad_y.contiguous(), _contiguous(weights)
    biases = [w.new_empty(w.shape[0]) for w in weights]  # for their shapes
    if not mlp_usable(activation, grad_y, x, kept, *weights):
        hidden = _unpadded(kept, len(x), [w.shape[0] for w in weights[:-1]])
        grads, of_x = mlp_backward_reference(grad_y, x, hidden, weights, activation)
        return grads[::2], grads[1::2], of_x if need_x else None
    parameters = [p for pair in zip(weights, biases, strict=True) for p in pair]
    nets = Networks(parameters, [len(weights)], [activation])
    found, grad_x = nets.backward([grad_y], x, kept, parameters, need_x=need_x)
    native = [g for g in found if g is not None]
    return native[::2], native[1::2], grad_x


def mlp_reference(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    activation: str = "tanh",
    hidden: list[Tensor] | None = None,
) -> Tensor:
    """The output in torch; hidden units are appended to ``hidden``."""
    f = ACTIVATIONS[activation]
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        x = f(x @ w.T + b)
        if hidden is not None:
            hidden.append(x)
    return x @ weights[-1].T + biases[-1]


def mlp_backward_reference(
    grad_y: Tensor,
    x: Tensor,
    hidden: Sequence[Tensor],
    weights: Sequence[Tensor],
    activation: str = "tanh",
) -> tuple[list[Tensor], Tensor]:
    """Gradients of W_1, b_1, W_2, ... and of x in torch, which can differentiate them again."""
    grads: list[Tensor] = []
    d = grad_y
    for w, h in zip(reversed(weights), [*reversed(hidden), x], strict=True):
        grads = [d.T @ h, d.sum(0), *grads]
        d = d @ w
        if h is not x:
            d = d * _SLOPES[activation](h)
    return grads, d


class Networks:
    """Networks that read the same x, as the kernels see them: sizes and addresses.

    It holds no tensors: whoever calls it answers for parameters that are where they were.

    Args:
        parameters: W, b, W, b, ... of all layers of all networks, contiguous and of one type.
        depths: How many layers each network has.
        activations: The name of each network's activation.
    """

    def __init__(
        self, parameters: Sequence[Tensor], depths: Sequence[int], activations: Sequence[str]
    ) -> None:
        self.depths, self.activations = tuple(depths), tuple(activations)
        self.dtype: torch.dtype = parameters[0].dtype
        self.inputs: int = parameters[0].shape[1]
        self.places = [p.data_ptr() for p in parameters]
        self.outputs: list[int] = []
        self.products = self.kept = 0
        numbers: list[int] = []
        for own, activation in zip(self.split(parameters), activations, strict=True):
            shapes, places = [tuple(w.shape) for w in own[::2]], [p.data_ptr() for p in own]
            widths = [self.inputs, *(out for out, _ in shapes)]
            assert shapes == [(b, a) for a, b in pairwise(widths)], "each reads the one before"
            numbers += [len(shapes), ACTIVATION_CODES[activation], *widths, *places]
            self.kept += sum(_lead(width) for width in widths[1:-1])
            self.products += sum(out * width for out, width in shapes)
            self.outputs.append(widths[-1])
        name, library = backend().name, backend().library
        assert library is not None, "ask mlp_usable() first"
        self.wide = "baseline" not in name  # whether its vectors are wider than two or four numbers
        self._forward, self._backward = (
            _function(name, self.dtype, library) for name in (_FORWARD, _BACKWARD)
        )
        self._numbers = (ctypes.c_int64 * len(numbers))(*numbers)
        self._first = (ctypes.addressof(self._numbers), len(self.depths))
        # Making the types of arrays takes as long as filling them.
        self._of_outputs = ctypes.c_int64 * len(self.depths)
        self._of_parameters = ctypes.c_int64 * len(parameters)

    def split(self, parameters: Sequence[T]) -> list[Sequence[T]]:
        """What belongs to each network."""
        ends = [2 * end for end in accumulate(self.depths)]
        return [parameters[a:b] for a, b in pairwise([0, *ends])]

    def forward(self, x: Tensor, *, keep: bool) -> tuple[list[Tensor], Tensor | None]:
        """Outputs (n, d_L) of x (n, d_0), contiguous, and what the backward pass needs."""
        n = x.shape[0]
        outputs = [x.new_empty(n, width) for width in self.outputs]
        kept = x.new_empty(n * self.kept) if keep else None
        if n > 0:
            status = self._forward(
                *self._first, n, x.data_ptr(), self._of_outputs(*map(Tensor.data_ptr, outputs)),
                None if kept is None else kept.data_ptr(), torch.get_num_threads(),
            )  # fmt: skip
            _check(status)
        return outputs, kept

    def backward(
        self,
        grad_outputs: Sequence[Tensor | None],
        x: Tensor,
        kept: Tensor,
        parameters: Sequence[Tensor | None],
        *,
        need_x: bool,
    ) -> tuple[list[Tensor | None], Tensor | None]:
        """Gradients of the parameters (W, b, W, b, ... of all networks) and of x.

        Args:
            grad_outputs: One (n, d_L) a network, contiguous; None for an output without a gradient.
            x: The input of the forward pass.
            kept: What it kept.
            parameters: Shaped as the gradients; None for one that is not asked for.
            need_x: Whether the gradient of x is asked for.
        """
        n = x.shape[0]
        complete = n > 0 and all(g is not None for g in grad_outputs)
        fresh = torch.empty_like if complete else torch.zeros_like
        grads = [None if p is None else fresh(p) for p in parameters]
        grad_x = fresh(x) if need_x else None
        if n > 0:
            wanted = any(g is not None for g in grads)
            status = self._backward(
                *self._first, n, x.data_ptr(), self._of_outputs(*map(_place, grad_outputs)),
                kept.data_ptr(),
                self._of_parameters(*map(_place, grads)) if wanted else None,
                None if grad_x is None else grad_x.data_ptr(), torch.get_num_threads(),
            )  # fmt: skip
            _check(status)
        return grads, grad_x


@cache
def _function(name: str, dtype: torch.dtype, library: ctypes.CDLL) -> Any:
    # A prototype of its own: with the types known beforehand a call takes a third of the time.
    prototype = ctypes.CFUNCTYPE(ctypes.c_int, *_ARGUMENTS[name])
    return prototype((f"ph_{name}_{_SUFFIX[dtype]}", library))


def _check(status: int) -> None:
    if status == 2:
        raise MemoryError("a perceptron's kernel could not have the memory that it needs")
    assert status == 0, f"a perceptron's kernel refused its arguments ({status})"


def _place(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _lead(width: int) -> int:
    """The distance between rows of hidden units; as in mlp.cpp."""
    whole = -(-width // 16) * 16
    return whole + 16 if whole % 256 == 0 else whole


def _contiguous(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [t.contiguous() for t in tensors]


def _padded(hidden: Sequence[Tensor], x: Tensor) -> Tensor:
    parts = [F.pad(h, (0, _lead(h.shape[1]) - h.shape[1])).flatten() for h in hidden]
    return torch.cat([x.new_empty(0), *parts])


def _unpadded(kept: Tensor, n: int, widths: Sequence[int]) -> list[Tensor]:
    parts = kept.split([n * _lead(width) for width in widths])
    return [p.view(n, _lead(w))[:, :w] for p, w in zip(parts, widths, strict=True)]


_SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": lambda h: torch.where(h > 0, 1.0, h + 1.0),
    "identity": torch.ones_like,
    "leaky-relu": lambda h: torch.where(h > 0, torch.ones_like(h), 0.2),
    "relu": lambda h: (h > 0).to(h.dtype),
    "sigmoid": lambda h: h * (1.0 - h),
    "tanh": lambda h: 1.0 - h * h,
}
"""f' as a function of f's value."""

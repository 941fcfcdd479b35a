"""Small multilayer perceptrons, forward and backward: native, and their reference in torch.

In reinforcement learning a network of two layers of 64 units meets a few hundred rows, and most of
a step's time is what operators cost beside their arithmetic. Here all layers of one network, or of
several that read the same x, are one call each way.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.errors import KernelError
from phosphene.kernels.declaration import (
    Array,
    Bound,
    Choice,
    Flag,
    Kernel,
    Many,
    Out,
    Rule,
    Size,
    Type,
)
from phosphene.kernels.gate import addresses, gate, memory_of, words
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
_NETWORK = (
    Size("I"),
    Many("weights", ("H", "H'"), "L", chain=("H", "I")),
    Many("biases", ("H",), "L"),
    Choice("activation", ACTIVATION_CODES),
)
_network = gate(Kernel("mlp", _NETWORK), "mlp_network")
_forward = gate(
    Kernel(
        "mlp_forward",
        (
            Type("real"),
            Bound("networks"),
            Size("count"),
            Size("I"),
            Size("O", each=True),
            Size("K"),
            Flag("keep"),
            Array("x", ("n", "I")),
            Many("outputs", ("n", "O"), "count", out=True),
            Out("kept", ("n*K",), when="keep"),
        ),
        "networks count n x outputs kept threads",
        empty=("n", "K"),
    )
)
_backward = gate(
    Kernel(
        "mlp_backward",
        (
            Type("real"),
            Bound("networks"),
            Size("count"),
            Size("I"),
            Size("O", each=True),
            Size("K"),
            Flag("need_x"),
            Array("x", ("n", "I")),
            Many("grad_outputs", ("n", "O"), "count", optional=True),
            Array("kept", ("n*K",)),
            Bound("grads"),
            Out("grad_x", ("n", "I"), zeros=True, when="need_x"),
        ),
        "networks count n x grad_outputs kept grads grad_x threads",
        empty=("n", "K"),
    )
)

_X = Array("x", ("n", "I"))
_MEMORY = Rule("n * I <= MOST", "x would hold {n} rows, more than this machine's memory")
_input = gate(Kernel("mlp", (_X,), rules=(_MEMORY,), empty=("n",)), "mlp_input")
_gradients = gate(
    Kernel(
        "mlp",
        (Size("O"), Size("K"), _X, Array("grad_y", ("n", "O")), Array("kept", ("n*K",))),
        empty=("n", "K"),
    ),
    "mlp_gradients",
)


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
    _check_network(x, weights, biases, activation)
    if not mlp_usable(activation, x, *weights, *biases):
        hidden: list[Tensor] = []
        y = mlp_reference(x, weights, biases, activation, hidden)
        return y, _padded(hidden, x) if keep else None
    weights, biases = _contiguous(weights), _contiguous(biases)
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
    biases = [w.new_empty(w.shape[:1]) for w in weights]  # for their shapes
    _check_network(x, weights, biases, activation)
    widths = [w.shape[0] for w in weights]
    _gradients(widths[-1], sum(map(_lead, widths[:-1])), x, grad_y, kept)
    if not mlp_usable(activation, grad_y, x, kept, *weights):
        hidden = _unpadded(kept, len(x), widths[:-1])
        grads, of_x = mlp_backward_reference(grad_y, x, hidden, weights, activation)
        return grads[::2], grads[1::2], of_x if need_x else None
    weights = _contiguous(weights)
    parameters = [p for pair in zip(weights, biases, strict=True) for p in pair]
    nets = Networks(parameters, [len(weights)], [activation])
    wanted = [True] * len(parameters)
    found, grad_x = nets.backward([grad_y], x, kept, wanted, need_x=need_x)
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

    What is bound is checked here, once, and its memory is kept; whoever calls it answers for
    parameters that are where they were, for else it computes with what they were.

    Args:
        parameters: W, b, W, b, ... of all layers of all networks, contiguous and of one type.
        depths: How many layers each network has.
        activations: The name of each network's activation.

    Raises:
        KernelError: A layer does not read what the one before it gives.
    """

    def __init__(
        self, parameters: Sequence[Tensor], depths: Sequence[int], activations: Sequence[str]
    ) -> None:
        self.depths, self.activations = tuple(depths), tuple(activations)
        self._bound = [p.detach() for p in parameters]  # their memory, whatever becomes of them
        self.dtype: torch.dtype = self._bound[0].dtype
        self.inputs: int = self._bound[0].shape[-1]
        self.places = [p.data_ptr() for p in self._bound]
        self.outputs: list[int] = []
        self.products = self.kept = 0
        numbers: list[int] = []
        for own, activation in zip(self.split(self._bound), activations, strict=True):
            _network(self.inputs, own[::2], own[1::2], activation)
            if any(p.dtype is not self.dtype or not p.is_contiguous() for p in own):
                raise KernelError("parameters must be contiguous and of one type")
            shapes = [tuple(w.shape) for w in own[::2]]
            widths = [self.inputs, *(out for out, _ in shapes)]
            places = (p.data_ptr() for p in own)
            numbers += [len(shapes), ACTIVATION_CODES[activation], *widths, *places]
            self.kept += sum(_lead(width) for width in widths[1:-1])
            self.products += sum(out * width for out, width in shapes)
            self.outputs.append(widths[-1])
        self.wide = "baseline" not in backend().name  # vectors of more than two or four numbers
        self._numbers = words(numbers)
        place, count = memory_of(self._numbers), len(self.depths)
        self._sizes = (self.dtype, place, count, self.inputs, self.outputs, self.kept)

    def split(self, parameters: Sequence[T]) -> list[Sequence[T]]:
        """What belongs to each network."""
        ends = [2 * end for end in accumulate(self.depths)]
        return [parameters[a:b] for a, b in pairwise([0, *ends])]

    def forward(self, x: Tensor, *, keep: bool) -> tuple[list[Tensor], Tensor | None]:
        """Outputs (n, d_L) of x (n, d_0), and what the backward pass needs."""
        found: tuple[list[Tensor], Tensor | None] | None = _forward(*self._sizes, keep, x)
        assert found is not None, "ask mlp_usable() first"
        return found

    def backward(
        self,
        grad_outputs: Sequence[Tensor | None],
        x: Tensor,
        kept: Tensor,
        wanted: Sequence[bool],
        *,
        need_x: bool,
    ) -> tuple[list[Tensor | None], Tensor | None]:
        """Gradients of the parameters (W, b, W, b, ... of all networks) and of x.

        Args:
            grad_outputs: One (n, d_L) a network; None for an output without a gradient.
            x: The input of the forward pass.
            kept: What it kept.
            wanted: Which parameters' gradients are asked for.
            need_x: Whether the gradient of x is asked for.
        """
        complete = len(x) > 0 and all(g is not None for g in grad_outputs)
        fresh = torch.empty_like if complete else torch.zeros_like
        grads = [fresh(p) if w else None for p, w in zip(self._bound, wanted, strict=True)]
        places = addresses(grads) if any(wanted) else None
        found: tuple[Tensor | None] | None
        found = _backward(*self._sizes, need_x, x, grad_outputs, kept, places)
        assert found is not None, "ask mlp_usable() first"
        return grads, found[0]


def _check_network(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], activation: str
) -> None:
    _input(x)
    _network(x.shape[1], weights, biases, activation)
    if x.dtype is not weights[0].dtype:
        raise KernelError(f"x must be of the weights' type, got {x.dtype}")


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

"""Group normalization where channels come last, what scales it and the silu after it, natively.

One example after another: all passes over it but the first find it in the cache. Torch's kernel for
this layout passes over the whole batch each time, and takes several times as long in half
precision.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.kernels.declaration import Array, Flag, Kernel, Out, Real, Rule, Whole
from phosphene.kernels.gate import gate

__all__ = ["Backward", "Forward", "group_norm", "group_norm_backward"]

Forward = Callable[[Tensor, Tensor, Tensor, int, float, bool], tuple[Tensor, Tensor, Tensor]]
Backward = Callable[
    [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, bool], tuple[Tensor, Tensor, Tensor]
]
_GROUPS = Rule("C % G == 0", "the {G} groups must divide the {C} channels")


def _forward(name: str, stored: str, computed: str, suffix: str) -> Kernel:
    return Kernel(
        name,
        (
            Array("x", ("n", "P", "C"), stored),
            Array("gain", ("C",), computed, rows=("n", "C")),
            Array("shift", ("C",), computed, rows=("n", "C")),
            Whole("G", 1, 2**31 - 1),
            Real("eps", 0.0, float("inf")),
            Flag("activate"),
            Out("y", ("n", "P", "C"), stored),
            Out("mean", ("n", "G"), computed),
            Out("rate", ("n", "G"), computed),
        ),
        "n P C G eps activate x gain gain.rows shift shift.rows y mean rate threads",
        (_GROUPS,),
        empty=("n",),
        mixed=not suffix,
        suffix=suffix,
    )


def _backward(name: str, stored: str, computed: str, suffix: str) -> Kernel:
    return Kernel(
        name,
        (
            Array("x", ("n", "P", "C"), stored),
            Array("gain", ("C",), computed, rows=("n", "C")),
            Array("shift", ("C",), computed, rows=("n", "C")),
            Array("dy", ("n", "P", "C"), stored),
            Array("mean", ("n", "G"), computed),
            Array("rate", ("n", "G"), computed),
            Flag("activate"),
            Out("dx", ("n", "P", "C"), stored),
            Out("dgain", ("n", "C"), computed),
            Out("dshift", ("n", "C"), computed),
        ),
        "n P C G activate x gain gain.rows shift shift.rows dy mean rate dx dgain dshift threads",
        (_GROUPS,),
        empty=("n",),
        mixed=not suffix,
        suffix=suffix,
    )


_group_norm = gate(_forward("group_norm", "real", "real", ""))
_group_norm_backward = gate(_backward("group_norm_backward", "real", "real", ""))
_half_group_norm = gate(_forward("half_group_norm", "bfloat16", "float32", "f32"))
_half_backward = gate(_backward("half_group_norm_backward", "bfloat16", "float32", "f32"))


def group_norm(
    x: Tensor,
    gain: Tensor,
    shift: Tensor,
    groups: int,
    eps: float,
    activate: bool,
    *,
    formula: Forward,
) -> tuple[Tensor, Tensor, Tensor]:
    """f(g (x - m) r + b), m and r = 1 / sqrt(var + eps) of each group of channels.

    Args:
        x: Rows of pixels (n, pixels, channels); bfloat16 too, which is computed in float32.
        gain: g (channels,) or (n, channels).
        shift: b, of either shape.
        groups: They divide the channels.
        eps: Added to the variance.
        activate: f is silu; else it is 1.
        formula: The same in torch, for what the library cannot take.

    Returns:
        The result, of x's shape and type; m and r, (n, groups).

    Raises:
        KernelError: A shape or a type is not as said here, or the groups do not divide.
    """
    way = _half_group_norm if x.dtype == torch.bfloat16 else _group_norm
    found = way(x, gain, shift, groups, eps, activate)
    if found is not None:
        y, mean, rate = found
        return y, mean, rate
    return formula(x, gain, shift, groups, eps, activate)


def group_norm_backward(
    x: Tensor,
    gain: Tensor,
    shift: Tensor,
    dy: Tensor,
    mean: Tensor,
    rate: Tensor,
    activate: bool,
    *,
    formula: Backward,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by x, g and b, the latter two for each example (n, channels).

    Args:
        x: As it was given.
        gain: The same.
        shift: The same.
        dy: The gradient of the result, of x's shape and type.
        mean: m (n, groups), as :func:`group_norm` gave it.
        rate: r, the same.
        activate: Whether f is silu.
        formula: The same in torch, for what the library cannot take.

    Raises:
        KernelError: A shape or a type is not as said here, or the groups do not divide.
    """
    way = _half_backward if x.dtype == torch.bfloat16 else _group_norm_backward
    found = way(x, gain, shift, dy, mean, rate, activate)
    if found is not None:
        dx, dgain, dshift = found
        return dx, dgain, dshift
    return formula(x, gain, shift, dy, mean, rate, activate)

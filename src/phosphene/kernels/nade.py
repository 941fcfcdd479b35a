"""Ancestral sampling of NADE, native; the formula in torch is handed in."""

from collections.abc import Callable

from torch import Tensor

from phosphene.kernels.declaration import Array, Choice, Kernel, Out, Real, Rule
from phosphene.kernels.gate import gate
from phosphene.kernels.library import ACTIVATION_CODES, usable

__all__ = ["nade_sample", "nade_usable"]

_nade = gate(
    Kernel(
        "nade",
        (
            Array("w", ("D", "H")),
            Array("v", ("D", "H")),
            Array("u", ("n", "D")),
            Array("b", ("D",), rows=("n", "D")),
            Array("c", ("H",), rows=("n", "H")),
            Array("given", ("n", "D"), "number", optional=True),
            Array("known", ("n", "D"), "bool", optional=True),
            Choice("activation", ACTIVATION_CODES),
            Real("temperature", 0.0, 1e30),
            Out("x", ("n", "D"), begins="given"),
        ),
        "n D H w v b c b.rows c.rows u known temperature activation threads x",
        (Rule("(given is None) == (known is None)", "given is values and a mask, both"),),
        empty=("n",),
    )
)


def nade_usable(activation: str, *tensors: Tensor) -> bool:
    """Whether the native kernel can take this model: its activation, device and type."""
    return activation in ACTIVATION_CODES and usable(*tensors)


def nade_sample(
    w: Tensor,
    v: Tensor,
    b: Tensor,
    c: Tensor,
    u: Tensor,
    *,
    formula: Callable[..., Tensor],
    activation: str = "sigmoid",
    temperature: float = 1.0,
    given: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Binary samples (n, D) as a function of uniform numbers.

    h_k = f(c + sum_{i<k} W_i x_i), p(x_k = 1) = sigmoid(b_k + V_k h_k). All arguments are in the
    order of generation. ``phosphene.generative.autoregressive.nade.sample_in_turn`` is the formula.

    Args:
        w: (D, H), what each value adds to the activations.
        v: (D, H), the outputs' weights.
        b: (D,), or (n, D) where rows differ.
        c: (H,), or (n, H) where rows differ.
        u: Uniform numbers (n, D) in [0, 1).
        formula: The same function in torch, for what the library cannot take.
        activation: The name of f.
        temperature: Divides the logits; 0 is greedy.
        given: Values (n, D) and a mask (n, D), bool, True where they are kept.

    Raises:
        KernelError: A shape, a type or the temperature is not as said here.
    """
    x: Tensor | None = _nade(w, v, u, b, c, *(given or (None, None)), activation, temperature)
    if x is not None:
        return x
    return formula(w, v, b, c, u, activation=activation, temperature=temperature, given=given)

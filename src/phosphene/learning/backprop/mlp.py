"""Backpropagation through a perceptron of several layers, the recursion alone.

    a_l = W_l z_{l-1} + b_l,  z_l = f_l(a_l)           forward, from z_0 = x
    delta_L = dL/dz_L f_L'(a_L)                        backward, from the loss
    delta_l = (W_{l+1}^T delta_{l+1}) f_l'(a_l)
    dL/dW_l = delta_l z_{l-1}^T,  dL/db_l = delta_l

(Rumelhart, Hinton and Williams, 1986.) delta_l is dL/da_l. Each is made once, from the one above:
all gradients cost about as much as two forward passes.
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from phosphene.core.errors import DataError
from phosphene.learning.backprop.activations import Activation

__all__ = ["delta_below", "mlp_forward", "mlp_gradients"]

Delta = Callable[[Tensor, Tensor, Tensor, Activation], Tensor]


def delta_below(weight: Tensor, delta: Tensor, a: Tensor, f: Activation) -> Tensor:
    """(W^T delta) f'(a): the gradient one layer further down, for each example.

    Args:
        weight: W of the layer above (out, in).
        delta: dL/da of the layer above (n, out).
        a: What the activation was given (n, in).
        f: The activation of the layer below.

    Example:
        >>> import torch
        >>> from phosphene.learning.backprop.activations import ReLU
        >>> a, weight = torch.tensor([[-1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
        >>> delta_below(weight, torch.tensor([[2.0]]), a, ReLU())
        tensor([[0., 8.]])
    """
    return f.backward(a, delta @ weight)


def mlp_forward(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    activations: Sequence[Activation],
) -> tuple[list[Tensor], list[Tensor]]:
    """What each activation is given, a_1 to a_L, and what each layer gives, z_0 = x to z_L.

    Args:
        x: Examples (n, d).
        weights: W_l (out, in) of each layer.
        biases: b_l (out,).
        activations: f_l.

    Raises:
        DataError: There are not as many weights, biases and activations.
    """
    if not len(weights) == len(biases) == len(activations) > 0:
        raise DataError(
            "a layer is a weight, a bias and an activation, got "
            f"{len(weights)}, {len(biases)} and {len(activations)}"
        )
    given, values = [], [x]
    for weight, bias, f in zip(weights, biases, activations, strict=True):
        given.append(values[-1] @ weight.T + bias)
        values.append(f(given[-1]))
    return given, values


def mlp_gradients(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    activations: Sequence[Activation],
    loss_gradient: Callable[[Tensor], Tensor],
    *,
    below: Delta = delta_below,
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Gradients of a loss with respect to all weights and biases, and to the examples.

    Args:
        x: Examples (n, d).
        weights: W_l (out, in) of each layer.
        biases: b_l (out,).
        activations: f_l.
        loss_gradient: dL/dz_L (n, out) from z_L.
        below: The recursion.

    Returns:
        dL/dW_l and dL/db_l, summed over the examples, and dL/dx.

    Example:
        >>> import torch
        >>> from phosphene.learning.backprop.activations import Identity
        >>> x, w, b = torch.tensor([[2.0]]), torch.tensor([[3.0]]), torch.tensor([1.0])
        >>> mlp_gradients(x, [w], [b], [Identity()], lambda z: z)  # of z^2 / 2 at z = 7
        ([tensor([[14.]])], [tensor([7.])], tensor([[21.]]))
    """
    given, values = mlp_forward(x, weights, biases, activations)
    delta = activations[-1].backward(given[-1], loss_gradient(values[-1]))
    by_weight, by_bias = [], []
    for k in reversed(range(len(weights))):
        by_weight.append(delta.T @ values[k])
        by_bias.append(delta.sum(0))
        if k > 0:
            delta = below(weights[k], delta, given[k - 1], activations[k - 1])
    return by_weight[::-1], by_bias[::-1], delta @ weights[0]

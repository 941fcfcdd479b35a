"""Higher derivatives of operations whose backward is written by hand.

A native kernel or a hand-written backward gives first derivatives only. These functions tell when
more is needed, and then take the gradients from the formula in plain torch.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["again_wanted", "batched", "gradients_again", "transformed"]


def transformed() -> bool:
    """Whether ``torch.func`` transforms what is done now, or forward mode is on.

    Memory then does not hold all that a tensor is (its tangent, the other rows of ``vmap``), so
    that nothing may be computed outside of torch's own operations.

    Example:
        >>> seen = []
        >>> slope = torch.func.grad(lambda x: seen.append(transformed()) or x)(torch.tensor(1.0))
        >>> seen, transformed()
        ([True], False)
    """
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def batched(*tensors: Tensor) -> bool:
    """Whether ``torch.func.vmap`` hides the values of one of these: no branch may look at them."""
    if not torch._C._are_functorch_transforms_active():
        return False
    functorch = torch._C._functorch
    for tensor in tensors:
        while functorch.is_functorch_wrapped_tensor(tensor):
            if functorch.is_batchedtensor(tensor):
                return True
            tensor = functorch.get_unwrapped(tensor)
    return False


def again_wanted(*gradients: Tensor | None) -> bool:
    """Whether a backward of our own is asked for gradients with gradients, or for many at once.

    ``once_differentiable`` does not answer this: where the incoming gradient is a constant it lets
    the second derivative be zero.

    Args:
        gradients: What came back; many at once (``is_grads_batched``) have no memory of their own.
    """
    if torch.compiler.is_compiling():
        return False
    if torch.is_grad_enabled() or transformed():
        return True
    return not all(g is None or torch._C._has_storage(g) for g in gradients)


def gradients_again(
    function: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Sequence[Tensor | None],
    gradients: Sequence[Tensor | None],
    needed: Sequence[bool],
    *,
    held: Sequence[Tensor] = (),
) -> list[Tensor | None]:
    """Gradients of ``function(*inputs)`` that can be differentiated again, found by torch.

    Args:
        function: The formula in plain torch, whose results stand as the gradients do.
        inputs: What it is a function of, as it was saved for the backward pass.
        gradients: Those of its results; None where a result was not used.
        needed: Which of the inputs, and after them of ``held``, need one.
        held: Leaves that the function uses without being given them.

    Returns:
        One for each input and each of ``held``, None where it is not needed.

    Example:
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> (slope,) = gradients_again(lambda x: x**3, [x], [torch.tensor(1.0)], [True])
        >>> slope.detach(), torch.autograd.grad(slope, x)[0]
        (tensor(27.), tensor(18.))
    """
    wanted = torch.is_grad_enabled()
    with torch.enable_grad():
        # Views, as one input may be a function of another: its gradient is not to flow through it.
        given = [t if t is None else t.view_as(t) for t in inputs]
        sources = [
            t if need and t is not None and t.requires_grad else None
            for t, need in zip((*given, *held), needed, strict=True)
        ]
        found = function(*given)
        results = [found] if isinstance(found, Tensor) else list(found)
        pairs = [
            (y, g)
            for y, g in zip(results, gradients, strict=True)
            if g is not None and y.requires_grad
        ]
        asked = [t for t in sources if t is not None]
        if not pairs or not asked:
            return [None if t is None else torch.zeros_like(t) for t in sources]
        answers = iter(
            torch.autograd.grad(
                [y for y, _ in pairs],
                asked,
                [g for _, g in pairs],
                create_graph=wanted,
                allow_unused=True,
                materialize_grads=True,
            )
        )
    return [None if t is None else next(answers) for t in sources]

"""Clipping by norm: a gradient that is too long is made shorter, and keeps its direction."""

from collections.abc import Iterable

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError, DivergedError, brief

__all__ = ["clip_factor", "clip_gradient_norm"]


def clip_factor(norm: Tensor, threshold: float) -> Tensor:
    """What gradients are multiplied by: min(1, threshold / (norm + 1e-6)).

    The minimum is the condition "if the norm is above the threshold": without it, short gradients
    would be made longer. 1e-6 is torch's, and keeps the quotient finite.

    Example:
        >>> [round(clip_factor(torch.tensor(norm), 1.0).item(), 3) for norm in (0.5, 4.0)]
        [1.0, 0.25]
    """
    return (threshold / (norm + 1e-6)).clamp(max=1.0)


def clip_gradient_norm(gradients: Iterable[Tensor], threshold: float) -> Tensor:
    """Scale gradients, in place, so that their common norm is at most the threshold.

    Pascanu, Mikolov and Bengio (2013). ``torch.nn.utils.clip_grad_norm_`` gives the same numbers.

    Args:
        gradients: Of all parameters, of one type and device.
        threshold: Above 0.

    Returns:
        Their norm before.

    Raises:
        ConfigError: The threshold is not a number above 0, or the gradients are not tensors of
            real numbers of one type and device.
        DivergedError: A gradient is not finite; nothing was changed.

    Example:
        >>> g = [torch.tensor([3.0]), torch.tensor([4.0])]
        >>> clip_gradient_norm(g, 1.0).item(), round(g[0].item(), 4), round(g[1].item(), 4)
        (5.0, 0.6, 0.8)
    """
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not threshold > 0:
        raise ConfigError(f"threshold must be a number above 0, got {brief(threshold)}")
    all_of_them = _checked(gradients)
    if not all_of_them:
        return torch.tensor(0.0)
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(all_of_them)))
    if not norm.isfinite():
        raise DivergedError(f"the norm of the gradients is {norm.item()}; nothing was clipped")
    torch._foreach_mul_(all_of_them, clip_factor(norm, threshold))
    return norm


def _checked(gradients: Iterable[Tensor]) -> list[Tensor]:
    if not isinstance(gradients, Iterable):
        raise ConfigError(f"gradients must be a list of tensors, got {brief(gradients)}")
    found = list(gradients)
    for g in found:
        real = isinstance(g, Tensor) and g.is_floating_point() and g.layout == torch.strided
        if not real:
            told = f"one of {g.dtype}, {g.layout}" if isinstance(g, Tensor) else brief(g)
            raise ConfigError(f"gradients must be dense tensors of real numbers, got {told}")
    for what in ("dtype", "device"):
        kinds = sorted({str(getattr(g, what)) for g in found})
        if len(kinds) > 1:
            name = "type" if what == "dtype" else what
            raise ConfigError(f"gradients must be of one {name}, got {' and '.join(kinds)}")
    return found

"""Cross-entropy from logits: the negative log-likelihood of classes, and its gradient.

    binary   -y log s(a) - (1 - y) log(1 - s(a)) = max(a, 0) - a y + log(1 + exp -|a|)
    several  -sum_k t_k log y_k = sum_k t_k (log sum_j exp a_j - a_k),   y = softmax(a)

with s(a) = 1 / (1 + exp -a). On the right nothing overflows, and nothing is a logarithm of 0. The
gradient with respect to the logits is what is predicted minus what is: s(a) - y, or y - t. The
logarithm is the one score that a forecast of a single probability earns fairly (Good, 1952).
"""

import torch
from torch import Tensor

from phosphene.core.errors import DataError

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_gradient",
    "cross_entropy",
    "cross_entropy_gradient",
]


def binary_cross_entropy(
    logits: Tensor, targets: Tensor, *, positive_weight: float | Tensor = 1.0
) -> Tensor:
    """-log p(y | a) of a Bernoulli variable with p(1) = s(a), in nats, of each entry.

    Args:
        logits: a, of any shape.
        targets: y of that shape; 0, 1, or a soft target between.
        positive_weight: A factor of the part -y log s(a).

    Returns:
        The losses, of the same shape.

    Raises:
        DataError: Shapes differ, or a target is not between 0 and 1.

    Example:
        >>> a, y = torch.tensor([0.0, 1e4, 1e4]), torch.tensor([1.0, 1.0, 0.0])
        >>> binary_cross_entropy(a, y)
        tensor([6.9315e-01, 0.0000e+00, 1.0000e+04])
    """
    _check(logits, targets)
    tail = torch.log1p(torch.exp(-logits.abs()))
    missed = tail + (-logits).clamp(min=0)  # -log s(a)
    raised = tail + logits.clamp(min=0)  # -log(1 - s(a))
    return positive_weight * targets * missed + (1 - targets) * raised


def binary_cross_entropy_gradient(
    logits: Tensor, targets: Tensor, *, positive_weight: float | Tensor = 1.0
) -> Tensor:
    """d loss / d a = s(a) - y; with a weight c of the ones, (1 - y) s(a) - c y s(-a).

    Example:
        >>> binary_cross_entropy_gradient(torch.zeros(2), torch.tensor([1.0, 0.25]))
        tensor([-0.5000,  0.2500])
    """
    _check(logits, targets)
    return (1 - targets) * torch.sigmoid(logits) - positive_weight * targets * torch.sigmoid(
        -logits
    )


def cross_entropy(logits: Tensor, targets: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """-log p of the class of each example, in nats.

    Args:
        logits: (n, classes).
        targets: Classes (n,), int64, or soft targets (n, classes), which sum to 1.
        weight: A factor for each class (classes,).

    Returns:
        The losses (n,).

    Raises:
        DataError: Shapes differ, or a class is out of range.

    Example:
        >>> cross_entropy(torch.tensor([[0.0, 0.0], [-1e4, 0.0]]), torch.tensor([0, 0]))
        tensor([6.9315e-01, 1.0000e+04])
    """
    t = _weighted(_soft(logits, targets), weight)
    return (t * (torch.logsumexp(logits, 1, keepdim=True) - logits)).sum(1)


def cross_entropy_gradient(
    logits: Tensor, targets: Tensor, *, weight: Tensor | None = None
) -> Tensor:
    """d loss / d a = softmax(a) - t; with weights c, softmax(a) sum_k c_k t_k - c t.

    Example:
        >>> cross_entropy_gradient(torch.zeros(1, 2), torch.tensor([1]))
        tensor([[ 0.5000, -0.5000]])
    """
    t = _weighted(_soft(logits, targets), weight)
    return torch.softmax(logits, 1) * t.sum(1, keepdim=True) - t


def _check(logits: Tensor, targets: Tensor) -> None:
    if logits.shape != targets.shape:
        raise DataError(
            f"logits have shape {tuple(logits.shape)} and targets {tuple(targets.shape)}"
        )
    _in_unit(targets)


def _in_unit(targets: Tensor) -> None:
    if not bool(((targets >= 0) & (targets <= 1)).all()):
        odd = targets[~((targets >= 0) & (targets <= 1))][0]
        raise DataError(f"targets must be between 0 and 1, got {float(odd):g}")


def _soft(logits: Tensor, targets: Tensor) -> Tensor:
    """Targets as distributions (n, classes)."""
    if logits.ndim != 2:
        raise DataError(f"logits must be (n, classes), got shape {tuple(logits.shape)}")
    if targets.is_floating_point():
        _check(logits, targets)
        if not bool(((targets.sum(1) - 1).abs() < 1e-4).all()):
            raise DataError("soft targets must sum to 1 in each row")
        return targets
    if targets.shape != logits.shape[:1]:
        raise DataError(f"{len(logits)} rows of logits need as many classes, got {targets.shape}")
    k = logits.shape[1]
    if not bool(((targets >= 0) & (targets < k)).all()):
        odd = int(targets[(targets < 0) | (targets >= k)][0])
        raise DataError(f"targets must be classes 0 to {k - 1}, got {odd}")
    return torch.nn.functional.one_hot(targets.long(), k).to(logits.dtype)


def _weighted(t: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return t
    if weight.shape != t.shape[1:]:
        raise DataError(f"weight must be ({t.shape[1]},), got {tuple(weight.shape)}")
    return t * weight

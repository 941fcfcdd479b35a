"""Clipping by norm needs its condition."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.recurrent.clipping import clip_factor, clip_gradient_norm
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "If |g| > c: g <- c g / |g|. Else g stays. So g <- min(1, c / (|g| + 1e-6)) g: never longer "
    "than before nor than c, and of the same direction. 1e-6 is torch's."
)
_C = 1.0


def prove(seed: int = 0, *, formula: Callable[[Tensor, float], Tensor] = clip_factor) -> Proof:
    """Clip gradients of many lengths.

    Pascanu, Mikolov and Bengio (2013), whose algorithm 1 begins with "if".

    Args:
        seed: Of the gradients.
        formula: What gradients are multiplied by, from their norm and the threshold.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed)
    rows = []
    for length in (1e-3, 0.5, 2.0, 1e3):
        gradient = torch.randn(50, generator=g, dtype=torch.float64)
        gradient = length * gradient / gradient.norm()
        found = formula(gradient.norm(), _C) * gradient
        peer = torch.zeros(50, dtype=torch.float64, requires_grad=True)
        peer.grad = gradient.clone()
        torch.nn.utils.clip_grad_norm_([peer], _C)
        own = [gradient.clone()]
        clip_gradient_norm(own, _C)
        rows += [
            equal(f"|g| = {length:g}: less torch's", (found - peer.grad).norm() / length, 0, 1e-12),
            equal(
                f"|g| = {length:g}: clip_gradient_norm less torch's",
                (own[0] - peer.grad).norm(),
                0,
                0,
            ),
            equal(
                f"|g| = {length:g}: cosine of the angle",
                torch.cosine_similarity(found, gradient, 0),
                1,
                1e-12,
            ),
            below(f"|g| = {length:g}: norm after", found.norm(), min(length, _C), 1e-12),
        ]
    return Proof("clipping-condition", "Clipping of gradients", _STATEMENT, rows)


def _always(norm: Tensor, threshold: float) -> Tensor:
    return threshold / norm


WRONG = Wrong(
    "g <- c g / |g| whatever |g|, as the notes print it: without the condition short gradients are "
    "made longer",
    {"formula": _always},
)

"""Cross-entropy is a negative log-likelihood, and its slope the prediction minus the target.

(Good, 1952.)
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.linear.cross_entropy import (
    binary_cross_entropy,
    binary_cross_entropy_gradient,
    cross_entropy,
    cross_entropy_gradient,
)
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "-y log s(a) - (1 - y) log(1 - s(a)) = -log p(y | a) for y in {0, 1}, and its derivative with "
    "respect to the logit a is s(a) - y, the prediction minus the target; for several classes "
    "softmax(a) - t. Written max(a, 0) - a y + log(1 + exp -|a|) it is finite at every logit."
)
Loss = Callable[[Tensor, Tensor], Tensor]


def prove(seed: int = 0, *, formula: Loss = binary_cross_entropy) -> Proof:
    """Compare with torch, with a Bernoulli variable, and the slopes with automatic ones.

    Args:
        seed: Of logits and targets.
        formula: The loss of each logit and target.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed)
    a = 4 * torch.randn(1000, generator=g, dtype=torch.float64)
    soft = torch.rand(1000, generator=g, dtype=torch.float64)
    y = (soft > 0.5).double()
    extreme = torch.tensor([-1e4, -1e4, 1e4, 1e4], dtype=torch.float64)
    ends = torch.tensor([0.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    logits = 3 * torch.randn(200, 7, generator=g, dtype=torch.float64)
    place = torch.randint(7, (200,), generator=g)
    weight = torch.rand(7, generator=g, dtype=torch.float64)
    bernoulli = torch.distributions.Bernoulli(logits=a)
    with_logits = F.binary_cross_entropy_with_logits
    rows = [
        below(
            "against -log p of a Bernoulli variable",
            _gap(formula(a, y), -bernoulli.log_prob(y)),
            1e-12,
        ),
        below(
            "against torch, soft targets",
            _gap(formula(a, soft), with_logits(a, soft, reduction="none")),
            1e-12,
        ),
        equal("logit 10,000, target 0: nats", _finite(formula(extreme, ends)[2]), 1e4, 1e-9),
        equal("logit -10,000, target 0: nats", _finite(formula(extreme, ends)[0]), 0, 1e-9),
        below(
            "slope s(a) - y against the automatic one",
            _gap(binary_cross_entropy_gradient(a, soft), _slope(formula, a, soft)),
            1e-12,
        ),
        below(
            "s(a) - y itself",
            _gap(torch.sigmoid(a) - soft, binary_cross_entropy_gradient(a, soft)),
            1e-12,
        ),
        below(
            "ones weighted 3: slope against torch's automatic one", _weighted_gap(a, soft), 1e-12
        ),
        below(
            "7 classes, weighted: loss against torch",
            _gap(
                cross_entropy(logits, place, weight=weight),
                F.cross_entropy(logits, place, weight, reduction="none"),
            ),
            1e-12,
        ),
        below(
            "7 classes, weighted: slope against torch's automatic one",
            _class_gap(logits, place, weight),
            1e-12,
        ),
    ]
    line = torch.linspace(-6, 6, 121, dtype=torch.float64)
    figure = {
        "x": line,
        "target 1": formula(line, torch.ones_like(line)),
        "target 0": formula(line, torch.zeros_like(line)),
    }
    return Proof("cross-entropy-is-likelihood", "Cross-entropy", _STATEMENT, rows, figure)


def _slope(loss: Loss, a: Tensor, y: Tensor) -> Tensor:
    at = a.clone().requires_grad_()
    return torch.autograd.grad(loss(at, y).sum(), at)[0]


def _weighted_gap(a: Tensor, y: Tensor) -> float:
    three = torch.tensor(3.0, dtype=a.dtype)
    peer = _slope(
        lambda a, y: F.binary_cross_entropy_with_logits(a, y, pos_weight=three, reduction="none"),
        a,
        y,
    )
    return _gap(binary_cross_entropy_gradient(a, y, positive_weight=three), peer)


def _class_gap(logits: Tensor, place: Tensor, weight: Tensor) -> float:
    at = logits.clone().requires_grad_()
    peer = torch.autograd.grad(F.cross_entropy(at, place, weight, reduction="sum"), at)[0]
    return _gap(cross_entropy_gradient(logits, place, weight=weight), peer)


def _finite(value: Tensor) -> Tensor:
    """What is not finite, as a number that no row takes for right."""
    return torch.nan_to_num(value, nan=-1.0, posinf=-1.0, neginf=-1.0)


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def _fragment(logits: Tensor, targets: Tensor) -> Tensor:
    """The sum as it is written; logarithms of 0 are cut off at -100, as torch does."""
    p = torch.sigmoid(logits)
    return -targets * p.log().clamp(min=-100) - (1 - targets) * (1 - p).log().clamp(min=-100)


WRONG = Wrong(
    "-y log s(a) - (1 - y) log(1 - s(a)), computed as the notes print it: at 10,000 both s(a) "
    "rounds to 1 and the logarithm of 0 is cut off",
    {"formula": _fragment},
)

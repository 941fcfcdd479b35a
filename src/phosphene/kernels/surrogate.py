"""The loss of PPO for discrete actions and its gradients in one native call."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.kernels.attached import attached
from phosphene.kernels.declaration import Array, Kernel, Out, Range, Real, Rule
from phosphene.kernels.gate import gate

__all__ = ["Formula", "Moments", "Weights", "surrogate"]

_ANY = (-float("inf"), float("inf"))
_surrogate = gate(
    Kernel(
        "surrogate",
        (
            Array("logits", ("n", "A")),
            Array("value", ("n",)),
            Array("action", ("n",), "int64"),
            Array("log_prob", ("n",)),
            Array("advantage", ("n",)),
            Array("target", ("n",)),
            Array("before", ("n",)),
            Real("clip", 0.0, float("inf")),
            Real("clip_value", *_ANY),
            Real("c_value", *_ANY),
            Real("c_entropy", *_ANY),
            Out("by_logits", ("n", "A")),
            Out("by_value", ("n",)),
            Out("means", (5,)),
        ),
        "n A logits value action log_prob advantage target before clip clip_value c_value c_entropy"
        " by_logits by_value means",
        (
            Range("action", "0", "A", inside=True),
            Rule("clip_value >= 0 or clip_value == -1", "clip_value must not be negative"),
        ),
        empty=("n",),
        mixed=True,
    )
)


@dataclass(frozen=True)
class Weights:
    """What the surrogate is made with.

    Args:
        clip: How far the ratio may go from 1.
        clip_value: How far values may go from what they were; None for any distance.
        value: Weight of the value's error.
        entropy: Weight of the entropy.
    """

    clip: float
    clip_value: float | None
    value: float
    entropy: float


@dataclass(frozen=True)
class Moments:
    """What was done and what came of it, n moments.

    Args:
        action: (n,), int64.
        log_prob: (n,), under the policy that did it.
        advantage: (n,).
        target: What the value should be (n,).
        value: What it was (n,).
    """

    action: Tensor
    log_prob: Tensor
    advantage: Tensor
    target: Tensor
    value: Tensor


Formula = Callable[[Tensor, Tensor, Moments, Weights], tuple[Tensor, Tensor]]


def surrogate(
    logits: Tensor, value: Tensor, moments: Moments, weights: Weights, formula: Formula
) -> tuple[Tensor, Tensor]:
    """The loss of Schulman et al. (2017) and what it is made of.

    ``phosphene.decision.deep.ppo.loss_of_logits`` is the formula.

    Args:
        logits: (n, A).
        value: (n,).
        moments: The batch.
        weights: Clipping and coefficients.
        formula: The same function in torch, for what the library cannot take and for gradients
            that have gradients.

    Returns:
        The loss, and five means without gradient: -surrogate, squared error of the value, entropy,
        an estimate of KL(old || new), and the part of the ratios beyond the clipping range.

    Raises:
        KernelError: A shape or a type is not as said here, or there is no such action.
    """
    m, w, found = moments, weights, None
    if not torch.compiler.is_compiling():
        clip_value = -1.0 if w.clip_value is None else w.clip_value
        with torch.no_grad():
            found = _surrogate(
                logits, value, m.action, m.log_prob, m.advantage, m.target, m.value,
                w.clip, clip_value, w.value, w.entropy,
            )  # fmt: skip
    if found is None:
        return formula(logits, value, moments, weights)
    by_logits, by_value, means = found
    policy, error, entropy = means[:3].tolist()
    total = means.new_tensor(policy + w.value * error - w.entropy * entropy)

    def loss(logits: Tensor, value: Tensor) -> Tensor:
        return formula(logits, value, moments, weights)[0]

    return attached(total, loss, (logits, by_logits), (value, by_value)), means

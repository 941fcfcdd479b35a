"""The clipped surrogate of PPO for discrete actions: loss and gradients in one native call."""

from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.kernels.attached import attached
from phosphene.kernels.declaration import Array, Kernel, Out, Range, Real, Rule
from phosphene.kernels.gate import gate

__all__ = [
    "Moments",
    "Weights",
    "assembled",
    "clipped_surrogate",
    "surrogate_reference",
]

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


def clipped_surrogate(
    logits: Tensor, value: Tensor, moments: Moments, weights: Weights
) -> tuple[Tensor, Tensor]:
    r"""The loss of Schulman et al. (2017) and what it is made of.

    .. math::
        L = \mathrm{mean}[-\min(r A, \mathrm{clip}(r, 1 \pm \epsilon) A)] + c_v\,\mathrm{mean}[e]
        - c_e\,\mathrm{mean}[H]

    Args:
        logits: (n, A).
        value: (n,).
        moments: The batch.
        weights: Clipping and coefficients.

    Returns:
        The loss, and five means without gradient: -surrogate, squared error of the value, entropy,
        an estimate of KL(old || new), and the part of the ratios beyond the clipping range.

    Raises:
        KernelError: A shape or a type is not as said here, or there is no such action.

    Example:
        >>> one = torch.ones(4)
        >>> moments = Moments(torch.zeros(4, dtype=torch.long), -0.6931 * one, one, one, one)
        >>> loss, means = clipped_surrogate(
        ...     torch.zeros(4, 2), 0 * one, moments, Weights(0.2, None, 0.5, 0.0)
        ... )
        >>> round(float(loss), 3)  # -1 + 0.5
        -0.5
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
        return surrogate_reference(logits, value, moments, weights)
    by_logits, by_value, means = found
    policy, error, entropy = means[:3].tolist()
    total = means.new_tensor(policy + w.value * error - w.entropy * entropy)

    def formula(logits: Tensor, value: Tensor) -> Tensor:
        return surrogate_reference(logits, value, moments, weights)[0]

    return attached(total, formula, (logits, by_logits), (value, by_value)), means


def surrogate_reference(
    logits: Tensor, value: Tensor, moments: Moments, weights: Weights
) -> tuple[Tensor, Tensor]:
    """The same in torch."""
    m = moments
    log_probs = logits.log_softmax(1)
    entropy = -(log_probs.exp() * log_probs).sum(1).mean()
    log_ratio = log_probs.gather(1, m.action[:, None]).squeeze(1) - m.log_prob
    return assembled(log_ratio, entropy, value, moments, weights)


def assembled(
    log_ratio: Tensor, entropy: Tensor, value: Tensor, moments: Moments, weights: Weights
) -> tuple[Tensor, Tensor]:
    """Loss and means of any policy, given its log-ratio (n,) and its mean entropy."""
    m, w = moments, weights
    ratio, a = log_ratio.exp(), m.advantage
    gain = torch.minimum(ratio * a, ratio.clamp(1 - w.clip, 1 + w.clip) * a)
    error = (value - m.target).square()
    if w.clip_value is not None:
        moved = m.value + (value - m.value).clamp(-w.clip_value, w.clip_value)
        error = torch.maximum(error, (moved - m.target).square())
    policy, squared = -gain.mean(), error.mean()
    total = policy + w.value * squared - w.entropy * entropy
    with torch.no_grad():
        kl = (ratio - 1 - log_ratio).mean()
        beyond = ((ratio - 1).abs() > w.clip).to(ratio.dtype).mean()
        means = torch.stack([policy, squared, entropy, kl, beyond])
    return total, means

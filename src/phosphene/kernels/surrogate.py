"""The clipped surrogate of PPO for discrete actions: loss and gradients in one native call."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from phosphene.kernels.library import call, usable

__all__ = [
    "Moments",
    "Weights",
    "assembled",
    "clipped_surrogate",
    "surrogate_reference",
    "surrogate_usable",
]


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


def surrogate_usable(logits: Tensor, value: Tensor) -> bool:
    """Whether the native kernel can take these, gradients included."""
    return not torch.compiler.is_compiling() and usable(logits.detach(), value.detach())


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

    Example:
        >>> one = torch.ones(4)
        >>> moments = Moments(torch.zeros(4, dtype=torch.long), -0.6931 * one, one, one, one)
        >>> loss, means = clipped_surrogate(
        ...     torch.zeros(4, 2), 0 * one, moments, Weights(0.2, None, 0.5, 0.0)
        ... )
        >>> round(float(loss), 3)  # -1 + 0.5
        -0.5
    """
    if not surrogate_usable(logits, value):
        return surrogate_reference(logits, value, moments, weights)
    total, means = _Surrogate.apply(logits, value, moments, weights)
    return total, means


class _Surrogate(torch.autograd.Function):
    """The kernel gives the gradients with the loss; backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, value: Tensor, moments: Moments, weights: Weights
    ) -> tuple[Tensor, Tensor]:
        m, w = moments, weights
        logits, value = logits.contiguous(), value.contiguous()
        by_logits, by_value = torch.empty_like(logits), torch.empty_like(value)
        means = logits.new_empty(5)
        given = (m.action, m.log_prob, m.advantage, m.target, m.value)
        call(
            "surrogate", logits.dtype, *logits.shape, logits, value,
            *(t.contiguous() for t in given), float(w.clip),
            -1.0 if w.clip_value is None else float(w.clip_value), float(w.value),
            float(w.entropy), by_logits, by_value, means,
        )  # fmt: skip
        policy, error, entropy = means[:3].tolist()
        ctx.save_for_backward(by_logits, by_value)
        ctx.mark_non_differentiable(means)
        return means.new_tensor(policy + w.value * error - w.entropy * entropy), means

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        by_logits, by_value = ctx.saved_tensors
        return grad * by_logits, grad * by_value, None, None


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

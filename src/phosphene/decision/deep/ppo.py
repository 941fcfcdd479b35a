r"""Proximal policy optimization: several steps on each rollout, with a clipped ratio."""

from collections.abc import Sequence

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.environment import Environment
from phosphene.core.phase import Loss, Phase
from phosphene.core.ranges import Count, Part, Positive
from phosphene.core.settings import setting
from phosphene.core.subject import Ranks
from phosphene.decision.deep.actor_critic import ActorCritic
from phosphene.decision.deep.distributions import Gaussian
from phosphene.decision.deep.layers.quick_mlp import quick_mlps
from phosphene.decision.deep.masks import forbid
from phosphene.decision.deep.observations import RunningScale
from phosphene.decision.deep.rollouts import RolloutBatch, Rollouts, batches_of
from phosphene.decision.deep.settings import EnvironmentSettings, RewardSettings, ValueSettings
from phosphene.kernels.surrogate import Moments, Weights, surrogate

__all__ = ["PPO", "clipped_surrogate", "generalized_advantage", "loss_of", "loss_of_logits"]


class PPO(EnvironmentSettings, ValueSettings, RewardSettings, ActorCritic):
    r"""Proximal policy optimization with a clipped ratio (Schulman et al., 2017).

    .. math::
        L = \mathbb E\left[-\min\!\left(r A,\ \mathrm{clip}(r, 1 - \epsilon, 1 + \epsilon)\,
        A\right) + c_v \left(V(s) - G\right)^2 - c_e H[\pi(\cdot|s)]\right],
        \qquad r = \frac{\pi(a|s)}{\pi_{\text{old}}(a|s)}

    with advantages A by :func:`generalized_advantage` (Schulman et al., 2016) and G = A + V the
    lambda-return. Where the ratio has left the clipping range on the side that A asks for, the
    gradient is zero: the policy cannot run away from what the rollout knows of. An episode that the
    time limit cuts off is worth the value of where it was cut.

    Each cycle of the trainer acts for ``steps`` steps in each environment and takes ``epochs``
    passes over that rollout in batches of ``batch_size``.

    Args:
        spec: Of the environment; actions may be discrete or continuous.

    Raises:
        ConfigError: batch_size does not divide a rollout, or a coefficient is out of range.

    Example:
        >>> import torch, phosphene as ph
        >>> agent = ph.build("ppo", ph.decision.make("CartPole-v1").spec, seed=0)
        >>> agent.act(torch.zeros(2, 4)).shape
        torch.Size([2])
    """

    steps: Count = setting(default=128, help="Time steps of a rollout.")
    epochs: Count = setting(default=10, help="Passes over each rollout.")
    batch_size: Count = setting(
        default=256,
        help="Time steps in a gradient step, over all ranks; it divides environments x steps.",
    )
    lambda_: Part = setting(
        default=0.95, help="lambda of generalized advantage estimation, 0 to 1."
    )
    clip: Positive = setting(
        default=0.2, help="epsilon: the probability ratio is clipped to 1 - epsilon .. 1 + epsilon."
    )
    clip_value: float | None = setting(
        default=None,
        help="Clip changes of V to this distance too; None for no clipping.",
    )
    normalize: bool = setting(
        default=True, help="Whether advantages are normalized within each batch."
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.repeat = self.epochs * batches_of(self.environments * self.steps, self.batch_size)
        self.weights = Weights(self.clip, self.clip_value, self.c_value, self.c_entropy)
        self.rewards = RunningScale((), center=False) if self.scale_rewards else None

    def experience(self, environment: Environment, seed: int, ranks: Ranks) -> Rollouts:
        """Rollouts, each used for ``epochs`` passes."""
        return Rollouts(
            self, environment, seed, ranks, steps=self.steps, epochs=self.epochs,
            batch_size=self.batch_size, gamma=self.gamma, lambda_=self.lambda_,
            normalize=self.normalize, formula=generalized_advantage, rewards=self.rewards,
        )  # fmt: skip

    def phases(self) -> Sequence[Phase]:
        """All gradient steps on one rollout."""
        return [Phase("policy", list(self.parameters()), self.loss, repeat=self.repeat)]

    def loss(self, batch: Batch) -> Loss:
        """The clipped surrogate, the value's error and the entropy."""
        assert isinstance(batch, RolloutBatch)
        features = self.eyes(batch.x)
        out, value = quick_mlps((self.actor, self.critic), features)
        out, value = forbid(self.spec, features, out), value.squeeze(1)
        moments = Moments(
            batch.action, batch.log_prob, batch.advantage, batch.target, batch.value
        )  # fmt: skip
        if self.spec.discrete:
            total, means = surrogate(out, value, moments, self.weights, loss_of_logits)
        else:
            policy = Gaussian(out, self.log_std)
            log_ratio = policy.log_prob(batch.action) - batch.log_prob
            entropy = policy.entropy().mean()
            total, means = loss_of(log_ratio, entropy, value, moments, self.weights)
        names = ("policy", "value", "entropy", "kl", "clipped")
        return Loss(total, dict(zip(names, means.unbind(), strict=True)))


def generalized_advantage(
    reward: Tensor,
    value: Tensor,
    following: Tensor,
    terminated: Tensor,
    done: Tensor,
    *,
    gamma: float,
    lambda_: float,
) -> Tensor:
    r"""Advantages (t, n) by one backward scan over time (Schulman et al., 2016).

    .. math::
        \delta_t = r_t + \gamma (1 - e_t) V'_t - V_t, \qquad
        A_t = \delta_t + \gamma \lambda (1 - d_t) A_{t+1}

    with e for termination, after which nothing is earned, and d for any end of an episode, after
    which the next row belongs to another one. A + V is the lambda-return: with lambda = 1 what was
    earned and, where the rollout or the time limit cut it, the value of what would follow; with
    lambda = 0 the target of one-step temporal differences.

    This is the formula; rollouts take the kernel of ``phosphene.kernels.returns`` where it is
    there.

    Args:
        reward: (t, n).
        value: V (t, n) of where one acted.
        following: V' (t, n) of what the action led to, before any new episode; its value where the
            episode terminated does not matter.
        terminated: (t, n), bool.
        done: (t, n), bool: terminated or truncated.
        gamma: Discount.
        lambda_: Weight of longer looks ahead, 0 to 1.

    Example:
        >>> one, no = torch.ones(2, 1), torch.zeros(2, 1, dtype=torch.bool)
        >>> way = {"gamma": 0.5, "lambda_": 1.0}
        >>> generalized_advantage(one, 0 * one, 0 * one, no, no, **way).flatten().tolist()
        [1.5, 1.0]
    """
    delta = reward + gamma * torch.where(terminated, 0.0, following) - value
    out, beyond = torch.empty_like(delta), delta.new_zeros(delta.shape[1:])
    for t in reversed(range(len(delta))):
        beyond = delta[t] + gamma * lambda_ * torch.where(done[t], 0.0, beyond)
        out[t] = beyond
    return out


def clipped_surrogate(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    r"""What the policy is to raise (n,): :math:`\min(r A, \mathrm{clip}(r, 1 \pm \epsilon) A)`.

    Example:
        >>> r = torch.tensor([0.5, 1.5, 0.5, 1.5])
        >>> clipped_surrogate(r, torch.tensor([1.0, 1.0, -1.0, -1.0]), 0.2).tolist()
        [0.5, 1.2000000476837158, -0.800000011920929, -1.5]
    """
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def loss_of(
    log_ratio: Tensor, entropy: Tensor, value: Tensor, moments: Moments, weights: Weights
) -> tuple[Tensor, Tensor]:
    """The loss of any policy, given its log-ratio (n,), its mean entropy and the values (n,).

    Returns:
        The loss, and five means without gradient: -surrogate, squared error of the value, entropy,
        an estimate of KL(old || new), and the part of the ratios beyond the clipping range.
    """
    m, w = moments, weights
    ratio = log_ratio.exp()
    error = (value - m.target).square()
    if w.clip_value is not None:
        moved = m.value + (value - m.value).clamp(-w.clip_value, w.clip_value)
        error = torch.maximum(error, (moved - m.target).square())
    policy, squared = -clipped_surrogate(ratio, m.advantage, w.clip).mean(), error.mean()
    total = policy + w.value * squared - w.entropy * entropy
    with torch.no_grad():
        kl = (ratio - 1 - log_ratio).mean()
        beyond = ((ratio - 1).abs() > w.clip).to(ratio.dtype).mean()
        means = torch.stack([policy, squared, entropy, kl, beyond])
    return total, means


def loss_of_logits(
    logits: Tensor, value: Tensor, moments: Moments, weights: Weights
) -> tuple[Tensor, Tensor]:
    """:func:`loss_of` a categorical policy, given its logits (n, A).

    This is the formula; training takes the kernel of ``phosphene.kernels.surrogate`` where it is
    there.

    Example:
        >>> one = torch.ones(4)
        >>> moments = Moments(torch.zeros(4, dtype=torch.long), -0.6931 * one, one, one, one)
        >>> loss, _ = loss_of_logits(
        ...     torch.zeros(4, 2), 0 * one, moments, Weights(0.2, None, 0.5, 0.0)
        ... )
        >>> round(float(loss), 3)  # -1 + 0.5
        -0.5
    """
    log_probs = logits.log_softmax(1)
    entropy = -(log_probs.exp() * log_probs).sum(1).mean()
    now = log_probs.gather(1, moments.action[:, None]).squeeze(1)
    return loss_of(now - moments.log_prob, entropy, value, moments, weights)

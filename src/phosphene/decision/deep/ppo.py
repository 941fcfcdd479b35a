r"""Proximal policy optimization: several steps on each rollout, with a clipped ratio."""

from collections.abc import Sequence

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
from phosphene.kernels.surrogate import Moments, Weights, assembled, clipped_surrogate

__all__ = ["PPO"]


class PPO(EnvironmentSettings, ValueSettings, RewardSettings, ActorCritic):
    r"""Proximal policy optimization with a clipped ratio (Schulman et al., 2017).

    .. math::
        L = \mathbb E\left[-\min\!\left(r A,\ \mathrm{clip}(r, 1 - \epsilon, 1 + \epsilon)\,
        A\right) + c_v \left(V(s) - G\right)^2 - c_e H[\pi(\cdot|s)]\right],
        \qquad r = \frac{\pi(a|s)}{\pi_{\text{old}}(a|s)}

    with advantages A by generalized advantage estimation (Schulman et al., 2016) and G = A + V the
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
            normalize=self.normalize, rewards=self.rewards,
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
            total, means = clipped_surrogate(out, value, moments, self.weights)
        else:
            policy = Gaussian(out, self.log_std)
            log_ratio = policy.log_prob(batch.action) - batch.log_prob
            total, means = assembled(
                log_ratio, policy.entropy().mean(), value, moments, self.weights
            )
        names = ("policy", "value", "entropy", "kl", "clipped")
        return Loss(total, dict(zip(names, means.unbind(), strict=True)))

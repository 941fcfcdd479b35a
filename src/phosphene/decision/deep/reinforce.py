r"""REINFORCE: the policy gradient, estimated from whole episodes."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.environment import Environment
from phosphene.core.phase import Loss, Phase
from phosphene.core.ranges import Count
from phosphene.core.settings import setting
from phosphene.core.subject import Ranks
from phosphene.decision.deep.actor_critic import ActorCritic
from phosphene.decision.deep.ppo import generalized_advantage
from phosphene.decision.deep.settings import EntropySettings
from phosphene.decision.deep.whole_episodes import EpisodeBatch, WholeEpisodes
from phosphene.kernels.returns import advantages

__all__ = ["REINFORCE", "returns_to_go"]


class REINFORCE(EntropySettings, ActorCritic):
    r"""Monte-Carlo policy gradients (Williams, 1992; Sutton, McAllester, Singh and Mansour, 2000).

    .. math::
        \nabla J = \mathbb E\left[\sum_{t < T} \gamma^t
        \left(G_t - b(s_t)\right) \nabla \log \pi(a_t | s_t)\right], \qquad
        G_t = \sum_{k \ge t} \gamma^{k - t} r_k, \quad J = \mathbb E[G_0]

    Each gradient step follows the mean of this over ``environments`` episodes, played to their
    ends. An episode that the time limit cuts off has earned what it earned until there: J is what
    is earned within the limit.

    - **Reward-to-go.** An action is credited with what came after it. With ``reward_to_go=False``
      it is credited with the whole episode's return (and no factor :math:`\gamma^t`), which is as
      right on average and varies more.
    - **Baseline.** Whatever depends on the state and not on the action changes nothing on average,
      and the variance much. ``baseline="value"`` learns b = V by regression on G. The V that is
      taken from a batch's returns was fitted to earlier episodes only: the estimate stays unbiased.
    - **The factor** :math:`\gamma^t` belongs to the gradient of the discounted J. With
      ``discounted_states=True`` it is kept and the estimate is unbiased. Most code leaves it out,
      as is the default here: the estimate is then biased, and the gradient of no function at all
      (Nota and Thomas, 2020), but late states, whose weight would vanish, are learned from as well.
      Without a discount there is no difference.
    - **Normalizing** the credit of a batch to mean 0 and variance 1 makes the step's size
      independent of the rewards' scale. The batch's own mean is a baseline that depends on the
      actions: that is a bias, which vanishes as episodes grow in number.

    Args:
        spec: Of the environment; actions may be discrete or continuous.

    Raises:
        ConfigError: A number is out of range, or the baseline is unknown.

    Example:
        >>> import phosphene as ph
        >>> agent = ph.build("reinforce", ph.decision.make("CartPole-v1").spec, seed=0)
        >>> agent.act(torch.zeros(2, 4)).shape
        torch.Size([2])
    """

    environments: Count = setting(
        default=16, help="Episodes of a gradient step, played side by side, over all ranks."
    )
    baseline: Literal["none", "value"] = setting(
        default="value", help="``value``, a network fitted to returns, or ``none``."
    )
    reward_to_go: bool = setting(
        default=True, help="Credit actions only with rewards that came after them."
    )
    discounted_states: bool = setting(
        default=False, help="Keep the factor gamma^t in the gradient."
    )
    normalize: bool = setting(default=False, help="Whether the credit of each batch is normalized.")
    value_steps: Count = setting(default=10, help="Gradient steps of the value on each batch.")
    longest: Count = setting(
        default=1000,
        help="Steps after which an episode is cut off, where the environment sets no limit.",
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.baseline == "none":
            del self.critic  # nothing would teach it

    def experience(self, environment: Environment, seed: int, ranks: Ranks) -> WholeEpisodes:
        """Whole episodes, one in each environment."""
        turns = self.value_steps if self.baseline == "value" else 1
        return WholeEpisodes(self, environment, seed, ranks, turns=turns, longest=self.longest)

    def phases(self) -> Sequence[Phase]:
        """A step of the policy, and steps of the value on the same episodes."""
        if self.baseline == "none":
            return [Phase("policy", list(self.parameters()), self.loss)]
        critic = list(self.critic.parameters())
        value = {id(p) for p in critic}
        policy = [p for p in self.parameters() if id(p) not in value]
        return [
            Phase("policy", policy, self.loss),
            Phase("value", critic, self.value_loss, repeat=self.value_steps),
        ]

    def loss(self, batch: Batch) -> Loss:
        """Its gradient is minus the estimate of the policy's gradient."""
        assert isinstance(batch, EpisodeBatch)
        surrogate, entropy = self.surrogate(batch)
        total = -surrogate.mean()
        if self.c_entropy:
            total = total - self.c_entropy * entropy.mean()
        moments = batch.lived.sum()
        return Loss(total, {"entropy": (entropy.sum() / moments).detach()})

    def surrogate(self, batch: EpisodeBatch) -> tuple[Tensor, Tensor]:
        r"""Of each episode: :math:`\sum_t c_t \log \pi(a_t | s_t)` and the entropies' sum, (n,)."""
        policy = self.policy(self.eyes(batch.x[batch.lived]))
        log_prob = _padded(policy.log_prob(batch.action[batch.lived]), batch.lived)
        entropy = _padded(policy.entropy(), batch.lived)
        return (batch.credit * log_prob).sum(1), entropy.sum(1)

    def value_loss(self, batch: Batch) -> Loss:
        """The squared error of V, a mean over episodes and the time that the longest took."""
        assert isinstance(batch, EpisodeBatch)
        value = self.value(self.eyes(batch.x[batch.lived]).detach())
        error = (value - batch.target[batch.lived]).square()
        return Loss(_padded(error, batch.lived).mean())

    @torch.no_grad()
    def credit(self, x: Tensor, reward: Tensor, lived: Tensor) -> tuple[Tensor, Tensor]:
        r"""What each action is credited with, and what was earned from there on.

        Args:
            x: Observations (n, T, \*shape).
            reward: (n, T), 0 where an episode has ended.
            lived: (n, T), bool.

        Returns:
            Credits (n, T), 0 where an episode has ended; returns-to-go (n, T).
        """
        target = returns_to_go(reward, self.gamma)
        credit = target
        if self.baseline == "value":
            credit = target - _padded(self.value(self.eyes(x[lived])), lived)
        if not self.reward_to_go:
            credit = credit[:, :1].expand_as(target)
        if self.normalize:
            own = credit[lived]
            credit = (credit - own.mean()) / (own.std(correction=0) + 1e-8)
        if self.reward_to_go and self.discounted_states:
            t = torch.arange(credit.shape[1], dtype=credit.dtype, device=credit.device)
            credit = credit * self.gamma**t
        return credit * lived, target


def returns_to_go(reward: Tensor, gamma: float) -> Tensor:
    r""":math:`G_t = r_t + \gamma G_{t+1}` (n, T), of rewards (n, T).

    Example:
        >>> returns_to_go(torch.ones(1, 3), 0.5).tolist()
        [[1.75, 1.5, 1.0]]
    """
    by_time = reward.T.contiguous()
    nothing, never = torch.zeros_like(by_time), torch.zeros_like(by_time, dtype=torch.bool)
    found = advantages(
        by_time, nothing, nothing, never, never, gamma=gamma, lambda_=1.0,
        formula=generalized_advantage,
    )  # fmt: skip
    return found.T.contiguous()


def _padded(values: Tensor, lived: Tensor) -> Tensor:
    """Values of the moments that were lived, in their places (n, T); elsewhere 0."""
    return values.new_zeros(lived.shape).masked_scatter(lived, values)

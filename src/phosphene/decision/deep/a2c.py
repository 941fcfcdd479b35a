"""Advantage actor-critic: one gradient step on each short rollout of many environments."""

from phosphene.core.batch import Batch
from phosphene.core.environment import Environment
from phosphene.core.errors import ConfigError
from phosphene.core.phase import Loss
from phosphene.core.ranges import Count, Part
from phosphene.core.settings import setting
from phosphene.core.subject import Ranks
from phosphene.decision.deep.actor_critic import ActorCritic
from phosphene.decision.deep.ppo import generalized_advantage
from phosphene.decision.deep.rollouts import RolloutBatch, Rollouts
from phosphene.decision.deep.settings import EnvironmentSettings, ValueSettings

__all__ = ["A2C"]


class A2C(EnvironmentSettings, ValueSettings, ActorCritic):
    r"""Advantage actor-critic (Mnih et al., 2016; Barto, Sutton and Anderson, 1983).

    .. math::
        L = \mathbb E\left[-A_t \log \pi(a_t | s_t) + c_v \left(V(s_t) - G_t\right)^2
        - c_e H[\pi(\cdot | s_t)]\right]

    The environments act side by side and wait for each other (the synchronous form of A3C). After
    ``steps`` steps in each there is one gradient step on all that they met, with advantages

    .. math::
        A_t = \sum_{k \ge 0} (\gamma\lambda)^k \delta_{t+k}, \qquad
        \delta_t = r_t + \gamma V(s_{t+1}) - V(s_t)

    by generalized advantage estimation (Schulman et al., 2016), which are constants to the
    gradient, and G = A + V. With lambda = 1 they are the n-step advantages of the paper. An episode
    that the time limit cuts off is worth the value of where it was cut. The paper's optimizer is
    RMSprop: ``train={"optimizer": "rmsprop", "eps": 1e-5}``.

    Args:
        spec: Of the environment; actions may be discrete or continuous.

    Raises:
        ConfigError: There are fewer than two moments in a rollout, or a discount is out of range.

    Example:
        >>> import phosphene as ph, torch
        >>> agent = ph.build("a2c", ph.decision.make("CartPole-v1").spec, seed=0)
        >>> agent.act(torch.zeros(2, 4)).shape
        torch.Size([2])
    """

    steps: Count = setting(default=5, help="Time steps between gradient steps.")
    lambda_: Part = setting(
        default=1.0,
        help="lambda of generalized advantage estimation, 0 to 1; 1 sums rewards to the end.",
    )
    normalize: bool = setting(
        default=False, help="Whether the advantages of a step have mean 0 and variance 1."
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.environments * self.steps < 2:
            raise ConfigError(
                "a rollout needs two moments or more, got "
                f"environments={self.environments} and steps={self.steps}"
            )

    def experience(self, environment: Environment, seed: int, ranks: Ranks) -> Rollouts:
        """Rollouts, each used once and whole."""
        return Rollouts(
            self, environment, seed, ranks, steps=self.steps, epochs=1,
            batch_size=self.environments * self.steps, gamma=self.gamma, lambda_=self.lambda_,
            normalize=self.normalize, formula=generalized_advantage,
        )  # fmt: skip

    def loss(self, batch: Batch) -> Loss:
        """The policy's gradient, the value's error and the entropy."""
        assert isinstance(batch, RolloutBatch)
        features = self.eyes(batch.x)
        policy, value = self.both(features)
        policy_loss = -(policy.log_prob(batch.action) * batch.advantage).mean()
        value_loss = (value - batch.target).square().mean()
        entropy = policy.entropy().mean()
        total = policy_loss + self.c_value * value_loss
        if self.c_entropy:
            total = total - self.c_entropy * entropy
        terms = {"policy": policy_loss, "value": value_loss, "entropy": entropy}
        return Loss(total, {name: term.detach() for name, term in terms.items()})

r"""Deep Q-learning: a network in place of the table, and experience that is replayed."""

from collections.abc import Sequence

import torch

from phosphene.core.batch import Batch
from phosphene.core.environment import Environment, EnvSpec
from phosphene.core.phase import Loss, Phase
from phosphene.core.ranges import Count, Natural
from phosphene.core.subject import Ranks
from phosphene.decision.deep.q_network import QAgent, QNetwork
from phosphene.decision.deep.replay import Replay, TransitionBatch
from phosphene.kernels.td_error import td_error

__all__ = ["DeepQLearning"]


class DeepQLearning(QAgent):
    r"""Q-learning with a network and replayed experience (Mnih et al., 2013).

    .. math::
        L = \mathbb E\left[\left(r + \gamma \max_{a'} Q(s', a') - Q(s, a)\right)^2\right]

    Only Q(s, a) is differentiated: what it is moved towards is taken as given, although the same
    network says it (a semi-gradient). After a terminal state nothing is earned; an episode that the
    time limit cut off is worth what would have followed.

    Without hidden layers, where observations are numbers of states, the network is a table, and
    a step of plain gradient descent with the rate :math:`\alpha / 2` on one transition is a step
    of Q-learning (Watkins, 1989) with :math:`\alpha`.

    The network chases its own values: expect less steady learning than of ``dqn``, which holds
    them still for a while.

    Args:
        spec: Of the environment; actions are discrete.
        environments: Copies to act in, side by side, over all ranks.
        act_steps: Steps in each of them a cycle.
        turns: Gradient steps a cycle.
        batch_size: Transitions in a gradient step, over all ranks.
        capacity: Transitions kept; the oldest are written over.
        warmup: Transitions, by random actions, before the first gradient step.
        gamma: Discount.
        epsilon_start: Probability of a random action at first.
        epsilon_end: At last.
        epsilon_steps: Environment steps from the one to the other.
        hidden: Widths of the hidden layers.
        activation: Between them.
        standardize: Whether observations are put on a common scale, that of all met so far.

    Raises:
        EventError: Actions are continuous.
        ConfigError: A number is out of its range.

    Example:
        >>> import phosphene as ph
        >>> agent = ph.build("deep-q-learning", ph.decision.make("CartPole-v1").spec, seed=0)
        >>> agent.act(torch.zeros(2, 4)).shape
        torch.Size([2])
    """

    def __init__(
        self,
        spec: EnvSpec,
        *,
        environments: Count = 8,
        act_steps: Count = 1,
        turns: Count = 1,
        batch_size: Count = 64,
        capacity: Count = 100_000,
        warmup: Natural = 1_000,
        gamma: float = 0.99,
        epsilon_start: float = 1.0,
        epsilon_end: float = 0.05,
        epsilon_steps: int = 10_000,
        hidden: Sequence[int] = (128, 128),
        activation: str = "relu",
        standardize: bool = False,
    ) -> None:
        super().__init__(
            spec, environments=environments, act_steps=act_steps, turns=turns,
            batch_size=batch_size, capacity=capacity, warmup=warmup, gamma=gamma,
            epsilon_start=epsilon_start, epsilon_end=epsilon_end, epsilon_steps=epsilon_steps,
        )  # fmt: skip
        self.online = QNetwork(spec, hidden=hidden, activation=activation, standardize=standardize)

    def experience(self, environment: Environment, seed: int, ranks: Ranks) -> Replay:
        """Transitions, drawn alike."""
        eyes = self.online.eyes
        self.replay = Replay(
            self, environment, seed, ranks, capacity=self.capacity, batch_size=self.batch_size,
            warmup=self.warmup, act_steps=self.act_steps, turns=self.turns, gamma=self.gamma,
            seen=None if eyes.scale is None else eyes.update,
        )  # fmt: skip
        return self.replay

    def phases(self) -> Sequence[Phase]:
        """All gradient steps of a cycle."""
        return [Phase("q", list(self.parameters()), self.loss, repeat=self.turns)]

    def loss(self, batch: Batch) -> Loss:
        """The squared error of temporal differences."""
        assert isinstance(batch, TransitionBatch)
        with torch.no_grad():
            value = self.online(batch.next).amax(1)
        q = self.online(batch.x)
        loss, _, taken = td_error(q, batch.action, batch.reward, batch.discount, value)
        return Loss(loss, {"q": taken})

r"""Deep Q-learning: a network in place of the table, and experience replay."""

from collections.abc import Sequence

import torch

from phosphene.core.batch import Batch
from phosphene.core.environment import Environment
from phosphene.core.phase import Loss, Phase
from phosphene.core.subject import Ranks
from phosphene.decision.deep.q_network import QAgent, QNetwork
from phosphene.decision.deep.replay import Replay, TransitionBatch
from phosphene.decision.deep.settings import QNetworkSettings
from phosphene.kernels.td_error import td_error

__all__ = ["DeepQLearning"]


class DeepQLearning(QNetworkSettings, QAgent):
    r"""Q-learning with a network and experience replay (Mnih et al., 2013).

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

    Raises:
        EventError: Actions are continuous.
        ConfigError: A number is out of its range.

    Example:
        >>> import phosphene as ph
        >>> agent = ph.build("deep-q-learning", ph.decision.make("CartPole-v1").spec, seed=0)
        >>> agent.act(torch.zeros(2, 4)).shape
        torch.Size([2])
    """

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.online = QNetwork(
            self.spec,
            hidden=self.hidden,
            activation=self.activation_name,
            standardize=self.standardize,
        )

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

r"""Deep Q-networks: targets come from a second network that is updated less often."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Annotated

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.environment import Environment
from phosphene.core.phase import Loss, Phase, Step
from phosphene.core.ranges import Count, NotNegative, Within
from phosphene.core.settings import setting
from phosphene.core.subject import Ranks
from phosphene.decision.deep.priorities import Priorities
from phosphene.decision.deep.q_network import QAgent, QNetwork
from phosphene.decision.deep.replay import Replay, TransitionBatch
from phosphene.decision.deep.settings import QNetworkSettings
from phosphene.kernels.td_error import td_error

__all__ = ["DQN"]

_ROWS = 4096  # of what is ahead, at once: images of a whole cycle may not fit into memory


class DQN(QNetworkSettings, QAgent):
    r"""A deep Q-network (Mnih et al., 2015), with the improvements that became usual.

    .. math::
        y = r + \gamma\, Q_{\bar\theta}\!\left(s', \arg\max_{a'} Q_\theta(s', a')\right), \qquad
        L = \mathbb E\left[w\, h\!\left(y - Q_\theta(s, a)\right)\right]

    The parameters :math:`\bar\theta` of the target network follow :math:`\theta` at intervals.

    - **Double** (van Hasselt, Guez and Silver, 2016): the network that learns chooses the action,
      the target network says its value, as above. Otherwise the target network does both, and its
      errors make the value too great.
    - **Dueling** (Wang et al., 2016): Q is put together of V(s) and advantages.
    - **n-step**: r sums several rewards before Q takes over, which spreads news faster; it is not
      corrected for what exploration did in between.
    - **Prioritized** (Schaul et al., 2016): transitions are drawn by the size of their last error,
      and w takes the bias away.
    - **Huber**: h is quadratic up to 1 and linear beyond; otherwise h is the square.
    - **Held** random actions (Dabney, Ostrovski and Barreto, 2021) lead further away than single
      ones: where a goal is never met by chance, they may meet it.

    Where states are images, convolutions come first. After a terminal state nothing is earned;
    an episode that the time limit cut off is worth what would have followed.

    Args:
        spec: Of the environment; actions are discrete.

    Raises:
        EventError: Actions are continuous.
        ConfigError: A number is out of its range.

    Example:
        >>> import phosphene as ph
        >>> agent = ph.build("dqn", ph.decision.make("CartPole-v1").spec, seed=0, dueling=True)
        >>> agent.act(torch.zeros(2, 4)).shape
        torch.Size([2])
    """

    n_step: Count = setting(default=1, help="Steps n of the n-step returns.")
    hold: Count = setting(
        default=1,
        help="Steps for which an environment that acts at random repeats its random action.",
    )
    target_every: Count = setting(
        default=500,
        help="Environment steps between updates of the target network, which fall on ends of "
        "cycles: at most one a cycle.",
    )
    tau: Annotated[float, Within(0, 1, above=True)] = setting(
        default=1.0,
        help="Part of the way that the target network moves in an update; 1 copies the weights.",
    )
    double_q: bool = setting(  # nn.Module has a method called double
        alias="double",
        default=True,
        help="Double Q-learning: the learning network chooses the action of the target.",
    )
    dueling: bool = setting(
        default=False, help="Dueling: separate streams for V and the advantages."
    )
    huber: bool = setting(default=True, help="Huber loss: large errors count linearly.")
    prioritized: bool = setting(
        default=False, help="Prioritized replay: draw transitions in proportion to their errors."
    )
    alpha: NotNegative = setting(default=0.6, help="Exponent of the errors in priorities, 0 to 1.")
    beta: NotNegative = setting(
        default=0.4,
        help="Initial exponent of the importance weights that correct the priorities; it rises to "
        "1.",
    )
    beta_steps: Count = setting(default=100_000, help="Environment steps until that exponent is 1.")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.online = QNetwork(
            self.spec,
            hidden=self.hidden,
            activation=self.activation_name,
            dueling=self.dueling,
            standardize=self.standardize,
        )
        self.target = deepcopy(self.online).requires_grad_(False)
        self._errors: list[Tensor] = []

    def experience(self, environment: Environment, seed: int, ranks: Ranks) -> Replay:
        """Transitions, drawn alike or by their errors."""
        priorities = Priorities(
            self.capacity, alpha=self.alpha, beta=self.beta, steps=self.beta_steps
        )
        eyes = self.online.eyes
        self.replay = Replay(
            self, environment, seed, ranks, capacity=self.capacity, batch_size=self.batch_size,
            warmup=self.warmup, act_steps=self.act_steps, turns=self.turns, gamma=self.gamma,
            n_step=self.n_step, hold=self.hold, ahead=self.value_ahead,
            priorities=priorities if self.prioritized else None,
            seen=None if eyes.scale is None else eyes.update,
        )  # fmt: skip
        return self.replay

    def phases(self) -> Sequence[Phase]:
        """All gradient steps of a cycle; then the target network follows."""
        return [
            Phase("q", list(self.online.parameters()), self.loss, repeat=self.turns),
            Phase("target", [], update=self.follow),
        ]

    def loss(self, batch: Batch) -> Loss:
        """The weighted error of temporal differences."""
        assert isinstance(batch, TransitionBatch)
        with torch.no_grad():
            value = batch.ahead if len(batch.ahead) else self.value_ahead(batch.next)
            chooser = self.online(batch.next) if self.double_q else None
        loss, error, q = td_error(
            self.online(batch.x), batch.action, batch.reward, batch.discount, value,
            weight=batch.weight if self.prioritized else None, chooser=chooser, huber=self.huber,
        )  # fmt: skip
        if self.prioritized:
            self._errors.append(error)
        return Loss(loss, {"q": q})

    @torch.no_grad()
    def value_ahead(self, following: Tensor) -> Tensor:
        """What the target network says of observations: (n,), or of all actions if double (n, A).

        It stands still within a cycle, so that all batches of a cycle are asked for at once.
        """
        parts = [self.target(rows) for rows in following.split(_ROWS)]
        q = parts[0] if len(parts) == 1 else torch.cat(parts)
        return q if self.double_q else q.amax(1)

    @torch.no_grad()
    def follow(self, batch: Batch, step: Step) -> None:
        """Move the target network, when it is time; pass the errors on to the priorities."""
        if self._errors and self.replay is not None:
            self.replay.learn(torch.cat(self._errors).view(self.turns, -1))
        self._errors = []
        if self.replay is not None and not self.replay.passed(self.target_every):
            return
        for mine, its in zip(self.target.buffers(), self.online.buffers(), strict=True):
            mine.copy_(its)
        old: list[Tensor] = list(self.target.parameters())
        new: list[Tensor] = list(self.online.parameters())
        if self.tau == 1:
            torch._foreach_copy_(old, new)
        else:
            torch._foreach_lerp_(old, new, self.tau)

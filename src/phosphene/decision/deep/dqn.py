r"""Deep Q-networks: a second network, which stands still for a while, says what to aim at."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.environment import Environment, EnvSpec
from phosphene.core.errors import ConfigError
from phosphene.core.phase import Loss, Phase, Step
from phosphene.core.ranges import Count, Natural, NotNegative
from phosphene.core.subject import Ranks
from phosphene.decision.deep.priorities import Priorities
from phosphene.decision.deep.q_network import QAgent, QNetwork
from phosphene.decision.deep.replay import Replay, TransitionBatch
from phosphene.kernels.td_error import td_error

__all__ = ["DQN"]

_ROWS = 4096  # of what is ahead, at once: images of a whole cycle may not fit into memory


class DQN(QAgent):
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
        environments: Copies to act in, side by side, over all ranks.
        act_steps: Steps in each of them a cycle.
        turns: Gradient steps a cycle.
        batch_size: Transitions in a gradient step, over all ranks.
        capacity: Transitions kept; the oldest are written over.
        warmup: Transitions, by random actions, before the first gradient step.
        gamma: Discount.
        n_step: Rewards summed before Q takes over.
        epsilon_start: Probability of a random action at first.
        epsilon_end: At last.
        epsilon_steps: Environment steps from the one to the other.
        hold: Steps for which an environment that acts at random repeats its random action.
        target_every: Environment steps between updates of the target network, which fall on ends of
            cycles: at most one a cycle.
        tau: What part of the way the target network then goes; 1 to copy.
        double: Whether the network that learns chooses the action whose value is aimed at.
        dueling: Whether V and the advantages have streams of their own.
        huber: Whether large errors count linearly.
        prioritized: Whether transitions are drawn by their errors.
        alpha: How much the errors matter, 0 to 1.
        beta: How much of that bias is taken away at first; in the end all is.
        beta_steps: Environment steps until then.
        hidden: Widths of the hidden layers, of each stream.
        activation: Between them.
        standardize: Whether observations are put on a common scale, that of all met so far.

    Raises:
        EventError: Actions are continuous.
        ConfigError: A number is out of its range.

    Example:
        >>> import phosphene as ph
        >>> agent = ph.build("dqn", ph.decision.make("CartPole-v1").spec, seed=0, dueling=True)
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
        n_step: Count = 1,
        epsilon_start: float = 1.0,
        epsilon_end: float = 0.05,
        epsilon_steps: int = 10_000,
        hold: Count = 1,
        target_every: int = 500,
        tau: float = 1.0,
        double: bool = True,
        dueling: bool = False,
        huber: bool = True,
        prioritized: bool = False,
        alpha: NotNegative = 0.6,
        beta: NotNegative = 0.4,
        beta_steps: Count = 100_000,
        hidden: Sequence[int] = (128, 128),
        activation: str = "relu",
        standardize: bool = False,
    ) -> None:
        super().__init__(
            spec, environments=environments, act_steps=act_steps, turns=turns,
            batch_size=batch_size, capacity=capacity, warmup=warmup, gamma=gamma,
            epsilon_start=epsilon_start, epsilon_end=epsilon_end, epsilon_steps=epsilon_steps,
        )  # fmt: skip
        if target_every < 1:
            raise ConfigError(f"target_every must be 1 or more, got {target_every}")
        if not 0 < tau <= 1:
            raise ConfigError(f"tau must lie above 0 and be at most 1, got {tau}")
        self.n_step, self.hold, self.target_every, self.tau = n_step, hold, target_every, tau
        # nn.Module has a method called double.
        self._double, self.huber, self.prioritized = double, huber, prioritized
        self.alpha, self.beta, self.beta_steps = alpha, beta, beta_steps
        self.online = QNetwork(
            spec, hidden=hidden, activation=activation, dueling=dueling, standardize=standardize
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
            chooser = self.online(batch.next) if self._double else None
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
        return q if self._double else q.amax(1)

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

"""What agents that learn Q share: the network, and epsilon-greedy actions."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from phosphene.core.agent import Agent
from phosphene.core.environment import EnvSpec
from phosphene.decision.deep.layers.quick_mlp import QuickMLP, quick_mlps
from phosphene.decision.deep.masks import at_random, forbid
from phosphene.decision.deep.observations import Eyes
from phosphene.decision.deep.replay import Replay
from phosphene.decision.deep.settings import EpsilonSettings, ReplaySettings
from phosphene.decision.settings import DiscountSettings

__all__ = ["QAgent", "QNetwork"]


class QNetwork(nn.Module):
    r"""Q(s, a) of all actions at once: eyes, then fully connected layers.

    With ``dueling`` (Wang et al., 2016) two streams follow the eyes, and

    .. math::
        Q(s, a) = V(s) + A(s, a) - \frac{1}{|\mathcal A|} \sum_{a'} A(s, a')

    Without hidden layers, where observations are numbers of states, it is a table that begins at
    zero: one weight for each state and action, and no bias.

    Args:
        spec: Of the environment; actions are discrete.
        hidden: Widths of the hidden layers, of each stream.
        activation: Between them.
        dueling: Whether V and A have streams of their own.
        standardize: Whether observations are put on a common scale, which is saved with it.

    Example:
        >>> from phosphene.core.event import Event
        >>> spec = EnvSpec("maze", Event.tokens(1, 16), actions=4)
        >>> QNetwork(spec, hidden=()).advantage.weight.shape
        torch.Size([4, 16])
    """

    def __init__(
        self,
        spec: EnvSpec,
        *,
        hidden: Sequence[int] = (64, 64),
        activation: str = "relu",
        dueling: bool = False,
        standardize: bool = False,
    ) -> None:
        super().__init__()
        assert spec.actions is not None, "continuous actions are refused before"
        self.spec = spec
        self.eyes = Eyes(spec, standardize=standardize)
        size = self.eyes.size
        self.value: QuickMLP | None = None
        self.advantage: QuickMLP | nn.Linear
        if not hidden and spec.states is not None:
            self.advantage = nn.Linear(size, spec.actions, bias=False)
            nn.init.zeros_(self.advantage.weight)
            return
        self.advantage = QuickMLP(size, hidden, spec.actions, activation=activation, gain=None)
        if dueling:
            self.value = QuickMLP(size, hidden, 1, activation=activation, gain=None)

    def forward(self, observation: Tensor) -> Tensor:
        r"""Map (n, \*shape) to (n, actions)."""
        features = self.eyes(observation)
        return forbid(self.spec, features, self._values(features))

    def _values(self, features: Tensor) -> Tensor:
        advantage, state = self.advantage, self.value  # looked up once: a module takes long
        if isinstance(advantage, nn.Linear):
            q: Tensor = advantage(features.to(advantage.weight.dtype))
            return q
        features = features.to(advantage.dtype)
        if state is None:
            return quick_mlps((advantage,), features)[0]
        q, value = quick_mlps((advantage, state), features)
        return value + q - q.mean(1, keepdim=True)


class QAgent(ReplaySettings, EpsilonSettings, DiscountSettings, Agent):
    r"""Acts by the greatest Q, and at random with probability :math:`\epsilon`.

    epsilon falls linearly over ``epsilon_steps`` environment steps; before ``warmup`` transitions
    are there all actions are random. A random action is uniform over all of them, the greedy one
    included.

    Args:
        spec: Of the environment.

    Raises:
        EventError: Actions are continuous.
        ConfigError: A number is out of its range.
    """

    def setup(self) -> None:
        """Note the actions; nothing is kept yet."""
        super().setup()
        self.online: QNetwork
        self.actions = self.need_discrete()
        self.replay: Replay | None = None

    def epsilon(self, experienced: int) -> float:
        """The probability of a random action after so many environment steps."""
        if experienced < self.warmup:
            return 1.0
        share = min(1.0, experienced / self.epsilon_steps)
        return self.epsilon_start + (self.epsilon_end - self.epsilon_start) * share

    def exploration(self, experienced: int) -> dict[str, float]:
        """epsilon, to be logged."""
        return {"epsilon": self.epsilon(experienced)}

    def noise(self, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
        r"""Uniform numbers (\*shape, 2): whether to act at random, and how."""
        return torch.rand(*shape, 2, generator=generator)

    def explore(self, observation: Tensor, noise: Tensor, experienced: int) -> Tensor:
        """Actions (n,), random ones where the noise lies below epsilon."""
        chance, which = noise.unbind(1)
        random = chance < self.epsilon(experienced)
        few = int(random.sum())
        # One of both is nearly always enough where environments are few.
        if few == len(random):
            return at_random(self.spec, observation, which)
        greedy: Tensor = self.online(observation).argmax(1)
        if not few:
            return greedy
        return torch.where(random, at_random(self.spec, observation, which), greedy)

    def to_env(self, action: Tensor) -> Tensor:
        """The action itself."""
        return action

    @torch.no_grad()
    def choose(
        self,
        observation: Tensor,
        *,
        greedy: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The best action (n,) by Q; otherwise a random one with probability ``epsilon_end``."""
        if greedy:
            q: Tensor = self.online(observation)
            return q.argmax(1)
        noise = self.noise((len(observation),), generator).to(observation.device)
        return self.explore(observation, noise, max(self.epsilon_steps, self.warmup))

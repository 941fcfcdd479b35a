"""Parallelized Q-network: many environments and layer normalization instead of a replay memory."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from phosphene.core.agent import Agent
from phosphene.core.batch import Batch
from phosphene.core.environment import Environment
from phosphene.core.phase import Loss, Phase
from phosphene.core.ranges import Count, Part
from phosphene.core.settings import setting
from phosphene.core.subject import Ranks
from phosphene.decision.deep.masks import at_random, forbid
from phosphene.decision.deep.observations import Eyes, RunningScale, orthogonal
from phosphene.decision.deep.ppo import generalized_advantage
from phosphene.decision.deep.rollouts import RolloutBatch, Rollouts, batches_of
from phosphene.decision.deep.settings import EpsilonSettings, QNetworkSettings, RewardSettings
from phosphene.decision.settings import DiscountSettings
from phosphene.nn.activations import activation_named
from phosphene.nn.mlp import check_widths

__all__ = ["PQN", "NormedMLP"]


class NormedMLP(nn.Module):
    r"""Linear layers, each but the last followed by layer normalization and an activation.

    .. math:: h \leftarrow f\left(g \odot \frac{u - \bar u}{\sqrt{\mathrm{var}\, u + \epsilon}} + b
              \right), \qquad u = W h + c

    Args:
        inputs: Size of the input.
        hidden: Widths of the hidden layers.
        outputs: Size of the output.
        activation: The name of f.
        norm: Whether layers are normalized (Ba, Kiros and Hinton, 2016).

    Example:
        >>> NormedMLP(4, (64, 64), 2)(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        *,
        activation: str = "relu",
        norm: bool = True,
    ) -> None:
        super().__init__()
        check_widths(hidden)
        widths = (inputs, *hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, hidden, strict=False))
        self.norms = nn.ModuleList(nn.LayerNorm(b) for b in hidden if norm)
        self.head = nn.Linear(widths[-1], outputs)
        self.activation = activation_named(activation)
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            orthogonal(layer, 2**0.5)
        orthogonal(self.head, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs) to (n, outputs)."""
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if len(self.norms):
                x = self.norms[i](x)
            x = self.activation(x)
        out: Tensor = self.head(x)
        return out


class PQN(EpsilonSettings, QNetworkSettings, RewardSettings, DiscountSettings, Agent):
    r"""Parallelized Q-network (Gallici, Fellows, Ellis, Pou, Masmitja, Foerster and Martin, 2024).

    .. math::
        L = \tfrac12\, \mathbb E\left(Q_\theta(s_t, a_t) - G_t\right)^2, \qquad
        G_t = r_t + \gamma \left[(1 - \lambda) \max_a Q(s_{t+1}, a) + \lambda\, G_{t+1}\right]

    It is Q-learning with neither memory nor target network. Many environments side by side give
    batches that are diverse enough; layer normalization keeps the bootstrapped values from growing
    without bound. The lambda-returns G are made once, by the network that acted: within a cycle the
    targets stand still. Beyond a terminal state nothing is earned; an episode that the time limit
    cuts off is worth max Q of where it was cut.

    Actions are random with probability epsilon, which falls linearly over ``epsilon_steps``
    environment steps and stands still within a rollout, and otherwise greedy. Each cycle of the
    trainer acts for ``steps`` steps in each environment and takes ``epochs`` passes over that
    rollout in batches of ``batch_size``.

    Args:
        spec: Of the environment; actions are discrete.

    Raises:
        ConfigError: batch_size does not divide a rollout, or a coefficient is out of range.
        EventError: Actions are continuous.

    Example:
        >>> import phosphene as ph
        >>> agent = ph.build("pqn", ph.decision.make("CartPole-v1").spec, seed=0)
        >>> agent.act(torch.zeros(2, 4)).shape
        torch.Size([2])
    """

    environments: Count = setting(
        default=128, help="Environments that are stepped in parallel, over all ranks."
    )
    steps: Count = setting(default=16, help="Time steps of a rollout.")
    epochs: Count = setting(default=4, help="Passes over each rollout.")
    batch_size: Count = setting(
        default=512,
        help="Time steps in a gradient step, over all ranks; it divides environments x steps.",
    )
    lambda_: Part = setting(default=0.9, help="lambda of the lambda-returns, 0 to 1.")
    epsilon_steps: Count = setting(
        default=50_000,
        help="Environment steps over which that probability falls to its last value.",
    )
    norm: bool = setting(default=True, help="Whether each hidden layer is normalized.")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.actions = self.need_discrete()
        self.repeat = self.epochs * batches_of(self.environments * self.steps, self.batch_size)
        self._epsilon = self.epsilon_end  # while no rollout is under way
        self.eyes = Eyes(self.spec, standardize=self.standardize)
        self.network = NormedMLP(
            self.eyes.size,
            self.hidden,
            self.actions,
            activation=self.activation_name,
            norm=self.norm,
        )
        self.rewards = RunningScale((), center=False) if self.scale_rewards else None

    def epsilon(self, experienced: int) -> float:
        """The probability of a random action after so many environment steps."""
        share = min(1.0, experienced / self.epsilon_steps)
        return self.epsilon_start + (self.epsilon_end - self.epsilon_start) * share

    def q(self, observation: Tensor) -> Tensor:
        """Q (n, A) of every action."""
        features = self.eyes(observation)
        return forbid(self.spec, features, self.network(features))

    @torch.no_grad()
    def choose(
        self,
        observation: Tensor,
        *,
        greedy: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The action of greatest Q (n,); otherwise a random one with probability epsilon."""
        if greedy:
            return self.q(observation).argmax(1)
        noise = self.noise((len(observation),), generator).to(observation.device)
        return self._choose(observation, noise, self.epsilon_end)

    # -- what rollouts ask of it ------------------------------------------------------------

    def begin(self, experienced: int) -> None:
        """A rollout begins: epsilon stands still until the next."""
        self._epsilon = self.epsilon(experienced)

    def noise(self, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
        """Whether to act at random, and which action then: (*shape, 2), uniform in [0, 1)."""
        return torch.rand(*shape, 2, generator=generator)

    def explore(self, observation: Tensor, noise: Tensor) -> Tensor:
        """Epsilon-greedy actions (n,); a random one may be the greedy one."""
        return self._choose(observation, noise, self._epsilon)

    def _choose(self, observation: Tensor, noise: Tensor, epsilon: float) -> Tensor:
        best = self.q(observation).argmax(1)
        chance = at_random(self.spec, observation, noise[:, 1])
        return torch.where(noise[:, 0] < epsilon, chance, best)

    def to_env(self, action: Tensor) -> Tensor:
        """Actions as they are."""
        return action

    def value(self, features: Tensor) -> Tensor:
        """max Q (n,), given features (n, size)."""
        return forbid(self.spec, features, self.network(features)).amax(1)

    def assess(self, features: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """max Q of all features; nothing of the actions, as no ratio is asked for."""
        return self.value(features), torch.zeros(len(action), device=features.device)

    # -- learning ---------------------------------------------------------------------------

    def experience(self, environment: Environment, seed: int, ranks: Ranks) -> Rollouts:
        """Rollouts, each used for ``epochs`` passes."""
        return Rollouts(
            self, environment, seed, ranks, steps=self.steps, epochs=self.epochs,
            batch_size=self.batch_size, gamma=self.gamma, lambda_=self.lambda_,
            normalize=False, formula=generalized_advantage, rewards=self.rewards,
        )  # fmt: skip

    def phases(self) -> Sequence[Phase]:
        """All gradient steps on one rollout."""
        return [Phase("q", list(self.parameters()), self.loss, repeat=self.repeat)]

    def loss(self, batch: Batch) -> Loss:
        """Half the squared distance of Q from the lambda-return."""
        assert isinstance(batch, RolloutBatch)
        q = self.q(batch.x).gather(1, batch.action[:, None]).squeeze(1)
        error = q - batch.target
        total = 0.5 * error.square().mean()
        with torch.no_grad():
            terms = {"q": q.mean(), "target": batch.target.mean(), "error": error.abs().mean()}
        terms["epsilon"] = torch.tensor(self._epsilon)
        return Loss(total, terms)

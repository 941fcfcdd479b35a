"""What agents with a policy and a value share: networks, acting, the scale of actions."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from phosphene.core.agent import Agent
from phosphene.core.environment import EnvSpec
from phosphene.core.errors import ConfigError
from phosphene.core.settings import setting
from phosphene.decision.deep.distributions import Categorical, Distribution, Gaussian
from phosphene.decision.deep.layers.quick_mlp import QuickMLP, quick_mlps
from phosphene.decision.deep.masks import forbid
from phosphene.decision.deep.observations import Eyes
from phosphene.decision.deep.settings import ObservationSettings
from phosphene.decision.settings import DiscountSettings

__all__ = ["ActorCritic", "Bounds"]


class Bounds(nn.Module):
    """Between actions in [-1, 1] and an environment's own bounds.

    Example:
        >>> from phosphene.core.event import Event
        >>> Bounds(EnvSpec("Pendulum-v1", Event.real(3), low=(-2.0,), high=(2.0,))).to_env(
        ...     torch.tensor([[0.5], [3.0]])
        ... ).flatten().tolist()
        [1.0, 2.0]
    """

    low: Tensor
    high: Tensor

    def __init__(self, spec: EnvSpec) -> None:
        super().__init__()
        self.register_buffer("low", _within(spec.low, math.inf), persistent=False)
        self.register_buffer("high", _within(spec.high, -math.inf), persistent=False)
        if not bool(torch.isfinite(self.high - self.low).all()):
            raise ConfigError(f"{spec.name} has actions without bounds: {spec.low}..{spec.high}")

    def to_env(self, action: Tensor) -> Tensor:
        """Actions for the environment; what lies beyond -1 and 1 is clipped.

        They are within the bounds to the last bit: float32 rounds the sum, and a bound of float64
        such as 0.1, to numbers that may lie beyond.
        """
        share = (action.clamp(-1, 1) + 1) / 2
        stretched = self.low + share * (self.high - self.low)
        return torch.minimum(torch.maximum(stretched, self.low), self.high)


class ActorCritic(ObservationSettings, DiscountSettings, Agent):
    r"""A policy :math:`\pi_\theta(a | s)` and a value :math:`V_\phi(s)`.

    The policy is categorical for discrete actions and, for continuous ones, a Gaussian whose mean
    is a network's and whose log standard deviations are parameters. Actions of the policy live in
    [-1, 1] and are stretched to the environment's bounds. Policy and value have networks of their
    own; for images they share the convolutions.

    Args:
        spec: Of the environment.
    """

    hidden: Sequence[int] = setting(
        default=(64, 64), help="Widths of both networks' hidden layers."
    )
    activation_name: str = setting(
        alias="activation", default="tanh", help="Activation between the hidden layers."
    )
    first_log_std: float = setting(
        alias="log_std", default=0.0, help="Initial value of the log standard deviations."
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.eyes = Eyes(self.spec, standardize=self.standardize)
        outputs = self.spec.actions or self.spec.action_dim
        size, hidden, f = self.eyes.size, self.hidden, self.activation_name
        self.actor = QuickMLP(size, hidden, outputs, activation=f, gain=0.01)
        self.critic = QuickMLP(size, hidden, 1, activation=f, gain=1.0)
        self.bounds = None if self.spec.discrete else Bounds(self.spec)
        if not self.spec.discrete:
            self.log_std = nn.Parameter(torch.full((outputs,), float(self.first_log_std)))

    def policy(self, features: Tensor) -> Distribution:
        """The distribution of actions, given features (n, size)."""
        out = forbid(self.spec, features, self.actor(features))
        return Categorical(out) if self.spec.discrete else Gaussian(out, self.log_std)

    def value(self, features: Tensor) -> Tensor:
        """V (n,), given features (n, size)."""
        out: Tensor = self.critic(features)
        return out.squeeze(1)

    def assess(self, features: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Values of all features, and log-probabilities of the actions in the first of them."""
        log_prob = self.policy(features[: len(action)]).log_prob(action)
        return self.value(features), log_prob

    def begin(self, experienced: int) -> None:
        """A rollout begins; the policy explores by itself, however much was seen."""

    def both(self, features: Tensor) -> tuple[Distribution, Tensor]:
        """Policy and value of the same features, at the price of little more than one."""
        out, value = quick_mlps((self.actor, self.critic), features)
        out = forbid(self.spec, features, out)
        policy = Categorical(out) if self.spec.discrete else Gaussian(out, self.log_std)
        return policy, value.squeeze(1)

    def state_values(self, observations: Tensor) -> Tensor:
        """V (n,) of observations."""
        return self.value(self.eyes(observations))

    def noise(self, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
        """What actions are drawn with: Gumbel noise (*shape, A), or normal noise (*shape, d)."""
        if self.spec.actions is not None:
            u = torch.rand(*shape, self.spec.actions, generator=generator)
            return -(-u.clamp_(1e-20).log_()).log_()
        return torch.randn(*shape, self.spec.action_dim, generator=generator)

    def explore(self, observation: Tensor, noise: Tensor) -> Tensor:
        """An action of the policy for each observation, in the policy's own units."""
        features = self.eyes(observation)
        out = forbid(self.spec, features, self.actor(features))
        if self.spec.discrete:
            return Categorical.draw(out, noise)
        return Gaussian(out, self.log_std).draw(noise)

    def to_env(self, action: Tensor) -> Tensor:
        """The policy's actions in the environment's units."""
        return action if self.bounds is None else self.bounds.to_env(action)

    @torch.no_grad()
    def choose(
        self,
        observation: Tensor,
        *,
        greedy: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The policy's mode, or a draw from it."""
        if greedy:
            return self.to_env(self.policy(self.eyes(observation)).mode())
        noise = self.noise((len(observation),), generator).to(observation.device)
        return self.to_env(self.explore(observation, noise))


def _within(bounds: Sequence[float], towards: float) -> Tensor:
    """Bounds as the nearest numbers of float32 that are not beyond them."""
    exact = torch.tensor(bounds, dtype=torch.float64)
    near = exact.float()
    beyond = near.double() < exact if towards > 0 else near.double() > exact
    return torch.where(beyond, torch.nextafter(near, torch.tensor(towards)), near)

r"""Soft actor-critic: off-policy control that is paid for keeping its choices open."""

from collections.abc import Sequence
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.agent import Agent
from phosphene.core.batch import Batch
from phosphene.core.environment import Environment, EnvSpec
from phosphene.core.errors import ConfigError
from phosphene.core.phase import Loss, Phase, Step
from phosphene.core.ranges import Count, Natural
from phosphene.core.subject import Ranks
from phosphene.decision.deep.actor_critic import Bounds, check_discount
from phosphene.decision.deep.distributions import SquashedGaussian
from phosphene.decision.deep.layers.quick_mlp import QuickMLP, quick_mlps
from phosphene.decision.deep.observations import Eyes
from phosphene.decision.deep.replay import Replay, TransitionBatch

__all__ = ["SAC", "TwinCritic"]

_LOG_STD = (-20.0, 2.0)


class TwinCritic(nn.Module):
    """Two networks for Q(s, a), of which the smaller value is believed.

    Args:
        spec: Of the environment.
        hidden: Widths of the hidden layers of each.
        activation: Between them.

    Example:
        >>> import phosphene as ph
        >>> spec = EnvSpec("swing", ph.Event.real(3), low=(-2.0,), high=(2.0,))
        >>> one, two = TwinCritic(spec)(torch.zeros(5, 3), torch.zeros(5, 1))
        >>> one.shape, two.shape
        (torch.Size([5]), torch.Size([5]))
    """

    def __init__(
        self, spec: EnvSpec, *, hidden: Sequence[int] = (256, 256), activation: str = "relu"
    ) -> None:
        super().__init__()
        self.eyes = Eyes(spec)
        size = self.eyes.size + spec.action_dim
        self.one = QuickMLP(size, hidden, 1, activation=activation)
        self.two = QuickMLP(size, hidden, 1, activation=activation)

    def forward(self, observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        r"""Both values (n,) of actions (n, d) for observations (n, \*shape)."""
        x = torch.cat([self.eyes(observation), action], 1)
        one, two = quick_mlps((self.one, self.two), x)
        return one.squeeze(1), two.squeeze(1)


class SAC(Agent):
    r"""Soft actor-critic with a learned temperature (Haarnoja et al., 2018).

    It maximizes the return plus :math:`\alpha` times the entropy of the policy, from transitions
    that it keeps. With actions :math:`a' \sim \pi(\cdot | s')` drawn anew:

    .. math::
        y &= r + \gamma \left(\min_i Q_{\bar\phi_i}(s', a') - \alpha \log \pi(a' | s')\right) \\
        L_\phi &= \tfrac12 \sum_i \mathbb E \left(Q_{\phi_i}(s, a) - y\right)^2 \\
        L_\theta &= \mathbb E \left[\alpha \log \pi_\theta(a_\theta | s)
            - \min_i Q_{\phi_i}(s, a_\theta)\right] \\
        L_\alpha &= -\log \alpha \; \mathbb E \left[\log \pi(a_\theta | s) + \bar H\right]

    The policy is the tanh of a Gaussian, stretched to the bounds of the actions, and
    :math:`a_\theta` is differentiated through. The density is that of actions in [-1, 1]. Of two
    critics the smaller value counts, since the maximum over errors is too great (Fujimoto et al.,
    2018); the target critics :math:`\bar\phi` follow slowly. The temperature rises while the
    entropy is below :math:`\bar H`. After a terminal state nothing is earned; an episode that the
    time limit cut off is worth what would have followed.

    Each cycle of the trainer is one gradient step of critics, actor and temperature, all on one
    batch, and every ``turns`` of them ``act_steps`` steps are taken in each environment:
    turns / (act_steps x environments) gradient steps for a step of experience.

    Args:
        spec: Of the environment; actions are continuous.
        environments: Copies to act in, side by side, over all ranks.
        act_steps: Steps in each of them at a time.
        turns: Gradient steps between.
        batch_size: Transitions in a gradient step, over all ranks.
        capacity: Transitions kept; the oldest are written over.
        warmup: Transitions, by uniform actions, before the first gradient step.
        gamma: Discount.
        tau: What part of the way the target critics go in each gradient step.
        temperature: alpha; None to learn it, beginning at ``first_temperature``.
        first_temperature: Where a learned alpha begins.
        target_entropy: The entropy (nats) that a learned alpha keeps to; None for minus the number
            of an action's components.
        hidden: Widths of the hidden layers of actor and critics.
        activation: Between them.

    Raises:
        EventError: Actions are discrete.
        ConfigError: A number is out of its range, or an action has no bounds.

    Example:
        >>> import phosphene as ph
        >>> agent = ph.build("sac", ph.decision.make("Pendulum-v1").spec, seed=0)
        >>> agent.act(torch.zeros(2, 3)).shape
        torch.Size([2, 1])
    """

    def __init__(
        self,
        spec: EnvSpec,
        *,
        environments: Count = 1,
        act_steps: Count = 1,
        turns: Count = 1,
        batch_size: Count = 256,
        capacity: Count = 1_000_000,
        warmup: Natural = 100,
        gamma: float = 0.99,
        tau: float = 0.005,
        temperature: float | None = None,
        first_temperature: float = 1.0,
        target_entropy: float | None = None,
        hidden: Sequence[int] = (256, 256),
        activation: str = "relu",
    ) -> None:
        super().__init__(spec)
        self.actions = self.need_continuous()
        if not 0 < tau <= 1:
            raise ConfigError(f"tau must lie above 0 and be at most 1, got {tau}")
        if temperature is not None and not temperature >= 0:
            raise ConfigError(f"temperature must be 0 or more, got {temperature}")
        if not first_temperature > 0:
            raise ConfigError(f"first_temperature must be above 0, got {first_temperature}")
        self.environments, self.act_steps, self.turns = environments, act_steps, turns
        self.batch_size, self.capacity, self.warmup = batch_size, capacity, warmup
        self.gamma, self.tau = check_discount(gamma), tau
        self.fixed = temperature
        self.target_entropy = -float(self.actions) if target_entropy is None else target_entropy
        self.bounds = Bounds(spec)
        self.eyes = Eyes(spec)
        self.actor = QuickMLP(self.eyes.size, hidden, 2 * self.actions, activation=activation)
        self.critic = TwinCritic(spec, hidden=hidden, activation=activation)
        self.target = deepcopy(self.critic).requires_grad_(False)
        if temperature is None:
            self.log_temperature = nn.Parameter(torch.tensor(float(first_temperature)).log())
        self._drawn: list[Tensor] = []
        self._followers: list[Tensor] = []
        self._leaders: list[Tensor] = []

    @property
    def temperature(self) -> Tensor:
        """alpha, a scalar without gradient."""
        if self.fixed is not None:
            return torch.tensor(self.fixed, device=self.device)
        return self.log_temperature.detach().exp()

    def policy(self, observation: Tensor) -> SquashedGaussian:
        """The distribution of actions in [-1, 1]."""
        mean, log_std = self.actor(self.eyes(observation)).chunk(2, 1)
        return SquashedGaussian(mean, log_std.clamp(*_LOG_STD))

    # -- acting -----------------------------------------------------------------------------

    @torch.no_grad()
    def choose(
        self,
        observation: Tensor,
        *,
        greedy: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The middle of the policy (n, d), or a draw from it."""
        policy = self.policy(observation)
        if greedy:
            return self.to_env(policy.mode())
        noise = self.noise((len(observation),), generator).to(observation.device)
        return self.to_env(policy.draw(noise)[0])

    def noise(self, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
        r"""Standard normal numbers (\*shape, d)."""
        return torch.randn(*shape, self.actions, generator=generator)

    def explore(self, observation: Tensor, noise: Tensor, experienced: int) -> Tensor:
        """Draws of the policy (n, d); before ``warmup`` transitions, uniform ones."""
        if experienced < self.warmup:
            return torch.erf(noise / 2**0.5)  # 2 Phi(z) - 1
        return self.policy(observation).base.draw(noise).tanh()

    def to_env(self, action: Tensor) -> Tensor:
        """Actions within the environment's bounds."""
        return self.bounds.to_env(action)

    def exploration(self, experienced: int) -> dict[str, float]:
        """Nothing to be logged beside the losses' terms."""
        return {}

    # -- learning ---------------------------------------------------------------------------

    def experience(self, environment: Environment, seed: int, ranks: Ranks) -> Replay:
        """Transitions, drawn alike."""
        return Replay(
            self, environment, seed, ranks, capacity=self.capacity, batch_size=self.batch_size,
            warmup=self.warmup, act_steps=self.act_steps, turns=self.turns, gamma=self.gamma,
        )  # fmt: skip

    def phases(self) -> Sequence[Phase]:
        """Critics, actor, temperature; then the target critics follow."""
        self._leaders = list(self.critic.parameters())
        self._followers = list(self.target.parameters())
        actor = [*self.eyes.parameters(), *self.actor.parameters()]
        phases = [
            Phase("critic", list(self.critic.parameters()), self.critic_loss),
            Phase("actor", actor, self.actor_loss),
        ]
        if self.fixed is None:
            phases.append(Phase("temperature", [self.log_temperature], self.temperature_loss))
        return [*phases, Phase("target", [], update=self.follow)]

    def critic_loss(self, batch: Batch) -> Loss:
        """Half the squared errors of both critics."""
        assert isinstance(batch, TransitionBatch)
        with torch.no_grad():
            action, log_prob = self.policy(batch.next).draw(batch.normal((self.actions,)))
            ahead = torch.minimum(*self.target(batch.next, action))
            soft = ahead - self.temperature * log_prob
            aim = batch.reward + batch.discount * soft
        one, two = self.critic(batch.x, batch.action)
        total = 0.5 * (F.mse_loss(one, aim) + F.mse_loss(two, aim))
        return Loss(total, {"q": one.detach(), "aim": aim})

    def actor_loss(self, batch: Batch) -> Loss:
        """What is paid for certainty, less the smaller of the values."""
        action, log_prob = self.policy(batch.x).draw(batch.normal((self.actions,)))
        q = torch.minimum(*self.critic(batch.x, action))
        if self.fixed is None:
            self._drawn.append(log_prob.detach())
        total = (self.temperature * log_prob - q).mean()
        return Loss(total, {"entropy": -log_prob.detach()})

    def temperature_loss(self, batch: Batch) -> Loss:
        """Falls where alpha rises while the entropy is too small."""
        if self._drawn:  # in the actor's turn, on the same batch: the network need not run again
            log_prob = self._drawn.pop(0)
        else:
            with torch.no_grad():
                _, log_prob = self.policy(batch.x).draw(batch.normal((self.actions,)))
        total = -self.log_temperature * (log_prob + self.target_entropy).mean()
        return Loss(total, {"temperature": self.temperature})

    @torch.no_grad()
    def follow(self, batch: Batch, step: Step) -> None:
        """Move the target critics a part of the way."""
        torch._foreach_lerp_(self._followers, self._leaders, self.tau)

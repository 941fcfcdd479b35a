r"""Soft actor-critic: off-policy control with a bonus for the policy's entropy."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.agent import Agent
from phosphene.core.batch import Batch
from phosphene.core.environment import Environment, EnvSpec
from phosphene.core.phase import Loss, Phase, Step
from phosphene.core.ranges import Count, Natural, Positive, Within
from phosphene.core.settings import setting
from phosphene.core.subject import Ranks
from phosphene.decision.deep.actor_critic import Bounds
from phosphene.decision.deep.distributions import SquashedGaussian
from phosphene.decision.deep.layers.quick_mlp import QuickMLP, quick_mlps
from phosphene.decision.deep.observations import Eyes
from phosphene.decision.deep.replay import Replay, TransitionBatch
from phosphene.decision.deep.settings import ReplaySettings
from phosphene.decision.settings import DiscountSettings
from phosphene.nn.settings import ActivationSettings

__all__ = ["SAC", "TwinCritic"]

_LOG_STD = (-20.0, 2.0)


class TwinCritic(nn.Module):
    """Two networks for Q(s, a), of which the smaller value is used.

    Args:
        spec: Of the environment.
        hidden: Widths of the hidden layers of each.
        activation: Between them.

    Example:
        >>> from phosphene.core.event import Event
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


class SAC(ReplaySettings, ActivationSettings, DiscountSettings, Agent):
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

    Raises:
        EventError: Actions are discrete.
        ConfigError: A number is out of its range, or an action has no bounds.

    Example:
        >>> import phosphene as ph
        >>> agent = ph.build("sac", ph.decision.make("Pendulum-v1").spec, seed=0)
        >>> agent.act(torch.zeros(2, 3)).shape
        torch.Size([2, 1])
    """

    environments: Count = setting(
        default=1, help="Environments that are stepped in parallel, over all ranks."
    )
    batch_size: Count = setting(default=256, help="Transitions in a gradient step, over all ranks.")
    capacity: Count = setting(
        default=1_000_000,
        help="Size of the replay memory in transitions; the oldest are overwritten.",
    )
    warmup: Natural = setting(
        default=100, help="Transitions, by uniform actions, before the first gradient step."
    )
    tau: Annotated[float, Within(0, 1, above=True)] = setting(
        default=0.005, help="Part of the way that the target critics move in each gradient step."
    )
    fixed: Annotated[float | None, Within(0)] = setting(
        alias="temperature",
        default=None,
        help="alpha, the weight of the entropy; None to learn it from ``first_temperature`` on.",
    )
    first_temperature: Positive = setting(default=1.0, help="Initial value of a learned alpha.")
    entropy_given: float | None = setting(
        alias="target_entropy",
        default=None,
        help="The entropy (nats) that a learned alpha keeps to; None for minus the number of an "
        "action's components.",
    )
    hidden: Sequence[int] = setting(
        default=(256, 256), help="Widths of the hidden layers of actor and critics."
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.actions = self.need_continuous()
        self.target_entropy = -float(self.actions)
        if self.entropy_given is not None:
            self.target_entropy = self.entropy_given
        self.bounds = Bounds(self.spec)
        self.eyes = Eyes(self.spec)
        hidden, f = self.hidden, self.activation_name
        self.actor = QuickMLP(self.eyes.size, hidden, 2 * self.actions, activation=f)
        self.critic = TwinCritic(self.spec, hidden=hidden, activation=f)
        self.target = deepcopy(self.critic).requires_grad_(False)
        if self.fixed is None:
            self.log_temperature = nn.Parameter(torch.tensor(float(self.first_temperature)).log())
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

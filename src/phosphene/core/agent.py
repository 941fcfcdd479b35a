"""The base of every agent: an environment's specification, a way to act, a source of experience."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, cast, overload

import torch
from torch import Tensor

from phosphene.core.environment import Environment, EnvSpec
from phosphene.core.errors import EventError
from phosphene.core.settings import pinned, setting
from phosphene.core.subject import Ranks, Source
from phosphene.core.trainable import Trainable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Agent", "Experience"]


class Experience(Source):
    """Where an agent's batches come from: it acts, and what it meets is cut into batches."""

    clock_name = "environment_steps"
    headline = "return"
    aside = ("length", "episodes")

    def clock(self) -> int:
        """Environment steps taken so far, over all ranks: what a budget in steps counts."""
        return int(cast(Any, self).experienced)


class Agent(Trainable):
    """Acts in an environment and learns from what it meets there.

    Subclasses take the specification first and everything else as typed keyword arguments, which
    are their configuration; ``environments`` is among them, how many copies they learn from side
    by side.

    Example:
        >>> from phosphene.core.event import Event
        >>> Agent(EnvSpec("push", Event.real(3), actions=2)).spec.actions
        2
    """

    learns_from = "environment"
    specified_by = EnvSpec

    shared = True
    """Whether processes share the environments; otherwise each learns the same alone."""

    spec: EnvSpec = setting(kw_only=False, help="What the agent sees and what it may do.")
    environments: int = pinned()

    @overload
    def act(
        self,
        observation: Tensor,
        *,
        greedy: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor: ...

    @overload
    def act(
        self,
        observation: "NDArray[Any] | Sequence[float] | float",
        *,
        greedy: bool = True,
        generator: torch.Generator | None = None,
    ) -> "NDArray[Any]": ...

    def act(
        self,
        observation: "Tensor | NDArray[Any] | Sequence[float] | float",
        *,
        greedy: bool = True,
        generator: torch.Generator | None = None,
    ) -> "Tensor | NDArray[Any]":
        """Actions for observations: a batch, or one; a tensor, or a NumPy array or plain numbers.

        Args:
            observation: As the environment gives them: (n, *shape) for n of them, shape for one.
            greedy: The best action, or a policy's mode; otherwise as the agent explores.
            generator: Source of what is random.

        Returns:
            (n,) int64 where actions are discrete, else (n, d) within their bounds; without the n
            for one observation. A tensor for a tensor, otherwise a NumPy array.

        Raises:
            EventError: The observations have another shape.

        Example:
            >>> import phosphene as ph, numpy as np
            >>> agent = ph.build("ppo", ph.decision.make("CartPole-v1").spec)
            >>> agent.act(torch.zeros(3, 4)).shape, agent.act(np.zeros(4)).shape
            (torch.Size([3]), ())
        """
        if isinstance(observation, Tensor):
            x, one = self._batched(observation)
            action = self.choose(x, greedy=greedy, generator=generator)
            return action[0] if one else action
        if isinstance(observation, dict) or (
            isinstance(observation, tuple)
            and not all(isinstance(v, int | float) for v in observation)
        ):
            raise EventError(
                f"act takes observations of {self.spec.observation} as one array, as environments "
                f"of ph.decision.make give them, got a {type(observation).__name__}"
            )
        given = torch.as_tensor(observation).to(self.device)
        return self.act(given, greedy=greedy, generator=generator).detach().cpu().numpy()

    def choose(
        self,
        observation: Tensor,
        *,
        greedy: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Actions for a batch of observations (n, ...): what an agent of its own must say."""
        raise NotImplementedError

    def _batched(self, observation: Tensor) -> tuple[Tensor, bool]:
        """Observations (n, *shape) in their type, and whether one was given alone."""
        event, shape = self.spec.observation, tuple(observation.shape)
        one = shape == event.shape or (shape == () and event.shape == (1,))
        if one:
            observation = observation.reshape(1, *event.shape)
        elif self.spec.states is not None and len(shape) == 1:
            observation = observation[:, None]
        elif shape[1:] != event.shape:
            raise EventError(
                f"observations of {self.spec.name} have the shape {event.shape}, or (n, ...) for n "
                f"of them, got {shape}"
            )
        if event.kind == "real" and observation.dtype is torch.float64:
            observation = observation.float()
        return observation, one

    def experience(self, environment: Environment, seed: int, ranks: Ranks) -> Experience:
        """The agent's own way to gather experience, in this rank's share of the environments."""
        raise NotImplementedError

    def refuse(self, why: str) -> NoReturn:
        """Refuse the environment, in one sentence."""
        raise EventError(f"{type(self).__name__} cannot act in {self.spec}: {why}")

    def need_discrete(self) -> int:
        """The number of actions; refuses continuous ones."""
        if self.spec.actions is None:
            self.refuse("its actions are continuous, and this agent chooses among a number of them")
        return self.spec.actions

    def need_continuous(self) -> int:
        """The dimensions of an action; refuses discrete ones."""
        if self.spec.discrete:
            self.refuse("its actions are discrete, and this agent's are continuous")
        return self.spec.action_dim

"""n environments with known dynamics, stepped together: by the native library, or in NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.environment import EnvSpec, Step
from phosphene.core.errors import ConfigError, KernelError
from phosphene.decision.environments.actions import check_actions, refuse_action
from phosphene.decision.environments.dynamics import Dynamics
from phosphene.decision.environments.restoring import refuse_impossible_state, restored
from phosphene.kernels.environments import NativeSteps, environments_usable, uniform

__all__ = ["VectorEnvironment"]


class VectorEnvironment:
    """n copies of one environment, which begin new episodes by themselves.

    The state is float64, as in gymnasium; observations are float32, or uint8 for pictures. One step
    is one call of the native library where that is there (it is looked for here, once), and
    else the same in NumPy. Environment i begins episode k at a state that is a function of
    (seed, first + i, k) alone, and of no other random numbers.

    Args:
        dynamics: The formula.
        n: How many environments.
        seed: Of all random numbers.
        first: The number of the first of these environments among all: a process that holds
            ``first..first + n - 1`` meets the same episodes as one that holds them all.
        limit: Steps after which an episode is cut off; 0 for never. None for the usual limit.
        name: What the user typed; the dynamics' own name by default.

    Raises:
        ConfigError: n is below 1, or the limit below 0.

    Example:
        >>> from phosphene.decision.environments.cartpole import CartPole
        >>> environment = VectorEnvironment(CartPole(), n=3)
        >>> environment.reset().shape
        torch.Size([3, 4])
        >>> environment.step(torch.tensor([0, 1, 1])).reward
        tensor([1., 1., 1.])
    """

    exact = True

    def __init__(
        self,
        dynamics: Dynamics,
        n: int = 1,
        *,
        seed: int = 0,
        first: int = 0,
        limit: int | None = None,
        name: str | None = None,
    ) -> None:
        if n < 1:
            raise ConfigError(f"there must be 1 environment or more, got n={n}")
        if limit is not None and limit < 0:
            raise ConfigError(f"limit must be 0 (for none) or more, got {limit}")
        self.dynamics, self.n, self.seed, self.first = dynamics, n, seed, first
        limit = dynamics.limit if limit is None else limit or None
        self.spec: EnvSpec = dynamics.spec(name or dynamics.name, limit)
        self._state = np.zeros((n, dynamics.size))
        self._clock, self._episode = np.zeros(n, np.int64), np.full(n, -1, np.int64)
        self._index = np.arange(first, first + n)
        self._begun = False
        self._action: Tensor | None = None
        self._native: NativeSteps | None = None
        if environments_usable():
            self._native = NativeSteps(
                dynamics.name, self._state, self._clock, self._episode, self.spec.observation.shape,
                seed=seed, first=first, limit=limit, options=dynamics.options,
            )  # fmt: skip

    @property
    def state(self) -> NDArray[np.float64]:
        """A copy of the states (n, size)."""
        return self._state.copy()

    def reset(self) -> Tensor:
        """Begin a new episode everywhere; the first observations (n, ...)."""
        self._begun, self._action = True, None
        if self._native is not None:
            return self._native.reset()
        self._begin(np.ones(self.n, np.bool_))
        return self.observe()

    def step(self, action: Tensor) -> Step:
        """Take actions: (n,) int64 for discrete ones, (n, d) float32 for continuous ones.

        Continuous actions go to the formula as they are: what is beyond the bounds is clipped
        where gymnasium's environment clips it.

        Raises:
            ConfigError: There is no such action, or :meth:`reset` has never been called.
        """
        if not self._begun:
            raise ConfigError(f"{self.spec.name}: call reset() before the first step()")
        if self._native is None:
            action = check_actions(action, self.spec, self.n)
            step = self._in_numpy(action)
        else:
            try:
                step = self._native.step(action)
            except KernelError:  # not as the library reads them: perhaps they can be made so
                action = check_actions(action, self.spec, self.n)
                step = self._native.step(action)
        if isinstance(step, int):
            refuse_action(action, step, self.spec)
        self._action = action
        return step

    def restart(self, where: Tensor) -> Tensor:
        """Begin a new episode where (n,) is True; the present observations of all (n, ...)."""
        self._begin(where.numpy())
        return self.observe()

    def observe(self) -> Tensor:
        """The present observations (n, ...), as after a load."""
        return torch.from_numpy(self.dynamics.observe(self._state))

    def render(self, index: int = 0) -> NDArray[np.uint8]:
        """A picture of environment ``index``: (height, width, 3), codes 0..255."""
        if not 0 <= index < self.n:
            raise ConfigError(f"there are environments 0..{self.n - 1}, got index {index}")
        acted = self._action is not None and self._clock[index] > 0
        action = self._action[index].numpy() if acted and self._action is not None else None
        return self.dynamics.draw(self._state[index], action)

    def state_dict(self) -> dict[str, Any]:
        """States, steps and numbers of the episodes, as tensors."""
        arrays = {"state": self._state, "clock": self._clock, "episode": self._episode}
        return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on, bit for bit, from what was saved; with the same seed and settings.

        Raises:
            RunError: It was saved of another number of environments or of another kind, or holds
                states that are none.
        """
        arrays = {"state": self._state, "clock": self._clock, "episode": self._episode}
        saved = restored(self.spec, state, {name: a.shape for name, a in arrays.items()})
        refuse_impossible_state(self.spec, saved["state"], self.dynamics.possible(saved["state"]))
        for name, array in arrays.items():
            array[...] = saved[name]
        self._begun, self._action = bool((self._episode >= 0).all()), None

    def close(self) -> None:
        """Nothing is held that must be freed."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The library holds addresses: a copy must be built anew, not copied field by field.
        settings = {"seed": self.seed, "first": self.first, "limit": self.spec.limit or 0}
        given = self.dynamics, self.n, {**settings, "name": self.spec.name}, self.state_dict()
        return _rebuilt, (type(self), *given)

    def _begin(self, where: NDArray[np.bool_]) -> None:
        """Begin new episodes in some environments."""
        self._clock[where] = 0
        self._episode[where] += 1
        counters = (self.seed, self._index[where, None], self._episode[where, None])
        u = uniform(*counters, np.arange(self.dynamics.draws))
        self._state[where] = self.dynamics.start(u)

    def _in_numpy(self, action: Tensor) -> Step | int:
        actions = action.detach().numpy()
        fine = np.isfinite(actions).all(-1) if actions.ndim > 1 else actions >= 0
        if self.spec.actions is not None:
            fine &= actions < self.spec.actions
        if not fine.all():
            return int(fine.argmin())
        state, reward, terminated = self.dynamics.move(self._state, actions)
        self._state[...] = state
        self._clock += 1
        truncated = self._clock == (self.spec.limit or -1)
        after = torch.from_numpy(self.dynamics.observe(self._state))
        observation, over = after.clone(), terminated | truncated
        if over.any():
            self._begin(over)
            observation[torch.from_numpy(over)] = torch.from_numpy(
                self.dynamics.observe(self._state[over])
            )
        flags = torch.from_numpy(terminated), torch.from_numpy(truncated)
        return Step(observation, torch.from_numpy(reward.astype(np.float32)), *flags, after)


def _rebuilt(
    kind: type[VectorEnvironment],
    dynamics: Dynamics,
    n: int,
    settings: dict[str, Any],
    state: dict[str, Any],
) -> VectorEnvironment:
    environment = kind(dynamics, n, **settings)
    environment.load_state_dict(state)
    return environment

"""Any environment of gymnasium: by its id, by ``module:function``, or handed over."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.config import parameters_of
from phosphene.core.environment import EnvSpec, Step, called
from phosphene.core.errors import ConfigError, RunError
from phosphene.core.event import Event
from phosphene.core.rng import mix
from phosphene.data.loading import parse
from phosphene.decision.environments.actions import check_actions, refuse_impossible
from phosphene.decision.environments.block import (
    Block,
    BrokenEnvironmentError,
    Manner,
    closed,
    innermost,
    mask_in,
)
from phosphene.decision.environments.instances import checked, maker_of, single
from phosphene.decision.environments.options import settings
from phosphene.decision.environments.pixels import Pixels
from phosphene.decision.environments.registry import Source, of_module, registered
from phosphene.decision.environments.spaces import acting_of, seeing_of
from phosphene.decision.environments.workers import Worker

__all__ = ["BrokenEnvironmentError", "GymEnvironment", "describe"]


class GymEnvironment:
    """n copies of an environment with gymnasium's methods, in this process or in several.

    :meth:`reset` seeds environment i by a function of (seed, first + i, number of the episode); the
    episodes that follow by themselves go on with the environment's own random numbers. So a process
    that holds some of the environments meets the same episodes as one that holds them all.

    Where the unwrapped environment has ``get_state`` and ``set_state``, they serve to save it and a
    resumed run goes on exactly; others (``exact`` is False) go on at the boundary of an episode:
    after a load, :meth:`reset` begins the episode after the last one that had begun.

    Args:
        source: An id with options (``LunarLander-v3?gravity=-5``, ``ALE/Pong-v5?gray=true``),
            ``module:function`` or ``module:ID`` with options; a class or a function that makes an
            environment; an environment, which is copied; or several side by side
            (``gymnasium.vector``), of which one is made again.
        n: How many environments.
        seed: Of all seeds.
        first: The number of the first of these environments among all.
        workers: Processes that hold them; None or 1 for this one.
        name: What to call it; what was given by default.
        longest: Steps after which an episode is cut off where nothing else limits it.

    Raises:
        UnknownNameError: There is no such id or option.
        ConfigError: A package is missing, a space or a setting is none that agents can use.

    Example:
        >>> environment = GymEnvironment("CartPole-v1", n=2)
        >>> environment.spec.observation, environment.spec.limit
        (Event(kind='real', shape=(4,), levels=None), 500)
        >>> environment.reset().shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        source: Any,
        n: int = 1,
        *,
        seed: int = 0,
        first: int = 0,
        workers: int | None = None,
        name: str | None = None,
        longest: int | None = None,
    ) -> None:
        for what, value in (("n", n), ("workers", 1 if workers is None else workers)):
            if value < 1:
                raise ConfigError(f"{what} must be 1 or more, got {value}")
        self.n, self.seed, self.first = n, seed, first
        make, manner, self.spec, self.exact = _understood(source, name, longest)
        self.manner = manner
        seeds = [functools.partial(_seed, seed, first + i) for i in range(n)]
        self._cuts = np.linspace(0, n, min(workers or 1, n) + 1).astype(int)
        parts = [seeds[a:b] for a, b in zip(self._cuts[:-1], self._cuts[1:], strict=True)]
        self._workers = [Worker(make, manner, part) for part in parts] if len(parts) > 1 else []
        self._block = None if self._workers else Block(make, manner, seeds)
        self._last: Tensor | None = None

    def reset(self) -> Tensor:
        """Begin a new episode everywhere; the first observations (n, ...)."""
        self._last = torch.from_numpy(np.concatenate(self._all("reset")))
        return self._last.clone()

    def step(self, action: Tensor) -> Step:
        """Take actions: (n,) int64 for discrete ones, (n, d) float32 for continuous ones.

        They go to the environment as they are, in its space's type: agents keep to the bounds. What
        lies beyond a bound by float32's rounding alone is taken for the bound.

        Raises:
            ConfigError: There is no such action, or :meth:`reset` must be called first.
            BrokenEnvironmentError: The environment failed, or answered with what is not a number.
        """
        action = check_actions(action, self.spec, self.n)
        refuse_impossible(action, self.spec)
        if self._last is None:
            raise ConfigError(f"{self.spec.name}: call reset() before the first step()")
        parts = self._all("step", self._split(action.numpy()))
        columns = [np.concatenate(column) if len(parts) > 1 else column[0]
                   for column in zip(*parts, strict=True)]  # fmt: skip
        step = Step(*map(torch.from_numpy, columns))
        self._last = step.observation
        return step

    def observe(self) -> Tensor:
        """The present observations (n, ...); of new episodes, if none has begun."""
        return self.reset() if self._last is None else self._last.clone()

    def restart(self, where: Tensor) -> Tensor:
        """Begin a new episode where (n,) is True; the present observations of all (n, ...)."""
        present = self.observe()
        parts = [
            (where[a:b].nonzero().flatten().tolist(),)
            for a, b in zip(self._cuts[:-1], self._cuts[1:], strict=True)
        ]
        begun = [a for a in self._all("restart", parts) if len(a)]
        if begun:
            present[where] = torch.from_numpy(np.concatenate(begun))
        self._last = present
        return present.clone()

    def render(self, index: int = 0) -> NDArray[np.uint8]:
        """The environment's own picture of copy ``index``.

        Raises:
            ConfigError: It draws none, or there is no such copy.
        """
        if not 0 <= index < self.n:
            raise ConfigError(f"there are environments 0..{self.n - 1}, got index {index}")
        self.observe()
        if self._block is not None:
            return self._block.render(index)
        part = int(np.searchsorted(self._cuts, index, side="right")) - 1
        self._workers[part].ask("render", index - int(self._cuts[part]))
        picture: NDArray[np.uint8] = self._workers[part].answer()
        return picture

    def state_dict(self) -> dict[str, Any]:
        """Numbers of the episodes and, where environments give them, their states."""
        saved = [one for part in self._all("get", [(self.exact,)] * self._parts) for one in part]
        state: dict[str, Any] = {
            name: torch.tensor([one[name] for one in saved]) for name in ("episode", "clock")
        }
        if self.exact and self._last is not None:
            state["state"] = [_saved(one["state"]) for one in saved]
            state["observation"] = self._last.clone()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what was saved; if not ``exact``, at the next :meth:`reset`.

        Raises:
            RunError: It was saved of another number of environments.
        """
        count = len(state.get("episode", ()))
        if count != self.n:
            raise RunError(f"{self.spec.name}: {count} environments were saved, here are {self.n}")
        given = [
            {"episode": int(episode), "clock": int(clock)}
            for episode, clock in zip(state["episode"], state["clock"], strict=True)
        ]
        if "state" in state and self.exact:
            for one, inner in zip(given, state["state"], strict=True):
                one["state"] = _restored(inner)
        ends = zip(self._cuts[:-1], self._cuts[1:], strict=True)
        self._all("set", [(given[a:b],) for a, b in ends])
        self._last = state["observation"].clone() if "observation" in state else None

    def close(self) -> None:
        """Close all environments and end their processes."""
        for worker in self._workers:
            worker.close()
        if self._block is not None:
            self._block.close()

    @property
    def _parts(self) -> int:
        return len(self._cuts) - 1

    def _split(self, actions: NDArray[Any]) -> list[tuple[Any]]:
        return [(actions[a:b],) for a, b in zip(self._cuts[:-1], self._cuts[1:], strict=True)]

    def _all(self, command: str, arguments: list[tuple[Any, ...]] | None = None) -> list[Any]:
        """Call a method of all blocks; all of them work before the first is waited for."""
        arguments = [()] * self._parts if arguments is None else arguments
        if self._block is not None:
            return [getattr(self._block, command)(*arguments[0])]
        for worker, given in zip(self._workers, arguments, strict=True):
            worker.ask(command, *given)
        answers, failed = [], None
        for worker in self._workers:  # all answers are taken, so that none is left in a pipe
            try:
                answers.append(worker.answer())
            except BrokenEnvironmentError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return answers


def describe(source: Any, name: str | None = None) -> EnvSpec:
    """The specification alone; one environment is made and closed."""
    return _understood(source, name)[2]


def _understood(
    source: Any, given: str | None, longest: int | None = None
) -> tuple[Callable[[], Any], Manner, EnvSpec, bool]:
    """The maker, how its environments are used, their specification, and whether it is exact."""
    ours: dict[str, Any] = {}
    name = given or called(source)
    if isinstance(source, str):
        found, ours = _found(source)
    else:
        found = Source(maker_of(source, name))
    adjustments = _adjust(**ours)
    make, environment = _first(found.make, name)
    try:
        seeing = seeing_of(environment.observation_space, name)
        acting = acting_of(environment.action_space, name)
        inner = innermost(environment)
        stateful = hasattr(inner, "get_state") and hasattr(inner, "set_state")
        own = _own_limit(environment)
        masked = _masks(environment, seeing.event, acting.actions)
    finally:
        closed(environment)
    limit = adjustments["limit"]
    if limit is None:
        limit = found.limit and -(-found.limit // adjustments["skip"])
    limit = limit or (None if own else longest)
    manner = Manner(
        name, seeing, acting, adjustments["pixels"], adjustments["skip"], limit or None, masked
    )
    spec = EnvSpec(
        name, manner.event, acting.actions, acting.low, acting.high, limit or own, bool(masked)
    )
    return make, manner, spec, stateful and not manner.pixels


def _found(source: str) -> tuple[Source, dict[str, Any]]:
    """The maker, and those options that are ours."""
    base, argument, options = parse(source)
    mine = {key: options.pop(key) for key in [*options] if key in parameters_of(_adjust)}
    adjusted = settings(base, _adjust, mine)
    name = source.partition("?")[0]
    if argument:
        return of_module(name, base, argument, options), adjusted
    from phosphene.decision.environments.names import names

    return registered(name, options, tuple(names())), adjusted


def _adjust(
    *,
    limit: int | None = None,
    gray: bool = False,
    size: str | None = None,
    stack: int = 1,
    skip: int = 1,
) -> dict[str, Any]:
    """The options that every environment takes."""
    if skip < 1:
        raise ConfigError(f"skip must be 1 or more, got {skip}")
    if limit is not None and limit < 0:
        raise ConfigError(f"limit must be 0 (for none) or more, got {limit}")
    return {"limit": limit, "pixels": Pixels.of(gray, size, stack), "skip": skip}


def _first(make: Callable[[], Any], name: str) -> tuple[Callable[[], Any], Any]:
    """What makes one environment, and the first that it made."""
    try:
        environment = make()
    except ConfigError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"{name} cannot be made: {type(error).__name__}: {text}") from error
    if hasattr(environment, "num_envs") and hasattr(environment, "single_action_space"):
        one = single(environment, name)
        closed(environment)
        return _first(one, name)
    return make, checked(environment, name)


def _masks(environment: Any, event: Event, actions: int | None) -> int:
    """How many actions its masks are of, if it tells which are allowed, and what it shows a vector.

    Beside the number of a state and a picture there is no place for a mask.
    """
    if actions is None or event.kind != "real":
        return 0
    try:
        info = environment.reset(seed=0)[1]
    except Exception:  # told of when it is used
        return 0
    return actions if mask_in(info, actions) is not None else 0


def _own_limit(environment: Any) -> int | None:
    """The limit that the environment keeps by itself, if it says so."""
    while environment is not None:
        limit = getattr(environment, "_max_episode_steps", None)
        if isinstance(limit, int):
            return limit
        environment = getattr(environment, "env", None)
    return None


def _seed(seed: int, index: int, episode: int) -> int:
    return mix(seed, index, episode) % 2**31  # which every generator takes


def _saved(value: Any) -> Any:
    """Arrays as tensors, which checkpoints hold."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, dict):
        return {key: _saved(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_saved(part) for part in value)
    return value.item() if isinstance(value, np.generic) else value


def _restored(value: Any) -> Any:
    """Inverse of :func:`_saved`."""
    if isinstance(value, torch.Tensor):
        return value.numpy().copy()
    if isinstance(value, dict):
        return {key: _restored(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_restored(part) for part in value)
    return value

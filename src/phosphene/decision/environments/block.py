"""Some of gymnasium's environments in one process, stepped one after another."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import PhospheneError
from phosphene.core.event import Event
from phosphene.decision.environments.pixels import NoPictureError, Pixels, as_picture
from phosphene.decision.environments.spaces import Acting, Seeing

__all__ = ["Answers", "Block", "BrokenEnvironmentError", "Manner", "closed", "innermost", "mask_in"]

Answers = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]
"""Observations, rewards, terminated, truncated, and observations before new episodes began."""


class BrokenEnvironmentError(PhospheneError):
    """An environment failed in the middle of an episode, or returned something invalid."""


@dataclass(frozen=True)
class Manner:
    """How all copies of an environment are used.

    Args:
        name: What the user typed.
        seeing: How observations are read.
        acting: How actions are written.
        pixels: What is done to pictures.
        skip: How often each action is repeated.
        limit: Steps after which an episode is cut off, beside what the environment does itself.
        masked: How many actions a mask of allowed ones has, which ends an observation; 0 for none.
    """

    name: str
    seeing: Seeing
    acting: Acting
    pixels: Pixels = field(default_factory=Pixels)
    skip: int = 1
    limit: int | None = None
    masked: int = 0

    @property
    def event(self) -> Event:
        """What an agent sees."""
        event = self.pixels.event(self.seeing.event, self.name)
        return Event.real(event.dimensions + self.masked) if self.masked else event


class Block:
    """Some environments of one kind, in this process.

    Args:
        make: Makes one.
        manner: How they are used.
        seeds: For each of them, what makes a seed of the number of an episode.
    """

    def __init__(
        self, make: Callable[[], Any], manner: Manner, seeds: Sequence[Callable[[int], int]]
    ) -> None:
        self.manner, self.seeds = manner, seeds
        self.environments = [make() for _ in seeds]
        self.clock, self.episode = [0] * len(seeds), [-1] * len(seeds)
        self.frames: list[deque[NDArray[Any]]] = [deque(maxlen=manner.pixels.stack) for _ in seeds]
        shape = manner.event.shape
        kinds = {"real": np.float32, "tokens": np.int64}
        self._shape, self._kind = shape, kinds.get(manner.seeing.event.kind, np.uint8)
        self._plain = not manner.pixels
        self._maximum = manner.skip > 1 and manner.seeing.event.has_image_shape

    def reset(self) -> NDArray[Any]:
        """Begin new episodes everywhere, each seeded by its number."""
        out = np.empty((len(self.environments), *self._shape), self._kind)
        for i, seed in enumerate(self.seeds):
            out[i] = self._begin(i, seed(self.episode[i] + 1))
        return out

    def step(self, actions: NDArray[Any]) -> Answers:
        """Take actions (m,) or (m, d); begin new episodes where one ends."""
        m, limit = len(self.environments), self.manner.limit
        after = np.empty((m, *self._shape), self._kind)
        reward = np.empty(m, np.float32)
        terminated, truncated = np.zeros(m, np.bool_), np.zeros(m, np.bool_)
        for i, action in enumerate(self.manner.acting(actions)):
            self.clock[i] += 1
            after[i], reward[i], terminated[i], cut = self._act(i, action)
            truncated[i] = cut or self.clock[i] == limit
        self._check(after, "component {} of the observation is {}")
        self._check(reward[:, None], "the reward is {1}")
        observation = after.copy()
        for ended in np.flatnonzero(terminated | truncated).tolist():
            observation[ended] = self._begin(ended, None)
        return observation, reward, terminated, truncated, after

    def restart(self, where: Sequence[int]) -> NDArray[Any]:
        """Begin new episodes in some environments; their first observations."""
        return np.stack([self._begin(i, None) for i in where])

    def render(self, index: int) -> NDArray[np.uint8]:
        """The environment's own picture, as codes of red, green and blue."""
        name, environment = self.manner.name, self.environments[index]
        inner = innermost(environment)
        modes = getattr(inner, "metadata", {}).get("render_modes", ())
        unset = getattr(inner, "render_mode", None) is None and "rgb_array" in modes
        if not hasattr(environment, "render"):
            raise NoPictureError(f"{name} draws no pictures: it has no render()")
        try:
            if unset:  # for this call alone: some environments do more at each step where it is set
                inner.render_mode = "rgb_array"
            picture = environment.render()
        except Exception as error:
            text = " ".join(str(error).split()) or f"render() raises {type(error).__name__}"
            hint = ""
            if type(error).__name__ == "DependencyNotInstalled":
                hint = "; pip install 'phosphene[rl]' installs what most of them draw with"
            elif "opengl" in text.lower():
                hint = "; without a display, set MUJOCO_GL=egl or MUJOCO_GL=osmesa"
            raise NoPictureError(f"{name} cannot be drawn here: {text}{hint}") from error
        finally:
            if unset:
                inner.render_mode = None
        shown = as_picture(picture)
        if shown is None:
            raise NoPictureError(
                f"{name} draws no pictures: its render() gives no array of height x width x 3"
            )
        return shown

    def get(self, exact: bool) -> list[dict[str, Any]]:
        """What must be saved of each."""
        saved = [
            {"episode": episode, "clock": clock}
            for episode, clock in zip(self.episode, self.clock, strict=True)
        ]
        if exact:
            for one, environment in zip(saved, self.environments, strict=True):
                one["state"] = innermost(environment).get_state()
        return saved

    def set(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Restore it; without a state, the next reset begins the next episode."""
        for i, one in enumerate(saved):
            self.episode[i], self.clock[i] = int(one["episode"]), int(one["clock"])
            if "state" in one:
                self.environments[i].reset(seed=0)  # wrappers refuse a step before a reset
                innermost(self.environments[i]).set_state(one["state"])

    def close(self) -> None:
        """Close them all."""
        for environment in self.environments:
            closed(environment)

    def _act(self, i: int, action: Any) -> tuple[NDArray[Any], float, bool, bool]:
        """One action, as often as it is repeated; of pictures, the maximum of the last two."""
        environment, total = self.environments[i], 0.0
        frames: list[NDArray[Any]] = []
        for _ in range(self.manner.skip):
            try:
                answer = environment.step(action)
                if type(answer) is tuple and len(answer) == 5:
                    total += float(answer[1])
            except Exception as error:
                self._failed(i, error)
            if type(answer) is not tuple or len(answer) != 5:
                given = len(answer) if isinstance(answer, tuple) else type(answer).__name__
                parts = "observation, reward, terminated, truncated, info"
                self._broken(i, f"step() must return 5 values, {parts}, it returned {given}")
            raw, _, ended, cut, info = answer
            if self._maximum:
                frames.append(self._seen(i, raw))
            if ended or cut:
                break
        seen = frames[-1] if frames else self._seen(i, raw)
        if len(frames) > 1:
            seen = np.maximum(frames[-2], seen)
        shown = self._shown(i, seen)
        return self._masked(i, shown, info, ended or cut), total, ended, cut

    def _begin(self, i: int, seed: int | None) -> NDArray[Any]:
        self.episode[i] += 1
        self.clock[i] = 0
        self.frames[i].clear()
        try:
            answer = self.environments[i].reset(**({} if seed is None else {"seed": seed}))
        except Exception as error:
            self._failed(i, error)
        if not isinstance(answer, tuple) or len(answer) != 2:
            self._broken(i, "reset() must return (observation, info)")
        first = self._masked(i, self._shown(i, self._seen(i, answer[0])), answer[1], False)
        self._check(first[None], "component {} of the observation is {}", i)
        return first

    def _seen(self, i: int, raw: Any) -> NDArray[Any]:
        try:
            return self.manner.seeing(raw)
        except Exception as error:
            self._failed(i, error)

    def _shown(self, i: int, observation: NDArray[Any]) -> NDArray[Any]:
        """The observation as agents see it."""
        if self._plain:
            return observation
        frames, frame = self.frames[i], self.manner.pixels(observation)
        frames.append(frame)
        while len(frames) < self.manner.pixels.stack:
            frames.append(frame)
        return np.concatenate(frames)

    def _masked(self, i: int, seen: NDArray[Any], info: Any, over: bool) -> NDArray[Any]:
        """The observation, with which actions are allowed; after the end of an episode all are."""
        n = self.manner.masked
        if not n:
            return seen
        mask = mask_in(info, n)
        if mask is None or (over and not mask.any()):
            mask = np.ones(n, np.float32)
        if not mask.any():
            self._broken(i, "the action mask allows no action")
        return np.concatenate([seen, mask])

    def _check(self, values: NDArray[Any], what: str, first: int = 0) -> None:
        """Refuse numbers that are none; rows belong to the environments from ``first`` on."""
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row, at = np.argwhere(~np.isfinite(values.reshape(len(values), -1)))[0].tolist()
            self._broken(first + row, what.format(at, values[row].ravel()[at]))

    def _failed(self, i: int, error: Exception) -> NoReturn:
        if isinstance(error, PhospheneError):
            raise error
        self._broken(i, f"{type(error).__name__}: {' '.join(str(error).split())}", error)

    def _broken(self, i: int, what: str, cause: Exception | None = None) -> NoReturn:
        where = f"episode {max(0, self.episode[i])}, step {self.clock[i]}"
        raise BrokenEnvironmentError(f"{self.manner.name} failed in {where}: {what}") from cause


def mask_in(info: Any, actions: int) -> NDArray[np.float32] | None:
    """Which actions an environment allows, by what it tells beside an observation.

    Example:
        >>> mask_in({"action_mask": np.array([1, 0], np.int8)}, 2)
        array([1., 0.], dtype=float32)
    """
    mask = info.get("action_mask") if isinstance(info, Mapping) else None
    if mask is None or np.shape(mask) != (actions,):
        return None
    found: NDArray[np.float32] = (np.asarray(mask) != 0).astype(np.float32)
    return found


def innermost(environment: Any) -> Any:
    """The environment within all wrappers; itself, where it knows of none."""
    return getattr(environment, "unwrapped", environment)


def closed(environment: Any) -> None:
    """Close an environment that can be closed."""
    getattr(environment, "close", lambda: None)()

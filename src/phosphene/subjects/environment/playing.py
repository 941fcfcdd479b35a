"""Episodes of a trained agent, as scores and as moving pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from phosphene.core.agent import Agent
from phosphene.core.config import decode
from phosphene.core.environment import Environment, Step
from phosphene.core.errors import ConfigError, RunError
from phosphene.core.paths import expanded
from phosphene.core.rng import generator, mix
from phosphene.decision.deep.actor_critic import Bounds
from phosphene.decision.deep.masks import at_random
from phosphene.decision.environments.pixels import same_size
from phosphene.decision.environments.table import make, spec
from phosphene.decision.playing import Played, play
from phosphene.subjects.environment.judge import evaluation_seed
from phosphene.subjects.environment.opening import env_of
from phosphene.train.files import destination, replacing, write_atomically
from phosphene.train.folder import Run, Weights

__all__ = ["Film", "film", "play_run", "random_returns", "write_film"]

_ENDINGS = (".gif", ".mp4", ".png")
_SLOTS = 32  # environments side by side in an evaluation
_SHOWN = 2000  # steps of an episode in a film


@dataclass(frozen=True)
class Film:
    """Pictures of episodes.

    Args:
        frames: (frames, height, width, 3), codes 0..255.
        returns: Of each episode.
        lengths: Steps of each.
    """

    frames: NDArray[np.uint8]
    returns: tuple[float, ...]
    lengths: tuple[int, ...]


def play_run(
    run: Run,
    episodes: int,
    *,
    seed: int = 0,
    greedy: bool = True,
    workers: int | None = None,
    weights: Weights | None = None,
) -> Played:
    """Play episodes that training did not meet; the same seed plays the same ones.

    Args:
        run: Of an agent.
        episodes: How many.
        seed: Which ones.
        greedy: Best actions, or as it explores.
        workers: Processes that step the environments.
        weights: ``best`` or ``last``; None for those that the run hands out.
    """
    played, env = _agent(run)
    agent = played if weights is None else cast(Agent, run.another(weights))
    if episodes < 1:
        raise ConfigError(f"episodes must be at least 1, got {episodes}")
    begun = evaluation_seed(mix(run.config["seed"], seed))
    environment = make(
        env, min(episodes, _SLOTS), seed=begun, workers=workers, longest=longest_episode(run)
    )
    try:
        return play(agent, environment, episodes, greedy=greedy, generator=generator(begun, 1))
    finally:
        environment.close()


def longest_episode(run: Run) -> int:
    """Steps after which episodes of a run are cut off that nothing else limits."""
    settings = decode(run.config["train"])
    longest: int = settings.longest_episode
    return longest


def random_returns(env: Any, episodes: int, *, seed: int = 0, longest: int = 1000) -> Tensor:
    """Returns of uniformly random actions: what an agent must at least beat."""
    environment = make(env, min(episodes, _SLOTS), seed=mix(seed, 3), longest=longest)
    try:
        return play(
            _Random(environment), environment, episodes, generator=generator(seed, 4)
        ).returns
    finally:
        environment.close()


class _Random(Agent):
    """Acts at random, whatever it sees."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment.spec)

    def choose(
        self,
        observation: Tensor,
        *,
        greedy: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        n = len(observation)
        if self.spec.masked:
            return at_random(self.spec, observation, torch.rand(n, generator=generator))
        if self.spec.actions is not None:
            return torch.randint(self.spec.actions, (n,), generator=generator)
        share = torch.rand(n, self.spec.action_dim, generator=generator)
        return Bounds(self.spec).to_env(2 * share - 1)


def film(
    run: Run,
    *,
    episodes: int = 1,
    seed: int = 0,
    greedy: bool = True,
    most: int | None = None,
) -> Film:
    """Play episodes one after the other and draw each step.

    Args:
        run: Of an agent.
        episodes: How many.
        seed: Which ones.
        greedy: Best actions, or as it explores.
        most: Frames at most; of a longer film every second, third, ... frame is kept.
    """
    agent, env = _agent(run)
    seeds = evaluation_seed(mix(run.config["seed"], seed))
    environment = make(env, 1, seed=seeds, longest=longest_episode(run))
    frames: list[NDArray[np.uint8]] = []
    over = 0

    def begun() -> None:
        frames.append(environment.render())

    def watch(action: Tensor, step: Step) -> None:
        nonlocal over
        over += int(step.done)
        if over < episodes:  # after an end the picture is the first of the next episode
            frames.append(environment.render())

    try:
        played = play(
            agent, environment, episodes, greedy=greedy, generator=generator(seed, 5),
            begun=begun, watch=watch, longest=_SHOWN,
        )  # fmt: skip
    finally:
        environment.close()
    step = 1 if most is None else max(1, -(-len(frames) // most))
    return Film(
        same_size(frames[::step]),
        tuple(played.returns.tolist()),
        tuple(played.lengths.tolist()),
    )


def write_film(shown: Film, path: str | Path, fps: int = 30) -> Path:
    """Write a film as ``.gif`` or ``.mp4``, or eight of its frames side by side as ``.png``.

    Raises:
        ConfigError: Another ending, or the package that writes mp4 is missing.
    """
    path = expanded(path)
    check_film(path)
    destination(path)
    match path.suffix.lower():
        case ".gif":
            write_atomically(path, gif(shown.frames, fps))
        case ".mp4":
            with replacing(path) as aside:
                _write_mp4(shown.frames, aside, fps)
        case _:
            with replacing(path) as aside:
                strip(shown.frames).save(aside, format="PNG")
    return path


def check_film(path: Path) -> None:
    """Refuse what cannot be written, before anything is played."""
    if path.suffix.lower() not in _ENDINGS:
        raise ConfigError(f"a film is written as {', '.join(_ENDINGS)}, not as {path.suffix!r}")
    if path.suffix.lower() == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError:
            raise ConfigError(
                "mp4 needs imageio with ffmpeg: pip install 'phosphene[rl]'; .gif needs nothing"
            ) from None


def gif(frames: NDArray[np.uint8], fps: int = 30) -> bytes:
    """A GIF that begins again when it ends, with one palette for all frames."""
    from io import BytesIO

    sample = np.concatenate(list(frames[:: max(1, len(frames) // 8)][:8]))
    palette = Image.fromarray(sample).quantize(128)
    pictures = [
        Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE) for f in frames
    ]
    buffer = BytesIO()
    # Players show no frame for less than 20 ms; the last one is held.
    each = max(20, round(1000 / fps))
    times = [each] * (len(pictures) - 1) + [900]
    pictures[0].save(
        buffer, "GIF", save_all=True, append_images=pictures[1:], duration=times, loop=0
    )
    return buffer.getvalue()


def strip(frames: NDArray[np.uint8], n: int = 8, gap: int = 6) -> Image.Image:
    """So many frames, evenly spaced in time, in two rows."""
    picks = np.linspace(0, len(frames) - 1, n).round().astype(int)
    height, width = frames.shape[1:3]
    columns = -(-n // 2)
    sheet = Image.new("RGB", (columns * (width + gap) - gap, 2 * (height + gap) - gap), "white")
    for k, i in enumerate(picks):
        sheet.paste(
            Image.fromarray(frames[i]), (k % columns * (width + gap), k // columns * (height + gap))
        )
    return sheet


def _write_mp4(frames: NDArray[np.uint8], path: Path, fps: int) -> None:
    import imageio.v2 as imageio

    with imageio.get_writer(path, fps=fps, macro_block_size=2) as writer:
        for frame in frames:
            cast(Any, writer).append_data(frame)


_SPACES = {"observation": "observations", "actions": "actions", "low": "bounds", "high": "bounds"}


def _agent(run: Run) -> tuple[Agent, Any]:
    if not isinstance(run.model, Agent):
        raise RunError(
            f"{str(run.path)!r} is the run of a model, which plays nothing; "
            "phosphene sample takes it"
        )
    agent, env = run.model, env_of(run)
    if run.said is not None:
        told = spec(env)
        for what in _SPACES:
            if getattr(told, what) != getattr(agent.spec, what):
                raise ConfigError(
                    f"{str(run.path)!r} was trained in {agent.spec}, and {told} has other "
                    f"{_SPACES[what]}"
                )
    return agent, env

"""Choose threads and precision by timing steps on a copy of the model.

Small steps are slower with more threads when anything else runs, and large ones faster; the choice
decides results under a budget in seconds, so it is measured on this machine, now, and recorded.
"""

import copy
import os
import statistics
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch

from phosphene.core.errors import ConfigError
from phosphene.core.subject import Source
from phosphene.core.trainable import Trainable
from phosphene.train.phase_runner import PhaseRunner
from phosphene.train.runtime import Runtime
from phosphene.train.settings import TrainSettings

__all__ = [
    "available_cores",
    "check_threads",
    "choose_precision",
    "choose_threads",
    "set_threads",
]

T = TypeVar("T")
_MOST_THREADS = 256
"""On any machine, so that a run may be resumed on a smaller one."""


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_threads(threads: object, what: str = "threads") -> int:
    """A number of threads that torch can be told: far more than there are cores end the process.

    Args:
        threads: What was asked for.
        what: What it is called.

    Raises:
        ConfigError: No whole number, below 1, or above 256 and four for each core.

    Example:
        >>> check_threads(2)
        2
    """
    most = max(_MOST_THREADS, 4 * available_cores())
    if not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= most:
        raise ConfigError(f"{what} must be a whole number from 1 to {most}, got {threads!r}")
    return threads


def set_threads(threads: object, what: str = "threads") -> None:
    """Tell torch how many threads to use, where that is a number that it can have."""
    torch.set_num_threads(check_threads(threads, what))


def choose_threads(
    model: Trainable, source: Source, settings: TrainSettings, precision: str
) -> int:
    """The number of threads with the shortest step: 1, half of the cores, or all of them.

    Fewer threads win ties within 5 %: they leave room for others and are steadier.
    """
    cores = available_cores()
    options = sorted({1, max(1, cores // 2), cores})
    if len(options) == 1:
        return 1
    step = _stepper(model, source, settings, precision)

    def timed(threads: int) -> float:
        set_threads(threads)
        return _seconds(step)

    times = _interleaved(options, timed)
    best = min(times.values())
    return next(n for n in options if times[n] <= 1.05 * best)


def choose_precision(model: Trainable, source: Source, settings: TrainSettings) -> str:
    """``bf16`` where its step takes less than 0.8 of the time of fp32, else ``fp32``.

    Both run on one thread and are timed by this process's own processor time: what else runs on
    the machine has little say in their ratio.
    """
    steps = {p: _stepper(model, source, settings, p) for p in ("fp32", "bf16")}
    threads = torch.get_num_threads()
    set_threads(1)
    try:
        times = _interleaved(list(steps), lambda p: _seconds(steps[p], clock=time.process_time))
    finally:
        set_threads(threads)
    return "bf16" if times["bf16"] < 0.8 * times["fp32"] else "fp32"


def _stepper(
    model: Trainable, source: Source, settings: TrainSettings, precision: str
) -> Callable[[], None]:
    twin = copy.deepcopy(model)
    runtime = Runtime.__new__(Runtime)  # alone: a probe must not wait for other ranks
    runtime.rank, runtime.world, runtime.strategy = 0, 1, "ddp"
    runtime.device = twin.device
    runners = [PhaseRunner(p, twin, settings, runtime, precision) for p in twin.phases()]
    runners = [r for r in runners if r.optimizer is not None]
    batch = source.next(0, twin)

    def step() -> None:
        for runner in runners:
            if len(runners) > 1:
                runner.freeze_others()
            batch.noise.draws = 0
            runner.gradient_step(batch, 0.0, 0)

    return step


def _seconds(
    step: Callable[[], None], most: float = 0.15, clock: Callable[[], float] = time.perf_counter
) -> float:
    step()
    times: list[float] = []
    while sum(times) < most and len(times) < 20:
        start = clock()
        step()
        times.append(clock() - start)
    return statistics.median(times)


def _interleaved(
    options: Iterable[T], timed: Callable[[T], float], rounds: int = 3
) -> dict[T, float]:
    options = list(options)
    times: dict[T, list[float]] = {option: [] for option in options}
    for _ in range(rounds):
        for option in options:
            times[option].append(timed(option))
    return {option: statistics.median(values) for option, values in times.items()}

"""How learners are timed, ours through the trainer, and held against each other before."""

import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.common import Timed, Watch
from phosphene.api.train import train
from phosphene.core.progress import Saved, StepEnd, TrainingEvent

__all__ = ["Threads", "agree", "copied", "stir", "theirs_timed", "trained"]


class Threads:
    """Which of 1 and 2 threads each learner is faster with, each measured once."""

    def __init__(self) -> None:
        self.chosen: dict[str, int] = {}

    def best(self, name: str, made: Callable[[int], Timed]) -> Timed:
        """The learner with as many threads as suit it."""
        if name not in self.chosen:
            _once(made(1))  # what comes first is slow
            times = {n: _once(made(n)) for n in (1, 2)}
            self.chosen[name] = min(times, key=times.__getitem__)
        return made(self.chosen[name])

    def of(self, name: str) -> int:
        """What was found; 1 where nothing was measured."""
        return self.chosen.get(name, 1)


def _once(run: Timed) -> float:
    watch = Watch()
    run(watch)
    watch.stop()
    return watch.wall


def trained(
    system: str,
    env: str,
    model: Mapping[str, Any],
    settings: Mapping[str, Any],
    *,
    first: int,
    last: int,
    parts: int,
) -> Callable[[int], Timed]:
    """Ours: a whole training, timed between two counts of environment steps, a part of it.

    The judge, which plays episodes, would come at the end and is not in the time.
    """
    quiet = {"evaluate_every": 10**9, "checkpoint_every": 1e9, "schedule": "constant"}

    def with_threads(threads: int) -> Timed:
        def run(watch: Watch) -> None:
            def clock(event: TrainingEvent) -> None:
                if isinstance(event, Saved) and event.step == 0:
                    watch.start()
                elif isinstance(event, StepEnd):
                    seen = event.terms["environment_steps"]
                    if seen >= last:
                        watch.stop()
                    elif seen <= first:
                        watch.start()

            with tempfile.TemporaryDirectory() as folder:
                train(
                    system, env=env, budget=f"{last}steps", folder=folder, model=dict(model),
                    train={**quiet, **settings}, threads=threads, listeners=[clock],
                )  # fmt: skip
            _per_part(watch, parts)

        return run

    return with_threads


def theirs_timed(prepare: Callable[[], Callable[[], object]], parts: int) -> Callable[[int], Timed]:
    """The peer's: ``prepare`` makes what is timed."""

    def with_threads(threads: int) -> Timed:
        def run(watch: Watch) -> None:
            torch.set_num_threads(threads)
            work = prepare()
            watch.start()
            work()
            watch.stop()
            _per_part(watch, parts)

        return run

    return with_threads


def _per_part(watch: Watch, parts: int) -> None:
    watch.stop()
    watch.wall, watch.cpu = watch.wall / parts, watch.cpu / parts


def stir(module: nn.Module, size: float = 0.1) -> None:
    """Move all parameters a little, always alike."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for p in module.parameters():
            p += size * torch.randn(p.shape, generator=generator)


def copied(ours: nn.Module, theirs: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Give the peer our parameters; the pairs."""
    pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
    with torch.no_grad():
        for own, other in pairs:
            other.copy_(own)
    return pairs


def agree(pairs: list[tuple[Any, Any]], tolerance: float = 1e-5) -> float:
    """The largest difference, relative where values exceed 1; it must be small."""
    worst = 0.0
    for own, other in pairs:
        assert own.shape == other.shape, f"{tuple(own.shape)} is not {tuple(other.shape)}"
        scale = max(1.0, float(other.detach().abs().max()))
        worst = max(worst, float((own - other).detach().abs().max()) / scale)
    assert worst <= tolerance, f"ours and the peer's differ by {worst}"
    return worst

"""Trains a toy under torchrun or alone; told what to do by a JSON list of jobs.

Each job is a dict: kind, folder, steps, and optionally strategy, resume, die_at, settings. A job
with ``die_at`` kills its own process while the checkpoint of that step is being written.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch

from phosphene.core.progress import StepEnd
from phosphene.core.rng import seeded
from phosphene.subjects.dataset.source import DatasetSource
from phosphene.train import checkpoint
from phosphene.train.engine import Engine
from phosphene.train.runtime import Runtime
from phosphene.train.settings import Budget, TrainSettings
from tests.train.toys import OnePhase, TwoPhase, dataset, judge

KINDS = {"one": OnePhase, "two": TwoPhase}


def die_while_writing(step: int) -> None:
    write = checkpoint.write_atomically

    def deadly(path: Path, text: str) -> None:
        if text == str(step):
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, text)

    checkpoint.write_atomically = deadly


def run(job: dict) -> None:
    torch.set_num_threads(1)
    folder = Path(job["folder"])
    runtime = Runtime("cpu", job.get("strategy", "ddp"))
    if runtime.main:
        (folder / "model").mkdir(parents=True, exist_ok=True)
        (folder / "checkpoint").mkdir(exist_ok=True)
    data = dataset()
    with seeded(0 if not job.get("resume") else 99):  # a resumed run must not lean on the seed
        model = KINDS[job["kind"]](data.event)
    settings = {"batch_size": 32, "log_every": 1, "checkpoint_every": 0.0, "ema": 0.9, "clip": 5.0}
    losses = []

    def listen(event: object) -> None:
        if isinstance(event, StepEnd):
            losses.append([event.step, event.terms])

    engine = Engine(
        model,
        DatasetSource(data, 32, 0, runtime.rank, runtime.world),
        TrainSettings(**{**settings, **job.get("settings", {})}),
        Budget.parse(f"{job['steps']}steps"),
        folder,
        runtime,
        judge=judge(model),
        listeners=[listen],
    )
    if "die_at" in job:
        die_while_writing(job["die_at"])
    engine.run(resume=job.get("resume", False))
    seen = runtime.gather(engine.seen)
    if runtime.main:
        (folder / "result.json").write_text(json.dumps({"losses": losses, "seen": seen}))


def threads_of_the_group() -> list[str]:
    names = [p.read_text().strip() for p in Path("/proc/self/task").glob("*/comm")]
    return [n for n in names if "gloo" in n]


if __name__ == "__main__":
    jobs = json.loads(sys.argv[1])
    # Joins the group once, for all jobs, and leaves it at the end.
    runtime = Runtime("cpu", "fsdp" if any(j.get("strategy") == "fsdp" for j in jobs) else "ddp")
    for job in jobs:
        run(job)
    runtime.close()
    # Left alive, they now and then abort a process that ends.
    assert not threads_of_the_group(), threads_of_the_group()

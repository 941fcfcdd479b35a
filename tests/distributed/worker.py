"""Trains toys alone and on several ranks; told what to do by a JSON list of launches.

A launch is a dict: ``ranks``, ``dies`` (whether it is meant to) and ``jobs``. Each job is a dict:
kind, folder, steps, and optionally strategy, resume, die_at, settings. A job with ``die_at`` kills
its own process while the checkpoint of that step is being written.

Torch is imported once; each rank is a fork, with the environment that torchrun would give it.
"""

import json
import os
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

import torch
from torch.distributed import TCPStore

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


def work(jobs: list[dict]) -> None:
    """What one rank does."""
    # Joins the group once, for all jobs, and leaves it at the end.
    runtime = Runtime("cpu", "fsdp" if any(j.get("strategy") == "fsdp" for j in jobs) else "ddp")
    for job in jobs:
        run(job)
    runtime.close()
    # Left alive, they now and then abort a process that ends.
    assert not threads_of_the_group(), threads_of_the_group()


def forked(jobs: list[dict], rank: int, ranks: int, port: int) -> int:
    """Start a rank; the number of its process. It meets the others at a store of this process."""
    child = os.fork()
    if child:
        return child
    try:
        if ranks > 1:
            os.environ |= {
                "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks),
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
                "TORCHELASTIC_USE_AGENT_STORE": "True",
            }  # fmt: skip
        work(jobs)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    sys.stderr.flush()
    os._exit(0)


def launch(jobs: list[dict], ranks: int = 1, dies: bool = False) -> None:
    """Run jobs on ranks; where one dies, the others are stopped, as torchrun does.

    As there, the launcher holds the store at which ranks meet: it is given a port and keeps it, so
    that nobody else can take the port in between.
    """
    limit = time.monotonic() + 400
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False) if ranks > 1 else None
    port = 0 if store is None else store.port
    left, stopped, codes = {forked(jobs, rank, ranks, port) for rank in range(ranks)}, set(), []
    while left:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            left.remove(child)
            if child not in stopped:
                codes.append(os.waitstatus_to_exitcode(status))
            continue  # one that ended by itself, after another, is not taken for stopped
        time.sleep(0.01)
        if any(codes) or time.monotonic() > limit:
            for other in left - stopped:
                os.kill(other, signal.SIGKILL)
            stopped |= left
    wanted = -signal.SIGKILL in codes if dies else codes == [0] * ranks
    assert wanted, f"{ranks} ranks ended with the codes {codes}, of {jobs}"


if __name__ == "__main__":
    # What the engine imports late: before the forks, it is imported once.
    for name in ("torch.distributed.nn.functional", "torch.distributed.fsdp"):
        import_module(name)
    for told in json.loads(sys.argv[1]):
        launch(**told)

"""Training steps per second and the start of the command line, beside those of another checkout.

    python scripts/time_pairs.py OTHER_PYTHON [--pairs 20] [--only vae]

Two environments take turns, a pair of processes each time: this one and that of the interpreter
named, which has another version of the library installed. Printed are medians of the ratios of
processor seconds, this over the other, with the interval that holds the median of such pairs with
a confidence of 95 % (ranks of the binomial distribution). Processor seconds say the same on a busy
machine as on an idle one, or nearly. Of a training counts the median over stretches of five steps,
from the first that is logged.
"""

import argparse
import contextlib
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial

WORK = {
    "vae": "'vae', data='mnist-binary', budget='80steps'",
    "maf": "'maf', data='moons', budget='200steps'",
    "ppo": "'ppo', env='CartPole-v1', budget='30000steps'",
}
STARTS = {
    "start: phosphene systems": ["systems"],
    "start: phosphene train vae --help": ["train", "vae", "--help"],
}

TRAIN = """
import sys, time
import phosphene as ph

def listen(event):
    global begun
    if type(event).__name__ == "StepEnd":
        print(0.0 if begun is None else (time.process_time() - begun) / 5, flush=True)
        sys.stdin.readline()
        begun = time.process_time()

for name, train in (TRAININGS):
    begun = None
    sys.stdin.readline()
    train(folder=sys.argv[1], name=name, threads=1, listeners=[listen],
          train={"validation_share": 0.01, "log_every": 5})
    print("done", flush=True)
"""


ALLOWED = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def steps(pythons: Sequence[str], only: str | None = None) -> list[dict[str, float]]:
    """Processor seconds of a step of each model: the median over stretches of five steps.

    The processes take turns at every stretch, on one core, so that what slows one slows both.
    """
    names = [name for name in WORK if only in (None, name)]
    trainings = "".join(f"({n!r}, lambda **told: ph.train({WORK[n]}, **told)), " for n in names)
    code = TRAIN.replace("TRAININGS", trainings)
    found: list[dict[str, float]] = [{} for _ in pythons]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    [python, "-c", code, os.path.join(folder, str(k))], text=True, cwd=folder,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                    env=environment(),
                )
            )
            for k, python in enumerate(pythons)
        ]  # fmt: skip
        for name in names:
            seen: list[list[float]] = [[] for _ in pythons]
            busy = list(range(len(pythons)))
            while busy:
                for k in list(busy):
                    heard = after_a_turn(running[k])
                    if heard == "done":
                        busy.remove(k)
                    else:
                        seen[k].append(float(heard))
                busy.reverse()
            for k, own in enumerate(seen):
                found[k][name] = statistics.median(own[1:])
    return found


def after_a_turn(process: "subprocess.Popen[str]") -> str:
    """Let a process go on to its next word."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    word = process.stdout.readline().strip()
    assert word, f"{process.args[0]} ended early"  # type: ignore[index]
    return word


def starts(pythons: Sequence[str]) -> list[dict[str, float]]:
    """Processor seconds of whole processes, in turns."""
    found: list[dict[str, float]] = [{} for _ in pythons]
    for name, words in STARTS.items():
        for k, python in enumerate(pythons):
            found[k][name] = start(python, words)
    return found


def start(python: str, words: list[str]) -> float:
    """Processor seconds of a whole process."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.times()
        subprocess.run(
            [python, "-m", "phosphene", *words],
            capture_output=True, check=True, env=environment(), cwd=folder,
        )  # fmt: skip
        after = os.times()
    own = after.children_user - before.children_user
    return own + after.children_system - before.children_system


def stay_on(k: int) -> None:
    """Keep this process and those it starts on one core: cores are not equally fast."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(ALLOWED)
        os.sched_setaffinity(0, {cores[k % len(cores)]})


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "10000", "PYTHONPATH": ""}


def interval(ratios: list[float]) -> tuple[float, float]:
    """The ranks between which the median lies in 95 of 100 such samples."""
    n, values = len(ratios), sorted(ratios)
    k, below = 0, 0.0
    while below + math.comb(n, k) / 2**n <= 0.025:
        below += math.comb(n, k) / 2**n
        k += 1
    k = max(k, 1)
    return values[k - 1], values[n - k]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--only", choices=[*WORK, "start"])
    told = parser.parse_args()
    for job in (steps, starts):
        if told.only is not None and (told.only == "start") != (job is starts):
            continue
        run: Callable[[Sequence[str]], list[dict[str, float]]] = starts
        if job is steps:
            run = partial(steps, only=told.only)
        here_there = [sys.executable, told.other]
        run(here_there)  # a first time, for the file system
        ours, theirs = [], []
        for k in range(told.pairs):
            stay_on(k % 4 // 2)
            found = run(here_there[:: 1 if k % 2 == 0 else -1])
            ours.append(found[k % 2])
            theirs.append(found[1 - k % 2])
        for name in ours[0]:
            here, there = [one[name] for one in ours], [one[name] for one in theirs]
            ratios = [a / b for a, b in zip(here, there, strict=True)]
            low, high = interval(ratios)
            print(
                f"{name}: ratio {statistics.median(ratios):.3f} [{low:.3f}, {high:.3f}], here "
                f"{1000 * statistics.median(here):.2f} ms, there "
                f"{1000 * statistics.median(there):.2f} ms, {told.pairs} pairs", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()

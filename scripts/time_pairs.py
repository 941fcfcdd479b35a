"""Training steps per second and the start of the command line, beside those of another checkout.

    python scripts/time_pairs.py OTHER_PYTHON [--pairs 20] [--only vae]

Two environments take turns, a process each time: this one and that of the interpreter that is
named, which has another version of the library installed. Printed are medians of the ratios of
processor seconds, this over the other, with the interval that holds the median of such pairs with
a confidence of 95 % (ranks of the binomial distribution). Processor seconds say the same on a busy
machine as on an idle one, or nearly; a step is timed from the first that is logged to the last.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile

WORK = {
    "vae": "'vae', data='mnist-binary', budget='80steps'",
    "maf": "'maf', data='moons', budget='200steps'",
    "ppo": "'ppo', env='CartPole-v1', budget='20000steps'",
}
STARTS = {
    "start: phosphene systems": ["systems"],
    "start: phosphene train vae --help": ["train", "vae", "--help"],
}

TRAIN = """
import json, sys, time
import phosphene as ph

found = {}
for name, train in (TRAININGS):
    seen = []
    def listen(event):
        if type(event).__name__ == "StepEnd":
            seen.append((event.step, time.process_time()))
    train(folder=sys.argv[1], name=name, threads=1, listeners=[listen],
          train={"validation_share": 0.01, "log_every": 5})
    (a, begun), (b, ended) = seen[0], seen[-1]
    found[name] = (ended - begun) / (b - a)
print(json.dumps(found))
"""


def steps(python: str) -> dict[str, float]:
    """Processor seconds of a step of each model, trained one after another in one process."""
    trainings = "".join(
        f"({name!r}, lambda **told: ph.train({what}, **told)), " for name, what in WORK.items()
    )
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, "-c", TRAIN.replace("TRAININGS", trainings), folder],
            capture_output=True, text=True, check=True, env=environment(), cwd=folder,
        )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def starts(python: str) -> dict[str, float]:
    """Processor seconds of whole processes."""
    return {name: start(python, words) for name, words in STARTS.items()}


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
    told = parser.parse_args()
    for job in (steps, starts):
        job(sys.executable), job(told.other)  # a first time, for the file system
        ours, theirs = [], []
        for k in range(told.pairs):
            turns = [(sys.executable, ours), (told.other, theirs)]
            for python, found in turns if k % 2 == 0 else reversed(turns):
                found.append(job(python))
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

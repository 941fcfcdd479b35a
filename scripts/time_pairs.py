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
    "vae": "'vae', data='mnist-binary', budget='300steps'",
    "maf": "'maf', data='moons', budget='600steps'",
    "ppo": "'ppo', env='CartPole-v1', budget='24000steps'",
}
STARTS = {
    "start: phosphene systems": ["systems"],
    "start: phosphene train vae --help": ["train", "vae", "--help"],
}

TRAIN = """
import json, sys, time
import phosphene as ph

seen = []
def listen(event):
    if type(event).__name__ == "StepEnd":
        seen.append((event.step, time.process_time()))

ph.train({what}, folder=sys.argv[1], name="timed", threads=1, train={{"validation_share": 0.01}},
         listeners=[listen])
(a, begun), (b, ended) = seen[0], seen[-1]
print(json.dumps((ended - begun) / (b - a)))
"""


def step(python: str, what: str) -> float:
    """Processor seconds of a step."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, "-c", TRAIN.format(what=what), folder],
            capture_output=True, text=True, check=True, env=environment(), cwd=folder,
        )  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1]))


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
    parser.add_argument("--only", choices=[*WORK, "start"])
    told = parser.parse_args()
    jobs = {name: (step, what) for name, what in WORK.items() if told.only in (None, name)}
    if told.only in (None, "start"):
        jobs |= {name: (start, words) for name, words in STARTS.items()}
    for name, (time, what) in jobs.items():
        time(sys.executable, what), time(told.other, what)  # a first time, for the file system
        ratios, ours, theirs = [], [], []
        for k in range(told.pairs):
            pair = {}
            for python in (sys.executable, told.other)[:: 1 if k % 2 == 0 else -1]:
                pair[python] = time(python, what)
            ours.append(pair[sys.executable])
            theirs.append(pair[told.other])
            ratios.append(ours[-1] / theirs[-1])
        low, high = interval(ratios)
        print(
            f"{name}: ratio {statistics.median(ratios):.3f} [{low:.3f}, {high:.3f}], here "
            f"{1000 * statistics.median(ours):.3f} ms, there "
            f"{1000 * statistics.median(theirs):.3f} ms, {told.pairs} pairs", flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()

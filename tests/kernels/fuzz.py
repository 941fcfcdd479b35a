"""Random calls of every kernel in processes of their own, and what became of them.

python -m tests.kernels.fuzz [--calls 2000] [--seed 0]
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from tests.kernels.fuzz_cases import cases

BAD = ("harness", "crash", "hang", "error", "unlike", "unequal", "refused valid")


def run(calls, seed=0, limit=20):
    """(name, seed, kind, outcome, sentence) of each call."""
    given = cases(calls, seed)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "cases.pt", Path(folder) / "results.json"
        torch.save(given, source)
        command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("fuzz_play.py"))]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(
            [*command, str(source), str(target), str(limit)], check=True, env=environment
        )
        found = json.loads(target.read_text())
    return [(c[0], c[1], c[3], *r) for c, r in zip(given, found, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found = run(arguments.calls, arguments.seed)
    counts = collections.Counter(outcome for *_, outcome, _ in found)
    valid = sum(counts[x] for x in ("equal", "unequal", "survived"))
    print(
        f"{len(found)} calls: {counts['crash']} crashed, {counts['hang']} hung, {valid} valid, "
        f"{counts['equal']} equal to the reference, {counts['refused']} refused"
    )
    print(dict(counts))
    for name, seed, kind, outcome, said in found:
        if outcome in BAD:
            print(f"{outcome}: {name}, seed {seed}, {kind}: {said}")
    return int(any(counts[x] for x in BAD))


if __name__ == "__main__":
    sys.exit(main())

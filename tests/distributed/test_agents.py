"""Agents on two processes: the same learning curve as on one, through the command line."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from phosphene.cli.main import main

ROOT = Path(__file__).parents[2]
ENV = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
SYSTEMS = {
    "ppo": ["--model.environments", "4", "--model.steps", "32", "--model.batch-size", "64",
            "--model.epochs", "4", "--model.standardize"],
}  # fmt: skip


def train(folder: Path, system: str, ranks: int) -> list[dict]:
    """One rank in this process; several by torchrun, which the other tests do without."""
    words = ["train", system, "--env", "CartPole-v1", "--budget", "1280steps", "--threads", "1"]
    words += ["--name", f"{system}{ranks}", *SYSTEMS[system]]
    if ranks == 1:
        with contextlib.chdir(folder):
            assert main(words) == 0
    else:
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        done = subprocess.run(
            [sys.executable, *launcher, "-m", "phosphene", *words],
            env=ENV, cwd=folder, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    lines = (folder / "runs" / f"{system}{ranks}" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("system", SYSTEMS)
def test_two_processes_learn_the_same_curve(system, tmp_path):
    """The same global batches: losses agree to float32, and episodes end at the same returns."""
    one, two = (train(tmp_path, system, ranks) for ranks in (1, 2))
    assert len(one) == len(two)
    compared = 0
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for key in set(a) - {"seconds", "examples", "examples_by_rank", "finished", "best"}:
            if isinstance(a[key], float | int) and not isinstance(a[key], bool):
                assert b[key] == pytest.approx(a[key], rel=2e-3, abs=2e-4), (key, a["step"])
                compared += 1
    assert compared > 70
    assert [r["environment_steps"] for r in one if "loss" in r][-1] == 1280

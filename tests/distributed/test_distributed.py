"""Kill -9 and resume bit for bit, alone and on two ranks; DDP and FSDP2 equal one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
ENV = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
}


pytestmark = pytest.mark.timeout(1000)  # against a hang; a busy machine takes minutes


def run_all(launches):
    command = [sys.executable, str(Path(__file__).with_name("worker.py")), json.dumps(launches)]
    done = subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]


def weights(folder):
    return {
        f"{name}:{k}": v
        for name in ("model", "ema")
        for k, v in load_file(folder / "model" / f"{name}.safetensors").items()
    }


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for k in a:
        assert torch.equal(a[k], b[k]), f"{k} differs by {(a[k] - b[k]).abs().max()}"


def losses(folder):
    return json.loads((folder / "result.json").read_text())["losses"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All trainings, of one interpreter: to import torch is what takes the time."""
    root = tmp_path_factory.mktemp("distributed")

    def job(name, kind, **extra):
        return {"folder": str(root / name), "kind": kind, "steps": 12, **extra}

    kinds, strategies = ("one", "two"), ("ddp", "fsdp")
    both = [(s, k) for s in strategies for k in kinds]
    again = [job(f"cut-{s}-{k}", k, strategy=s, resume=True) for s, k in both]
    again += [job("ddp-accumulate", "two", settings={"accumulate": 2})]
    run_all([
        {"jobs": [job(f"alone-{k}", k) for k in kinds]},
        *({"jobs": [job(f"cut-{k}", k, die_at=7)], "dies": True} for k in kinds),
        {"jobs": [job(f"cut-{k}", k, resume=True) for k in kinds]},
        {"jobs": [job(f"{s}-{k}", k, strategy=s) for s, k in both], "ranks": 2},
        *({"jobs": [job(f"cut-{s}-{k}", k, strategy=s, die_at=7)], "ranks": 2, "dies": True}
          for s, k in both),
        {"jobs": again, "ranks": 2},
    ])  # fmt: skip
    return root


@pytest.mark.parametrize("kind", ["one", "two"])
def test_kill_and_resume_alone(runs, kind):
    assert_equal(weights(runs / f"alone-{kind}"), weights(runs / f"cut-{kind}"))
    assert losses(runs / f"cut-{kind}")[0][0] == 7, "the checkpoint of step 6 is the last whole one"


@pytest.mark.parametrize("kind", ["one", "two"])
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_kill_and_resume_on_two_ranks(runs, strategy, kind):
    assert_equal(weights(runs / f"{strategy}-{kind}"), weights(runs / f"cut-{strategy}-{kind}"))
    assert losses(runs / f"cut-{strategy}-{kind}")[0][0] == 7


@pytest.mark.parametrize("kind", ["one", "two"])
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_ranks_equal_one(runs, strategy, kind):
    alone, two = losses(runs / f"alone-{kind}"), losses(runs / f"{strategy}-{kind}")
    assert len(alone) == len(two) == 12
    for (_, a), (_, b) in zip(alone, two, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert b[name] == pytest.approx(a[name], rel=1e-6, abs=1e-6), name


def test_accumulation_on_two_ranks(runs):
    for (_, a), (_, b) in zip(
        losses(runs / "alone-two"), losses(runs / "ddp-accumulate"), strict=True
    ):
        assert b["critic_loss"] == pytest.approx(a["critic_loss"], rel=1e-5, abs=1e-6)


def test_each_rank_logs_how_many_examples_it_saw(runs):
    rows = [json.loads(r) for r in (runs / "ddp-one" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["examples_by_rank"] == [12 * 16, 12 * 16]
    alone = [json.loads(r) for r in (runs / "alone-one" / "metrics.jsonl").read_text().splitlines()]
    assert alone[-1]["examples_by_rank"] == [12 * 32]

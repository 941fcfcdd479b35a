"""Small runs that every later version must load, score and resume: tests/fixtures/runs.

    python scripts/build_run_fixtures.py NAME ...

Each name is a folder that is made anew with the code of today, so this is run for new kinds of
runs only: the folders that exist are the promise that is tested. Beside a run stands, in
``tests/fixtures/expected.json``, what it scored and how it ended when it was resumed.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import phosphene as ph

FOLDER = Path(__file__).parent.parent / "tests" / "fixtures"
KEPT = ("nll", "elbo", "iwae_nll", "bits_per_dim", "psnr", "return_mean", "length_mean")
"""Scores that are a function of the run alone, whatever else is measured beside them."""

RUNS: dict[str, dict[str, Any]] = {
    "vae": {
        "data": "digits-binary", "model": {"latent_dim": 2, "hidden": (8,)},
        "train": {"ema": 0.9},
    },
    "made": {"data": "digits-binary", "model": {"hidden": (8,)}},
    "glow": {"data": "digits", "model": {"levels": 1, "steps": 1, "hidden": 4}},
    "transformer": {"data": "moby-dick", "model": {"width": 8, "depth": 1, "heads": 2}},
    "vq-vae-prior": {
        "data": "digits-binary",
        "model": {
            "codes": {"codes": 4, "code_dim": 2, "hidden": 4},
            "prior": {"width": 8, "depth": 1, "heads": 2},
        },
    },
    "rbm": {"data": "digits-binary", "model": {"hidden": 4, "chains": 16}},
    "ppo": {
        "env": "CartPole-v1",
        "model": {"hidden": (4,), "environments": 4, "steps": 16, "batch_size": 32},
    },
    "q-learning": {"env": "CliffWalking-v1?limit=60"},
}  # fmt: skip
"""How each is trained; the name is that of the system."""


def steps_of(name: str, factor: int) -> str:
    """A budget: environment steps of an agent, else steps."""
    return f"{(200 if 'env' in RUNS[name] else 20) * factor}steps"


def scored(run: ph.Run) -> dict[str, float]:
    """Scores of a run, quick ones."""
    settings = (
        {"episodes": 5} if run.kind.name == "environment" else {"samples": 32, "particles": 2}
    )
    found = ph.evaluate(run, **settings)
    return {name: found[name].value for name in KEPT if name in found}


def ended(run: ph.Run) -> dict[str, float]:
    """Where a training stands: its step, and sums over its last weights."""
    model = ph.load(run.path, weights="last")
    values = [v.double() for v in model.state_dict().values()]
    return {
        "step": max(row.get("step", 0) for row in run.metrics),
        "weights": float(sum(v.sum() for v in values)),
        "squares": float(sum(v.square().sum() for v in values)),
    }


def build(name: str) -> dict[str, Any]:
    """Train a run anew; return its scores, and how it ends when it is resumed."""
    where = FOLDER / "runs"
    shutil.rmtree(where / name, ignore_errors=True)
    told = {"folder": where, "name": name, "threads": 1, **RUNS[name]}
    run = ph.train(name, budget=steps_of(name, 1), **told)
    scores = scored(run)
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(where / name, Path(copy) / name)
        resumed = ph.train(
            name, folder=copy, name=name, resume=True, budget=steps_of(name, 2), threads=1
        )
        return {"scores": scores, "resumed": ended(resumed)}


def main() -> None:
    path = FOLDER / "expected.json"
    expected = json.loads(path.read_text()) if path.is_file() else {}
    for name in sys.argv[1:]:
        expected[name] = build(name)
        path.write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

"""Runs that earlier versions wrote: they load, score the same, and go on as they would have."""

import json
import shutil
from pathlib import Path

import pytest

import phosphene as ph
from scripts.build_run_fixtures import FOLDER, RUNS, ended, scored, steps_of

EXPECTED = json.loads((FOLDER / "expected.json").read_text())
SLACK = {"rel": 2e-3, "abs": 1e-4}
"""Processors differ in the last bits of a product, and a training carries them on."""


@pytest.fixture(params=RUNS)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a run, which may be written to."""
    shutil.copytree(FOLDER / "runs" / request.param, tmp_path / request.param)
    return tmp_path / request.param


def test_a_run_scores_what_it_scored(kept: Path) -> None:
    expected = EXPECTED[kept.name]["scores"]
    assert scored(ph.Run(kept)) == pytest.approx(expected, **SLACK)


def test_a_run_is_resumed_as_it_would_have_been(kept: Path) -> None:
    run = ph.train(
        kept.name, folder=kept.parent, name=kept.name, resume=True, threads=1,
        budget=steps_of(kept.name, 2),
    )  # fmt: skip
    assert ended(run) == pytest.approx(EXPECTED[kept.name]["resumed"], **SLACK)

"""A training in stages: codes, then a prior over them."""

import json
from pathlib import Path

import pytest
import torch

import phosphene as ph
from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, RunError
from phosphene.core.trainable import tensors
from phosphene.train.folder import Run

SETTINGS = {
    "codes": {"codes": 4, "code_dim": 2, "hidden": 8},
    "prior_system": "made",
    "prior": {"hidden": (16,)},
}


def train(folder: Path, **more: object) -> Run:
    given: dict[str, object] = {"budget": "8steps", "name": "both", "model": SETTINGS, **more}
    return ph.train(
        "vq-vae-prior",
        data="digits-binary",
        folder=folder,
        threads=1,
        **given,  # type: ignore
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tmp_path_factory.mktemp("runs"))


def test_each_stage_is_a_run(run: Run) -> None:
    stages = sorted(p.name for p in (run.path / "stages").iterdir() if p.is_dir())
    assert stages == ["1-codes", "2-prior"]
    steps = [Run(run.path / "stages" / s).metrics[-1]["finished"] for s in stages]
    assert steps == ["budget", "budget"]
    assert {row["stage"] for row in run.metrics} == {"codes", "prior"}


def test_the_whole_holds_its_parts(run: Run) -> None:
    model = run.model
    for stage in ("codes", "prior"):
        part = model.part(stage).model
        number = model.stages.index(stage) + 1
        trained = Run(run.path / "stages" / f"{number}-{stage}").model
        for name, value in tensors(part).items():
            assert torch.equal(value, tensors(trained)[name])
    label = Context(label=torch.tensor([3, 4]))
    assert model.sample(2, label, generator=torch.Generator().manual_seed(0)).shape == (2, 1, 8, 8)


def test_a_finished_run_resumes_to_itself(run: Run) -> None:
    before = tensors(run.model)
    again = train(run.path.parent, resume=True, model=None)
    assert all(torch.equal(v, before[k]) for k, v in tensors(again.model).items())


def test_a_run_broken_off_between_stages_goes_on(run: Run, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(run.path, tmp_path / "both")
    shutil.rmtree(tmp_path / "both" / "stages" / "2-prior")
    (tmp_path / "both" / "model" / "model.safetensors").unlink()
    again = train(tmp_path, resume=True, model=None)
    before = tensors(run.model)
    assert all(torch.equal(v, before[k]) for k, v in tensors(again.model).items())


def test_a_run_may_be_the_first_stage(run: Run, tmp_path: Path) -> None:
    codes = run.path / "stages" / "1-codes"
    other = train(tmp_path, first=codes, model={k: SETTINGS[k] for k in ("prior_system", "prior")})
    assert not (other.path / "stages" / "1-codes").exists()
    trained = tensors(Run(codes).model)
    assert all(torch.equal(v, trained[k]) for k, v in tensors(other.model.codes).items())
    assert json.loads((other.path / "run.json").read_text())["first"] == str(codes)


def test_bad_first_stages_are_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no stages"):
        ph.train("vq-vae", data="digits-binary", folder=tmp_path, first=run.path)
    with pytest.raises(RunError, match="there is no run"):
        train(tmp_path, first=tmp_path / "nothing")


def test_it_evaluates(run: Run) -> None:
    scores = ph.evaluate(run, samples=40)
    assert scores["elbo"].kind.startswith("bound") or scores["elbo"].value < 0
    assert "accuracy" in scores

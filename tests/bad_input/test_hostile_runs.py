"""Run folders that somebody else made up: nothing in them runs, imports, fetches or leads out."""

import json
import os
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.cli.main import main
from phosphene.core.errors import RunError
from phosphene.train.shards import _Index

PIPE = "webdataset:pipe:touch executed"
MODULE = "evil:make"
REGISTERED = "evil:Env-v0"


class Touch:
    """Unpickling it runs a command."""

    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A run of a model and one of an agent."""
    folder = tmp_path_factory.mktemp("honest")
    ph.train("vae", data="digits-binary", budget="4steps", folder=folder, name="vae", threads=1,
             latent_dim=2, hidden=(4,))  # fmt: skip
    ph.train("ppo", env="CartPole-v1", budget="64steps", folder=folder, name="ppo", threads=1,
             hidden=(4,), environments=2, steps=8, batch_size=16)  # fmt: skip
    return folder


@pytest.fixture
def place(honest, tmp_path, monkeypatch):
    """A working folder with both runs, and a module that says that it was imported."""
    shutil.copytree(honest, tmp_path / "runs")
    (tmp_path / "evil.py").write_text(
        "from pathlib import Path\nPath('imported').touch()\n"
        "def make(**_): Path('called').touch()\n"
    )
    victim = tmp_path / "victim"
    (victim / "1").mkdir(parents=True)
    (victim / "notes.txt").write_text("mine")
    (victim / "1" / "more.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("evil", None)


def unharmed(place):
    for name in ("executed", "imported", "called"):
        assert not (place / name).exists(), f"something was {name}"
    found = {p.relative_to(place / "victim"): p.read_text() if p.is_file() else None
             for p in (place / "victim").rglob("*")}  # fmt: skip
    assert found == {Path("notes.txt"): "mine", Path("1"): None, Path("1/more.txt"): "mine"}


def record(place, run, **fields):
    path = place / "runs" / run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def told(capsys, *argv):
    """Run a command, which must end well or with one sentence; what it said."""
    code = main([str(a) for a in argv])
    out, err = capsys.readouterr()
    assert code in (0, 2), err
    assert "Traceback" not in err
    return code, out + err


RESUME_VAE = ("train", "vae", "--name", "vae", "--resume", "--budget", "8steps", "--threads", "1")
RESUME_PPO = ("train", "ppo", "--name", "ppo", "--resume", "--budget", "128steps", "--threads", "1")
OF_MODEL = [
    ("evaluate", "runs/vae", "--samples", "20", "--particles", "1"),
    ("report", "runs/vae"),
    ("sample", "runs/vae", "--interpolate"),
    ("sample", "runs/vae", "--prior", "normal"),
    RESUME_VAE,
]
OF_AGENT = [
    ("evaluate", "runs/ppo", "--episodes", "2"),
    ("play", "runs/ppo"),
    ("report", "runs/ppo"),
    RESUME_PPO,
]


@pytest.mark.parametrize("command", OF_MODEL, ids=lambda c: " ".join(c[:3]))
@pytest.mark.parametrize(
    "name", [PIPE, f"x4:{PIPE}", "webdataset:http://localhost:9/x.tar", "hf:somebody/something"]
)
def test_data_that_a_file_names_are_not_run_or_fetched(place, capsys, command, name):
    record(place, "vae", data=name)
    code, said = told(capsys, *command)
    assert code == 2
    assert "--trust" in said
    assert repr(name) in said
    unharmed(place)


@pytest.mark.parametrize("command", OF_AGENT, ids=lambda c: " ".join(c[:2]))
@pytest.mark.parametrize(
    "name",
    [MODULE, REGISTERED, "os:system?command=touch executed",
     "GymV26Environment-v0?env_id=evil:Env-v0"],
)  # fmt: skip
def test_environments_that_a_file_names_are_not_imported(place, capsys, command, name):
    record(place, "ppo", env=name)
    code, said = told(capsys, *command)
    assert code == 2
    assert "--trust" in said
    unharmed(place)


def test_what_is_said_again_or_trusted_is_followed(place, capsys):
    record(place, "vae", data=PIPE)
    assert told(capsys, *OF_MODEL[0], "--data", "digits-binary")[0] == 0
    unharmed(place)
    told(capsys, *OF_MODEL[0], "--trust")
    assert (place / "executed").exists()
    (place / "executed").unlink()
    told(capsys, *OF_MODEL[0], "--data", PIPE)
    assert (place / "executed").exists()
    record(place, "ppo", env=MODULE)
    told(capsys, *OF_AGENT[1], "--trust")
    assert (place / "imported").exists()


def test_trust_is_asked_for_in_python_too(place):
    record(place, "vae", data=PIPE)
    with pytest.raises(RunError, match="trust=True"):
        ph.evaluate("runs/vae", samples=20, particles=1)
    with pytest.raises(RunError, match="trust=True"):
        ph.train("vae", name="vae", resume=True, budget="8steps", threads=1)
    record(place, "ppo", env=MODULE)
    with pytest.raises(RunError, match="trust=True"):
        ph.evaluate("runs/ppo", episodes=1)
    unharmed(place)


def test_other_data_are_scored_beside_the_runs_own(place, capsys):
    code, said = told(capsys, *OF_MODEL[0], "--data", "digits")
    assert code == 2
    assert "levels" in said
    own = json.loads(Path("runs/vae/evaluation.json").read_text()) if Path(
        "runs/vae/evaluation.json").is_file() else None  # fmt: skip
    assert own is None
    np.savez("mine.npz", x=np.random.default_rng(0).integers(0, 2, (90, 8, 8), dtype=np.uint8))
    assert told(capsys, *OF_MODEL[0], "--data", "npz:mine.npz?levels=2")[0] == 0
    (other,) = Path("runs/vae").glob("evaluation-*.json")
    assert json.loads(other.read_text())["data"] == "npz:mine.npz?levels=2"
    assert json.loads(other.read_text())["reference"] == "digits-binary"


def test_an_agent_plays_only_where_it_sees_the_same(place, capsys):
    code, said = told(capsys, *OF_AGENT[0], "--env", "Pendulum-v1")
    assert code == 2
    assert "observation" in said
    assert told(capsys, *OF_AGENT[0], "--env", "CartPole-v1?limit=20")[0] == 0


@pytest.mark.parametrize("file", ["state.pt", "rank0.pt"])
def test_a_checkpoint_runs_nothing(place, capsys, file):
    (step,) = Path("runs/vae/checkpoint").glob("[0-9]*")
    torch.save({"step": 4, "model": Touch()}, step / file)
    assert told(capsys, *RESUME_VAE)[0] == 2
    (step / file).write_bytes(pickle.dumps(Touch()))
    assert told(capsys, *RESUME_VAE)[0] == 2
    unharmed(place)


def test_an_index_of_shards_runs_nothing(place):
    with pytest.raises(pickle.UnpicklingError, match="system"):
        _Index(__import__("io").BytesIO(pickle.dumps(Touch()))).load()
    unharmed(place)


@pytest.mark.parametrize("name", ["model.safetensors", "best.safetensors"])
def test_weights_run_nothing(place, capsys, name):
    Path("runs/vae/model", name).write_bytes(pickle.dumps(Touch()))
    for command in OF_MODEL[:4]:
        told(capsys, *command)
    unharmed(place)


def test_arrays_of_objects_run_nothing(place, capsys):
    np.savez("objects.npz", x=np.array([Touch()], dtype=object))
    record(place, "vae", data="npz:objects.npz")
    assert told(capsys, *OF_MODEL[0])[0] == 2
    unharmed(place)


LINKS = ["metrics.jsonl", "evaluation.json", "report.html", "model", "checkpoint", "samples",
         "model/best.safetensors", "checkpoint/latest", ".lock"]  # fmt: skip


@pytest.mark.parametrize("part", LINKS)
def test_links_that_lead_out_are_not_followed(place, capsys, part):
    path = Path("runs/vae", part)
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    path.symlink_to(place / "victim" / ("notes.txt" if "." in part or "/" in part else ""))
    for command in (RESUME_VAE, OF_MODEL[1], OF_MODEL[2]):
        code, said = told(capsys, *command)
        assert code == 2
        assert any(word in said for word in ("link", "cannot be read", "damaged", "lacks"))
    unharmed(place)


ASIDE = [
    ["run.json", "evaluation.json", "report.html"],
    ["model/model.safetensors", "model/best.safetensors", "model/config.json", "checkpoint/latest"],
]


@pytest.mark.parametrize("names", ASIDE, ids=["not opened", "within parts"])
def test_links_with_the_names_of_files_written_aside_are_not_followed(place, capsys, names):
    """Each to a file of its own; within a part of the run, a link of any name is refused."""
    for name in names:
        victim = place / name.replace("/", "-")
        victim.write_text("mine")
        Path("runs/vae", f"{name}.tmp").symlink_to(victim)
    codes = [told(capsys, *command)[0] for command in (OF_MODEL[0], OF_MODEL[1], RESUME_VAE)]
    assert codes == [0, 0, 0] if names == ASIDE[0] else 2 in codes
    for name in names:
        assert (place / name.replace("/", "-")).read_text() == "mine", name
    unharmed(place)


@pytest.mark.parametrize(
    "fields",
    [
        {"schema": 2}, {"seed": "0"}, {"seed": 2**80}, {"budget": 7}, {"threads": 0},
        {"threads": "many"}, {"precision": "fp1"}, {"compile": "yes"}, {"train": {}},
        {"train": {"type": "Budget"}}, {"model": []}, {"system": "no-such"}, {"system": 3},
        {"system": "elbo-decomposition"}, {"data": ["mnist"]}, {"data": "\x1b]0;title\x07"},
        {"data": "\x9b31mred"},
        {"labels": -1}, {"labelled_fraction": 7}, {"sample_rate": -8000}, {"versions": "1"},
        {"stages": {"codes": {"share": 1}}}, {"world": 0}, {"env": "CartPole-v1"},
        {"tokenizer": {"type": "Budget"}}, {"tokenizer": {"type": "Nothing"}},
        {"model": {"event": None}},
    ],
    ids=str,
)  # fmt: skip
def test_each_field_of_a_record_is_checked(place, capsys, fields):
    record(place, "vae", **fields)
    code, said = told(capsys, *RESUME_VAE)
    if "tokenizer" not in fields:
        assert code == 2, said
    code, said = told(capsys, "sample", "runs/vae", "-n", "2")
    if "tokenizer" in fields:
        assert code == 2, said


ABSURD = [
    ("latent_dim", 10**9), ("hidden", [10**7, 10**7]), ("latent_dim", -1), ("latent_dim", "two"),
    ("latent_dim", 1.5), ("hidden", [8] * 1000), ("event", {"type": "Event", "kind": "binary",
     "shape": [10**6, 10**6], "levels": 2}), ("event", {"type": "Event", "kind": "image",
     "shape": [1, 8], "levels": 2}), ("event", 7), ("context", {"type": "Budget"}),
    ("no_such", 1), ("network", "no-such"), ("activation", []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), ABSURD, ids=lambda value: str(value)[:40])
def test_absurd_settings_are_refused_before_memory_is_taken(place, capsys, name, value):
    path = Path("runs/vae/model/config.json")
    described = json.loads(path.read_text())
    described["config"][name] = value
    path.write_text(json.dumps(described))
    before = _peak()
    code, said = told(capsys, "sample", "runs/vae", "-n", "2")
    assert code == 2
    assert "config.json" in said or "another architecture" in said
    assert _peak() - before < 600 * 2**20


def _peak():
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_page_holds_no_markup_of_others(place, capsys):
    evil = "<script>alert(1)</script>"
    record(place, "vae", command=evil, recipe=evil, versions={evil: evil}, budget=evil)
    assert told(capsys, *OF_MODEL[0])[0] == 0
    scores = json.loads(Path("runs/vae/evaluation.json").read_text())
    scores["scores"][evil] = {"value": 1.0, "kind": evil, "note": evil, "features": evil}
    Path("runs/vae/evaluation.json").write_text(json.dumps(scores))
    with Path("runs/vae/metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 4, "seconds": 1.0, "split": "train", evil: 1.0}) + "\n")
    code, said = told(capsys, *OF_MODEL[1])
    assert code == 0, said
    assert "<script" not in Path("runs/vae/report.html").read_text()


def test_compressed_checkpoints_are_refused(place, capsys):
    (step,) = Path("runs/vae/checkpoint").glob("[0-9]*")
    with zipfile.ZipFile(step / "state.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10**7)
    code, said = told(capsys, *RESUME_VAE)
    assert code == 2
    assert "compressed" in said

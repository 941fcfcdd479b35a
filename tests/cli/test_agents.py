"""Agents on the command line: train, resume, evaluate, play, report, compare; solvers."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import phosphene as ph
from phosphene.cli.main import main

QUICK = [
    "--model.environments", "2", "--model.steps", "16", "--model.batch-size", "16",
    "--model.epochs", "2", "--threads", "1",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("agents")


@pytest.fixture(autouse=True)
def _inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def run(folder):
    """A short training in runs/quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        command = ["train", "ppo", "--env", "CartPole-v1", "--budget", "640steps"]
        assert main([*command, "--name", "quick", "--train.validation-share", "1", *QUICK]) == 0
    return "quick"


def said(capsys, *arguments):
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def refused(capsys, *arguments):
    assert main(list(arguments)) == 2
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    assert sentence.startswith("phosphene: ")
    assert "Traceback" not in sentence
    return sentence


def test_run_folder(run):
    record = json.loads(Path("runs/quick/run.json").read_text())
    assert record["env"] == "CartPole-v1"
    assert "data" not in record
    rows = [json.loads(r) for r in Path("runs/quick/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["finished"] == "budget"
    assert max(r.get("environment_steps", 0) for r in rows) == 640
    assert any(r.get("split") == "validation" and "return" in r for r in rows)


def test_resume_of_a_finished_run_goes_on_with_more(run, capsys):
    said(capsys, "train", "ppo", "--name", run, "--resume", "--budget", "704steps")
    rows = [json.loads(r) for r in Path("runs/quick/metrics.jsonl").read_text().splitlines()]
    assert max(r.get("environment_steps", 0) for r in rows) == 704


def test_train_prints_json_alone(capsys):
    out = said(
        capsys, "train", "ppo", "--env", "Catch", "--budget", "64steps", "--name", "j", "--json",
        *QUICK,
    )  # fmt: skip
    found = json.loads(out)
    assert found["env"] == "Catch"
    assert "data" not in found


def test_evaluate(run, capsys):
    scores = json.loads(said(capsys, "evaluate", run, "--episodes", "5", "--json"))
    assert scores["return_mean"]["kind"] == "greedy episodes"
    assert scores["return_min"]["value"] <= scores["return_mean"]["value"]
    again = json.loads(said(capsys, "evaluate", run, "--episodes", "5", "--json"))
    assert again == scores
    drawn = json.loads(said(capsys, "evaluate", run, "--episodes", "5", "--sampled", "--json"))
    assert drawn["return_mean"]["kind"] == "sampled episodes"


def test_play(run, capsys):
    for name in ("a.gif", "a.png", "a.mp4"):
        found = json.loads(said(capsys, "play", run, "--out", name, "--most", "40", "--json"))
        assert Path(name).stat().st_size > 1000
        assert found["lengths"][0] > 5
    with Image.open("a.gif") as picture:
        assert picture.n_frames > 5


def test_report(run, capsys):
    path = Path(said(capsys, "report", run).strip())
    text = path.read_text()
    assert "data:image/gif;base64," in text
    assert "Learning" in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_export(run, capsys):
    """The exported policy acts as the agent does."""
    agent = ph.load("runs/quick")
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    path = said(capsys, "export", run, "--format", "torchscript").strip()
    assert torch.equal(torch.jit.load(path)(x), agent.act(x))
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(said(capsys, "export", run).strip())
    (action,) = session.run(None, {"observation": x.numpy()})
    assert (action == agent.act(x).numpy()).all()


def test_compare(capsys):
    out = said(
        capsys, "compare", "ppo", "--env", "Catch", "--budget", "1500steps", "--seeds", "2",
        "--episodes", "4", "--name", "c", "--json",
    )  # fmt: skip
    (row,) = json.loads(out)["rows"]
    assert len(row["returns"]) == 2
    assert row["interval"][0] <= row["iqm"] <= row["interval"][1]
    for name in ("compare.json", "compare.png", "report.html"):
        assert Path("runs/c", name).is_file()


@pytest.mark.parametrize(
    "solver", ["value-iteration", "policy-iteration", "linear-programming", "bellman-evaluation"]
)
def test_solve(solver, capsys):
    command = ("solve", solver, "--env", "grid:frozen-lake-4x4", "--gamma", "0.99", "--json")
    found = json.loads(said(capsys, *command))
    expected = 0.0123 if solver == "bellman-evaluation" else 0.5420259
    assert found["start_value"] == pytest.approx(expected, abs=1e-3)


def test_solve_draws_the_map(capsys):
    out = said(capsys, "solve", "--env", "grid:cliff", "--gamma", "1", "--out", "cliff.png")
    assert "→" in out
    with Image.open("cliff.png") as picture:
        assert picture.width > 300


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "ppo", "--env", "CartPole-v2"), "did you mean 'CartPole-v1'"),
        (("train", "ppo", "--data", "moons"), "takes an environment (--env), not data"),
        (("train", "vae", "--env", "CartPole-v1"), "'vae' is a model of data"),
        (("train", "ppo", "--budget", "3epochs"), "an agent has no epochs"),
        (("train", "ppo", "--train.batch-size", "64"), "--model.batch-size"),
        (("train", "ppo", "--model.batch-size", "60"), "cannot be cut into batches of 60"),
        (("train", "value-iteration"), "phosphene solve value-iteration"),
        (("sample", "quick"), "is the run of an agent"),
        (("export", "quick", "--what", "decoder"), "has no decoder to export; it has policy"),
        (("play", "quick", "--out", "a.avi"), "not as '.avi'"),
        (("play", "quick", "--episodes", "0"), "--episodes must be at least 1"),
        (("evaluate", "quick", "--episodes", "0"), "episodes must be at least 1"),
        (("compare", "ppo", "vae", "--env", "CartPole-v1"), "learns from one kind of subject"),
        (("solve", "value-iteratio", "--env", "grid:cliff"), "did you mean 'value-iteration'"),
        (("solve", "--env", "CartPole-v1"), "has no table of transitions"),
        (("solve", "--env", "random:state=5"), "did you mean 'states'"),
        (("solve", "--env", "random:states=9", "--out", "a.png"), "is no map"),
    ],
)  # fmt: skip
def test_mistakes_end_in_one_sentence(run, capsys, arguments, words):
    before = set(Path("runs").iterdir())
    assert words in refused(capsys, *arguments)
    assert set(Path("runs").iterdir()) == before, "nothing is written"

"""What a user can get wrong on the command line: one sentence, code 2, nothing half-written."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import phosphene as ph
from phosphene.cli.main import main

FAST = ("--budget", "3steps", "--threads", "1", "--data", "digits-binary")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A small run that tests copy before they damage it."""
    folder = tmp_path_factory.mktemp("finished")
    run = ph.train(
        "vae", data="digits-binary", budget="3steps", threads=1, hidden=(8,), latent_dim=2,
        name="a", folder=folder,
    )  # fmt: skip
    return run.path


@pytest.fixture
def run(finished, here) -> Path:
    """A copy of it at runs/a."""
    return Path(shutil.copytree(finished, here / "runs" / "a")).relative_to(here)


@pytest.fixture
def refused(capsys):
    """The command ends with code 2 and one sentence that holds all parts."""

    def check(*argv: object, parts: tuple[str, ...] = ()) -> str:
        capsys.readouterr()
        code = main([str(a) for a in argv])
        out, err = capsys.readouterr()
        assert code == 2, (code, err)
        assert out == ""
        assert "Traceback" not in err
        assert len(err.splitlines()) == 1, err
        assert err.startswith("phosphene: ")
        for part in parts:
            assert part in err
        return err

    return check


def nothing_written(here: Path) -> None:
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["trian", "vae"], ("unknown command 'trian'", "did you mean 'train'?")),
        (["--verion"], ("unknown option '--verion'", "--version")),
        (["train", "vaee"], ("unknown system 'vaee'", "did you mean 'vae'?")),
        (["train"], ("needs a system",)),
        (["train", "kl-divergence"], ("is a proof", "phosphene prove kl-divergence")),
        (["train", "vae", "--data", "mnits"], ("unknown data set 'mnits'", "'mnist'")),
        (["train", "vae", "--budget", "0s"], ("'0s'", "above zero")),
        (["train", "vae", "--budget", "-5s"], ("-5s",)),
        (["train", "vae", "--budget", "60"], ("'60'", "60s")),
        (["train", "vae", "--budget", "60parsecs"], ("'parsecs'", "allowed")),
        (["train", "vae", "--recipe", "papr"], ("recipe", "'papr'")),
        (["train", "vae", "--learning-rate", "1"], ("unknown option '--learning-rate'",)),
        (["train", "vae", "--lr", "1"], ("did you mean '--train.lr'?",)),
        (["train", "vae", "--model.latnt-dim", "1"], ("did you mean '--model.latent-dim'?",)),
        (["train", "vae", "--model.latent-dim", "two"], ("whole number", "'two'")),
        (["train", "vae", "--model.latent-dim", "0"], ("--model.latent-dim", "at least 1")),
        (["train", "vae", "--train.lr", "-1"], ("lr must be above zero", "-1")),
        (["train", "vae", "--train.optimizer", "adma"], ("did you mean 'adam'?",)),
        (["train", "vae", "--device", "tpu"], ("--device", "'tpu'", "cpu")),
        (["train", "vae", "--seed"], ("--seed needs a value",)),
        (["train", "vae", "mnist"], ("unexpected argument 'mnist'",)),
        (["train", "vae", "--resume"], ("no run of 'vae'",)),
        (["train", "vae", "--resume", "--name", "no"], ("there is no run at 'runs/no'",)),
        (["train", "vae", "--init-from", "no", *FAST], ("there is no run at 'no'",)),
        (["evaluate"], ("needs RUN",)),
        (["evaluate", "runs/no"], ("there is no run at 'runs/no'",)),
        (["report", "runs/no"], ("there is no run at 'runs/no'",)),
        (["sample", "runs/no"], ("there is no run at 'runs/no'",)),
        (["sample", "x", "-n", "0"], ("at least 1",)),
        (["sample", "x", "--interpolate", "--traverse"], ("there is no run at 'x'",)),
        (["export", "runs/no", "--format", "onx"], ("did you mean 'onnx'?",)),
        (["compare"], ("needs systems",)),
        (["compare", "vae", "vaee"], ("unknown system 'vaee'",)),
        (["compare", "vae", "vae"], ("'vae' is named twice",)),
        (["compare", "vae", "--budget", "0steps"], ("above zero",)),
        (["compare", "vae", "--seeds", "0"], ("seeds must be at least 1",)),
        (["compare", "vae", "--data", "mnits"], ("unknown data set 'mnits'",)),
        (["data", "mnits"], ("unknown data set 'mnits'", "did you mean 'mnist'?")),
        (["data", "mnist", "--split", "tset"], ("unknown split 'tset'",)),
        (["systems", "--family", "autoencodr"], ("did you mean 'autoencoder'?",)),
        (["prove", "kl-divergenc"], ("unknown proof", "did you mean 'kl-divergence'?")),
        (["demo", "--budget", "0s"], ("above zero",)),
        (["train", "vae", "--threads", "1000000"], ("threads", "from 1 to", "1000000")),
        (["train", "q-learning", "--threads", "0"], ("threads", "from 1 to", "got 0")),
        (["compare", "vae", "--threads", "1000000"], ("threads", "from 1 to")),
        (["doctor", "--jsn"], ("did you mean '--json'?",)),
    ],
)
def test_refused_before_anything_is_written(refused, here, argv, parts):
    refused(*argv, parts=parts)
    nothing_written(here)


def test_a_bernoulli_model_on_real_data(refused, here):
    refused(
        "train", "vae", "--data", "moons", "--model.decoder", "bernoulli", "--budget", "3steps",
        parts=("Bernoulli cannot model real 2", "gaussian"),
    )  # fmt: skip
    nothing_written(here)


def test_damaged_data_are_refused_before_a_folder_is_made(refused, here):
    np.savez("bad.npz", x=np.full((20, 2), np.nan, dtype=np.float32))
    refused("train", "vae", "--data", "npz:bad.npz", "--budget", "3steps", parts=("bad.npz",))
    assert not (here / "runs").exists()


def test_a_run_folder_that_exists_is_left_alone(refused, run):
    before = sorted((p, p.stat().st_mtime_ns) for p in run.rglob("*"))
    refused("train", "vae", *FAST, "--name", "a", parts=("'runs/a' exists", "--resume"))
    assert sorted((p, p.stat().st_mtime_ns) for p in run.rglob("*")) == before


def test_resume_without_a_checkpoint(refused, run):
    shutil.rmtree(run / "checkpoint")
    refused("train", "vae", "--name", "a", "--resume", parts=("no checkpoint",))


def test_resume_of_another_system_or_architecture(refused, run):
    refused("train", "beta-vae", "--name", "a", "--resume", parts=("'vae'", "'beta-vae'"))
    more = ("--resume", "--model.latent-dim", "7")
    refused("train", "vae", "--name", "a", *more, parts=("latent-dim", "not 7"))


def test_resume_with_threads_that_cannot_be_had(refused, run):
    record = json.loads((run / "run.json").read_text())
    for threads in (1_000_000, "many", None):
        (run / "run.json").write_text(json.dumps({**record, "threads": threads}))
        refused("train", "vae", "--name", "a", "--resume", parts=("threads", "run.json"))


def test_a_checkpoint_of_another_architecture(refused, run):
    config = json.loads((run / "model" / "config.json").read_text())
    config["config"]["latent_dim"] = 5
    (run / "model" / "config.json").write_text(json.dumps(config))
    refused("evaluate", run, parts=("another architecture",))
    refused("sample", run, parts=("another architecture",))
    more = ("--resume", "--budget", "6steps")
    refused("train", "vae", "--name", "a", *more, parts=("another architecture",))


@pytest.mark.parametrize("command", ["evaluate", "sample", "report", "export"])
def test_truncated_weights(refused, run, command):
    for file in (run / "model").glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:200])
    refused(command, run, parts=(".safetensors", "truncated or damaged"))
    assert not (run / "report.html").exists()
    assert not (run / "evaluation.json").exists()


def test_a_folder_that_is_no_run(refused, here):
    (here / "photos").mkdir()
    refused("evaluate", "photos", parts=("'photos' is not a run", "run.json"))


def test_damaged_run_json(refused, run):
    (run / "run.json").write_text('{"system": ')
    refused("report", run, parts=("run.json", "JSON"))


def test_the_nearest_run_is_offered(refused, run):
    refused("evaluate", "runs/b", parts=("there is no run at 'runs/b'",))


def test_runs_cannot_be_made(refused, here):
    (here / "runs").write_text("a file where the folder would be")
    refused("train", "vae", *FAST, parts=("cannot make the run folder", "runs/"))
    assert (here / "runs").read_text().startswith("a file")


def test_a_full_disk_is_one_sentence(refused, run, monkeypatch):
    from phosphene.api import evaluate as evaluating

    def full(path, text):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(evaluating, "write_atomically", full)
    refused(
        "evaluate", run, "--samples", "20", "--particles", "2",
        parts=("evaluation.json: no space left on device",),
    )  # fmt: skip


def test_pictures_that_cannot_be_written(refused, run):
    refused("sample", run, "--out", "x.jpg", parts=("'x.jpg'", ".png"))
    refused("sample", run, "--label", "3", parts=("not conditioned on a label",))
    refused("sample", run, "--temperature", "0.5", parts=("temperature",))


def test_too_few_samples_or_particles(refused, run):
    refused("evaluate", run, "--samples", "0", parts=("samples", "0"))
    refused("evaluate", run, "--particles", "0", parts=("particles", "0"))


def test_onnx_without_its_packages(refused, run, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "onnx" else real(name, *a)
    )
    refused("export", run, parts=("'onnx'", "phosphene[onnx]", "torchscript"))
    assert not (run / "export").exists()

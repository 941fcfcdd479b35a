"""Shells and terminals as people have them: names, encodings, home, directories, growth."""

import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import phosphene as ph
from phosphene.cli.commands import COMMANDS
from phosphene.cli.main import main
from phosphene.cli.text import written
from tests.helpers.inputs import picture, pictures

FAST = ("--budget", "3steps", "--threads", "1")
SMALL = (*FAST, "--model.hidden", "8", "--model.latent-dim", "2")


class Printed(io.TextIOWrapper):
    """A stream of some encoding that keeps what is written."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)

    @property
    def text(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)


def run_with(encoding: str, monkeypatch, *argv: str) -> tuple[int, str]:
    out = Printed(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", Printed(encoding))
    return main(list(argv)), out.text


@pytest.mark.parametrize("name", ["w[/red]", "photos [draft]", "a :smile: b"])
def test_names_are_text_and_never_markup(phosphene, here, name):
    pictures(here / name, 8)
    done = phosphene("data", f"folder:{name}?size=16")
    assert (done.code, done.err.count("internal")) == (0, 0)
    assert name in done.out
    done = phosphene("train", "vae", "--data", f"folder:{name}?size=16", *SMALL, "--name", name)
    assert done.code == 0, done.err
    assert f"runs/{name}" in done.out
    scored = phosphene("evaluate", name, "--samples", "20", "--particles", "2")
    assert name in scored.out


def test_control_characters_do_not_steer_a_terminal(phosphene, here):
    pictures(here / "a\x1b[31mb", 8)
    done = phosphene("data", "folder:a\x1b[31mb?size=16")
    assert "\x1b" not in done.out
    assert "a\\x1b[31mb" in done.out


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_a_name_that_is_no_text_is_escaped(here, monkeypatch, encoding):
    for kind in (b"caf\xe9", b"tea"):
        pictures(here / os.fsdecode(kind), 6)
    code, table = run_with(encoding, monkeypatch, "data", f"folder:{here}?size=8")
    assert (code, "caf\\udce9" in table) == (0, True)
    code, text = run_with(encoding, monkeypatch, "data", f"folder:{here}?size=8", "--json")
    assert code == 0
    assert any(os.fsencode(c).startswith(b"caf\xe9") for c in json.loads(text)["classes"])


def test_what_an_output_lacks_is_replaced(trained, monkeypatch):
    argv = ("evaluate", str(trained.path), "--samples", "20", "--particles", "2")
    code, table = run_with("ascii", monkeypatch, *argv)
    assert code == 0
    assert "+/- stderr" in table
    assert written("\N{PLUS-MINUS SIGN}\N{GREEK SMALL LETTER MU}", Printed("ascii")) == "+/-\\u03bc"


@pytest.mark.parametrize("command", ["sample", "data", "export"])
def test_the_home_folder_in_every_option(phosphene, trained, here, monkeypatch, command):
    home = here / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    argv = {
        "sample": ("sample", trained.path, "-n", "4", "--out=~/out.png"),
        "data": ("data", "digits", "--out=~/out.png"),
        "export": ("export", trained.path, "--format", "torchscript", "--out=~/out.pt"),
    }[command]
    done = phosphene(*argv)
    assert done.code == 0, done.err
    assert [p.stem for p in home.iterdir()] == ["out"]
    assert not (here / "~").exists()


def test_a_folder_that_is_no_run_hides_none(phosphene, here):
    pictures(here / "photos", 12)
    data = ("--data", "folder:photos?size=16")
    assert phosphene("train", "vae", *data, *SMALL, "--name", "photos").code == 0
    assert phosphene("sample", "photos", "-n", "2").code == 0
    more = ("--init-from", "photos", "--name", "second")
    assert phosphene("train", "vae", *data, *SMALL, *more).code == 0
    assert json.loads(Path("runs/second/run.json").read_text())["init_from"] == "runs/photos"


def test_a_pointer_that_is_empty_is_made_up_for(phosphene, here):
    data = ("--data", "digits-binary")
    assert phosphene("train", "vae", *data, *SMALL, "--name", "a").code == 0
    Path("runs/a/checkpoint/latest").write_text("")
    done = phosphene("train", "vae", "--name", "a", "--resume", "--budget", "5steps")
    assert (done.code, "resumed at step 3" in done.err) == (0, True)


def test_trainings_without_a_name_do_not_collide(here):
    codes = []
    barrier = threading.Barrier(3)

    def train() -> None:
        barrier.wait()
        run = ph.train("vae", data="digits-binary", budget="2steps", threads=1, hidden=(8,))
        codes.append(run.path)

    threads = [threading.Thread(target=train) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(codes)) == 3
    assert sorted(Path("runs").iterdir()) == sorted(codes)
    assert all((path / "model" / "model.safetensors").is_file() for path in codes)


def test_a_run_is_evaluated_from_elsewhere(phosphene, here, monkeypatch):
    pictures(here / "photos", 12)
    assert (
        phosphene("train", "vae", "--data", "folder:photos?size=16", *SMALL, "--name", "a").code
        == 0
    )
    (here / "other").mkdir()
    monkeypatch.chdir(here / "other")
    scored = ("--samples", "20", "--particles", "2")
    done = phosphene("evaluate", here / "runs" / "a", *scored)
    assert done.code == 0, done.err
    assert "folder:photos?size=16" in done.out
    assert "changed" not in done.err
    pictures(here / "other" / "photos", 30, 90)  # of the same name, and not what it was trained on
    assert "changed" not in phosphene("evaluate", here / "runs" / "a", *scored).err


def test_data_that_have_grown_are_told(phosphene, here):
    pictures(here / "grow", 60)
    source = "folder:grow?size=16"
    before = {split: ph.data.load(source, split) for split in ("train", "test")}
    assert phosphene("train", "vae", "--data", source, *SMALL, "--name", "a").code == 0
    scored = ("--samples", "20", "--particles", "2")
    assert phosphene("evaluate", "a", *scored).err == ""
    for k in range(4):
        picture(here / "grow" / f"0{k}-new.png", 90, k)
    known = {x.numpy().tobytes() for x in before["train"].x}
    now = {x.numpy().tobytes() for x in ph.data.load(source, "test").x}
    assert not known & now, "what was trained on is scored as test"
    done = phosphene("evaluate", "a", *scored)
    assert (done.code, "has changed since" in done.err) == (0, True)
    assert "48 training examples then" in done.err
    assert "has changed" in json.loads(Path("runs/a/evaluation.json").read_text())["notes"][0]
    assert "has changed since" in phosphene("report", "a").err
    done = phosphene("train", "vae", "--name", "a", "--resume", "--budget", "5steps")
    assert (done.code, "has changed since" in done.err) == (2, True)


def test_a_run_of_before_says_that_its_split_was_another(phosphene, here):
    pictures(here / "photos", 12)
    assert (
        phosphene("train", "vae", "--data", "folder:photos?size=16", *SMALL, "--name", "a").code
        == 0
    )
    path = Path("runs/a/run.json")
    record = json.loads(path.read_text())
    path.write_text(
        json.dumps({k: v for k, v in record.items() if k not in ("directory", "fingerprint")})
    )
    done = phosphene("evaluate", "a", "--samples", "20", "--particles", "2")
    assert (done.code, "before files were held out by their names" in done.err) == (0, True)


def test_logged_losses_of_unequal_shares_are_those_of_one_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def train(name: str, *launcher: str) -> list[dict]:
        argv = (
            "train vae --data digits-binary --budget 4steps --train.batch-size 3 "
            f"--train.log-every 1 --threads 1 --model.hidden 8 --model.latent-dim 2 --name {name}"
        ).split()
        if launcher:
            done = subprocess.run(
                [sys.executable, *launcher, "-m", "phosphene", *argv],
                env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
                timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        else:
            assert main(argv) == 0
        lines = (tmp_path / "runs" / name / "metrics.jsonl").read_text().splitlines()
        return [row for row in map(json.loads, lines) if "loss" in row]

    ranks = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    one, two = train("one"), train("two", *ranks)
    assert len(one) == len(two) > 4
    for a, b in zip(one, two, strict=True):
        for name in ("loss", "kl", "reconstruction"):
            assert b[name] == pytest.approx(a[name], rel=1e-5, abs=1e-6)


def test_seeds_beyond_range(phosphene, here):
    done = phosphene("train", "vae", "--data", "digits-binary", *FAST, "--seed", "9" * 23)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "at least 0 and at most 9223372036854775807" in done.err
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns(phosphene, command):
    done = phosphene(*([command] if command else []), "--help")
    top = done.out.partition("╭")[0]
    assert len(top.splitlines()) > 2
    assert max(map(len, top.splitlines())) <= 80

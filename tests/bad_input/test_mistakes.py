"""Mistakes over all commands: each is one sentence, code 2, found at once, and leaves nothing."""

import os
import shutil
import time
from pathlib import Path

import pytest

import phosphene as ph
from phosphene.cli.main import main

MANY = "9" * 5000

EMPTY = [
    "train vae --data @", "train vae --data=", "train vae --model @", "train vae --name @",
    "train vae --budget @", "train vae --recipe @", "train vae --env @", "train vae --init-from @",
    "train @", "evaluate @", "evaluate a --data @", "sample a --out @", "sample a --image=",
    "sample a --prompt @", "data @", "data digits --out @", "data digits --split @",
    "compare vae --data @", "compare vae --name @", "play q --out @", "export a --out @",
    "report a --data @", "solve --env @", "systems --family @", "prove @", "demo --data @",
    "environments @",
]  # fmt: skip
"""``@`` stands for an argument without a character."""

RANGES = [
    ("train vae --train.clip -1", "clip"),
    ("train vae --train.patience -1", "patience"),
    ("train vae --train.checkpoint-every nan", "checkpoint-every"),
    ("train vae --train.batch-size 0", "at least 1"),
    ("train vae --train.batch-size 99999999999", "at most"),
    ("train vae --train.final-lr 2", "at most 1"),
    ("train vae --train.ema 1.5", "between 0 and 1"),
    ("train vae --train.lr inf", "finite"),
    ("train vae --train.betas 1 2", "0..1"),
    ("train vae --train.warmup -1", "0 or more"),
    ("train vae --train.log-every 0", "at least 1"),
    ("train vae --train.evaluate-limit 0", "at least 1"),
    ("train vae --train.accumulate 7", "multiple"),
    ("train ppo --workers 0", "at least 1 and at most 1024"),
    ("train vae --workers 2", "--workers is for an agent"),
    ("train vae --model.sigma -1", "above 0"),
    ("train vae --model.sigma nan", "above 0"),
    ("train vae --model.dropout 2", "dropout"),
    ("train vae --model.latent-dim 999999999999", "at most"),
    ("train vae --model.latent-dim 2147483647", "cannot be built"),
    ("train vae --model.blocks -1", "at least 0"),
    ("train vae --model.hidden 0", "hidden"),
    ("train vq-vae --model.downsample 0", "at least 1"),
    ("train transformer --model.rotary-base 0", "above 0"),
    ("train glow --model.limit -1", "at least 0"),
    ("train pixelcnn --model.components 0", "at least 1"),
    ("train dqn --model.capacity 0", "at least 1"),
    ("train ppo --model.clip -1", "above 0"),
    ("train ppo --model.gamma 2", "gamma"),
    ("train q-learning --model.steps 0", "at least 1"),
    (f"train vae --seed {MANY}", "5,000 digits"),
    ("train vae --seed 99999999999999999999999", "at most 9223372036854775807"),
    ("train vae --seed -1", "at least 0"),
    ("train vae --seed 1.5", "whole number"),
    ("train vae --labels=abc", "expected a whole number, got 'abc'"),
    ("train semi-supervised-vae --labels 0", "at least 1"),
    (f"train vae --budget {MANY}steps", "at most"),
    ("train vae --budget nan", "'nan'"),
    ("sample a -n 99999999999999", "at most"),
    ("sample a -n 2000000000", "fewer"),
    ("sample a --seed -5", "at least 0"),
    ("sample a --temperature nan", "finite"),
    ("sample a --top-k 0", "at least 1"),
    ("sample a --top-p 2", "(0, 1]"),
    ("sample a --label -1", "not conditioned on a label"),
    ("evaluate a --samples -1", "at least 1"),
    ("evaluate a --samples 2000000000", "memory"),
    ("evaluate a --particles 0", "at least 1"),
    ("evaluate q --episodes 0", "at least 1"),
    (f"evaluate a --seed={MANY}", "digits"),
    ("report a --seed x", "whole number"),
    ("compare vae --seeds -1", "at least 1"),
    ("compare vae --samples 0", "at least 1"),
    ("play q --fps 99999", "at most 1000"),
    ("play q --most -3", "at least 1"),
    ("export a --samples -1", "at least 0"),
    ("solve --gamma 2", "at most 1"),
    ("solve --tolerance 0", "at least"),
    (f"solve --env random:states={MANY}", "digits"),
    (f"data folder:x?size={MANY}", "size"),
    (f"data npz:x?limit={MANY}", "limit"),
    ("prove kl-divergence --seed -1", "at least 0"),
    ("demo --seed -1", "at least 0"),
    (f"environments {MANY}", "digits"),
]

RESUMED = [
    ("vae --name a --seed 5", "--seed 0"),
    ("vae --name a --recipe paper", "--recipe default"),
    ("vae --name a --threads 2", "--threads 1"),
    ("vae --name a --precision bf16", "--precision fp32"),
    ("vae --name a --compile", "without --compile"),
    ("vae --name a --init-from a", "without --init-from"),
    ("vae --name a --from a", "without --from"),
    ("vae --name a --labels 3", "labels"),
    ("vae --name a --data digits", "'digits-binary'"),
    ("vae --name a --env Taxi-v4", "is a model of data"),
    ("vae --name ../runs/a", "below the folder of runs"),
    ("q-learning --name q --seed 4", "--seed 0"),
]

OTHERS = [
    ("train vae --name ../x", "'../x'"),
    ("train vae --name /tmp/x", "'/tmp/x'"),
    ("train vae --name ~/x", "'~/x'"),
    ("train vae --name b/../../x", "below the folder of runs"),
    ("train ppo --name ..", "below the folder of runs"),
    ("compare vae --name ../y", "below the folder of runs"),
    ("demo --name ../d", "below the folder of runs"),
    ("evaluate first", "the runs in 'runs' are a, q"),
    ("evaluate runs/first", "the runs in 'runs' are a, q"),
    ("evaluate a --env CartPole-v1", "not an environment (--env)"),
    ("evaluate q --data digits", "not data (--data)"),
    ("evaluate a --episodes 5", "--episodes is for an agent"),
    ("sample a --translate", "semi-supervised-vae"),
    ("sample a --inpaint", "systems that do: "),
    ("sample a --out x.gif", ".png or .npz"),
    ("sample a --out runs.png", "is a folder"),
    ("sample q", "phosphene play runs/q"),
    ("play a", "model"),
    ("data digits --out x.jpg", ".png"),
    ("data folder:~nosuchuser/x", "does not exist"),
    ("export q --data digits", "--env, not --data"),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A model's run and an agent's; no test here may change them."""
    folder = tmp_path_factory.mktemp("mistakes")
    ph.train(
        "vae", data="digits-binary", budget="3steps", threads=1, hidden=(8,), latent_dim=2,
        precision="fp32", name="a", folder=folder / "runs",
    )  # fmt: skip
    ph.train("q-learning", env="FrozenLake-v1", budget="100steps", name="q", folder=folder / "runs")
    (folder / "runs.png").mkdir()
    return folder


def files(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def refused(folder: Path, capsys, monkeypatch, line: str) -> str:
    monkeypatch.chdir(folder)
    before, begun = files(folder), time.process_time()
    code = main(["" if word == "@" else word for word in line.split()])
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), err
    assert len(err.splitlines()) == 1, err
    assert err.startswith("phosphene: ")
    assert not any(word in err for word in ("internal error", "Traceback", "instantiated")), err
    assert len(err) < 600
    assert time.process_time() - begun < 20, "it has begun to train"
    assert files(folder) == before
    assert sorted(os.listdir(folder / "runs")) == ["a", "q"]
    return err


@pytest.mark.parametrize("line", EMPTY)
def test_an_empty_argument_is_no_default(finished, capsys, monkeypatch, line):
    assert "is empty" in refused(finished, capsys, monkeypatch, line)


@pytest.mark.parametrize(("line", "part"), RANGES, ids=[line[:60] for line, _ in RANGES])
def test_numbers_out_of_range(finished, capsys, monkeypatch, line, part):
    assert part in refused(finished, capsys, monkeypatch, line)


@pytest.mark.parametrize(("line", "part"), RESUMED)
def test_a_run_is_resumed_as_it_began(finished, capsys, monkeypatch, line, part):
    assert part in refused(finished, capsys, monkeypatch, f"train {line} --resume")


@pytest.mark.parametrize(("line", "part"), OTHERS)
def test_names_and_options_that_mean_nothing(finished, capsys, monkeypatch, line, part):
    assert part in refused(finished, capsys, monkeypatch, line)


def test_what_a_run_began_with_may_be_said_again(finished, tmp_path, monkeypatch, capsys):
    shutil.copytree(finished / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    same = "--seed 0 --recipe default --threads 1 --precision fp32 --data digits-binary"
    argv = f"train vae --name a --resume --budget 4steps {same}".split()
    assert main(argv) == 0, capsys.readouterr().err

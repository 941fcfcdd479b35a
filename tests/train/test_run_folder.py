"""A run folder over its life: held by one process, begun again, given back, kept on a full disk."""

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

import phosphene as ph
from phosphene.api import export as exporting
from phosphene.core.errors import EventError, PhospheneError, RunError
from phosphene.data.dataset import Dataset
from phosphene.subjects.dataset import drawing, writing
from phosphene.train import folder as folders
from phosphene.train.checkpoint import Checkpoints, latest_checkpoint
from phosphene.train.engine import Engine
from phosphene.train.files import lock, refuse_links, replacing, write_atomically
from phosphene.train.folder import load, read_tensors, save_tensors
from phosphene.train.runtime import Runtime
from tests.helpers import damage

QUICK = {"data": "digits-binary", "threads": 1, "latent_dim": 2, "hidden": (4,)}


def train(tmp_path, **more):
    return ph.train("vae", **{**QUICK, "folder": tmp_path, "name": "a", "budget": "4steps", **more})


def weights(run, which="last"):
    return load(run.path, which).state_dict()


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


# -- one process at a time ------------------------------------------------------------------------


def test_a_run_that_is_held_is_not_resumed(tmp_path):
    run = train(tmp_path)
    before = (run.path / "metrics.jsonl").read_text()
    with lock(run.path), pytest.raises(RunError, match="another process"):
        train(tmp_path, resume=True, budget="8steps")
    assert (run.path / "metrics.jsonl").read_text() == before
    train(tmp_path, resume=True, budget="8steps")


def test_two_resumes_at_once_leave_one_history(tmp_path):
    run, errors = train(tmp_path), []

    def resume():
        try:
            train(tmp_path, resume=True, budget="300steps")
        except RunError as error:
            errors.append(error)

    threads = [threading.Thread(target=resume) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    steps = [row["step"] for row in run.metrics if row.get("split") == "train"]
    assert steps == sorted(set(steps))
    assert run.metrics[-1]["finished"] == "budget"
    assert len(errors) <= 1  # none where one had ended before the other began


def test_a_lock_ends_with_its_process(tmp_path):
    code = (
        "import sys; from pathlib import Path; from phosphene.train.files import lock\n"
        "with lock(Path(sys.argv[1])):\n    print('held', flush=True); input()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(RunError, match="another process"), lock(tmp_path):
        pass
    child.kill()
    child.wait()
    with lock(tmp_path):
        pass


# -- stopped before the first checkpoint ----------------------------------------------------------


class Killed(BaseException):
    """Stands for a kill: no handler may tidy up."""


@pytest.mark.parametrize("moment", ["describe", "prepare", "checkpoint"])
def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path, monkeypatch, moment):
    whole = train(tmp_path / "whole")
    first = train(tmp_path / "first", budget="2steps")

    def kill(*_, **__):
        shutil.copytree(tmp_path / "a", tmp_path / "left" / "a")
        raise Killed

    place, name = {
        "describe": (type(whole.model), "describe_to"),
        "prepare": (type(whole.model), "prepare"),
        "checkpoint": (Checkpoints, "save"),
    }[moment]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, kill)
        with pytest.raises(Killed):
            train(tmp_path, seed=5)
    run = train(tmp_path / "left", resume=True)
    straight = train(tmp_path / "straight", seed=5)
    assert same(weights(run), weights(straight))
    assert not same(weights(run), weights(whole))
    assert first.path.exists()


def test_a_run_begun_from_another_begins_from_it_again(tmp_path, monkeypatch):
    other = train(tmp_path / "other", budget="9steps")

    def kill(*_, **__):
        shutil.copytree(tmp_path / "a", tmp_path / "left" / "a")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", kill)
        with pytest.raises(Killed):
            train(tmp_path, init_from=other.path)
    run = train(tmp_path / "left", resume=True)
    assert same(weights(run), weights(train(tmp_path / "straight", init_from=other.path)))


def test_an_empty_folder_is_no_run_in_the_way(tmp_path):
    (tmp_path / "a").mkdir()
    train(tmp_path)


def test_weights_without_a_checkpoint_are_not_trained_over(tmp_path):
    run = train(tmp_path)
    shutil.rmtree(run.path / "checkpoint")
    before = weights(run)
    with pytest.raises(RunError, match="--init-from"):
        train(tmp_path, resume=True, budget="8steps")
    assert same(weights(run), before)


def test_a_checkpoint_replaced_by_one_of_the_same_step_is_never_missing(tmp_path, monkeypatch):
    run = train(tmp_path)
    seen = []
    replace = Path.replace

    def watched(self, target):
        seen.append(latest_checkpoint(run.path / "checkpoint"))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    monkeypatch.setattr(Engine, "_loop", lambda *_: "budget")
    train(tmp_path, resume=True, budget="8steps")
    assert seen
    assert all(found is not None for found in seen)


# -- refused after it had begun -------------------------------------------------------------------


def constant() -> Dataset:
    x = torch.randn(200, 3)
    x[:, 1] = 0.0
    return Dataset(name="flat", split="train", event=ph.Event.real(3), x=x)


REFUSED = {
    "prepare": ("realnvp", {"data": constant()}),
    "betas": ("vae", {"betas": (1.5, 0.9)}),
    "weight decay": ("vae", {"weight_decay": -1.0}),
    "eps": ("vae", {"eps": -1.0}),
    "clip": ("vae", {"clip": -1.0}),
    "budget": ("vae", {"budget": "1e-9x"}),
    "patience": ("vae", {"patience": 0}),
    "type": ("vae", {"lr": "fast"}),
    "agent": ("ppo", {"data": None, "env": "CartPole-v1", "batch_size": 7, "budget": "64steps"}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_training_that_is_refused_leaves_no_folder(tmp_path, what):
    system, told = REFUSED[what]
    base = {"data": "digits-binary", "threads": 1, "budget": "4steps"}
    with pytest.raises(PhospheneError) as error:
        ph.train(system, folder=tmp_path, name="a", **{**base, **told})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "a").exists()


def test_a_stage_that_is_refused_leaves_no_folder(tmp_path, monkeypatch):
    def refuse(*_):
        raise EventError("no")

    from phosphene.generative.autoencoder.vq_vae import VQVAE

    monkeypatch.setattr(VQVAE, "prepare", refuse)
    with pytest.raises(PhospheneError):
        ph.train("vq-vae-prior", data="digits-binary", folder=tmp_path, name="a",
                 budget="8steps", threads=1)  # fmt: skip
    assert not (tmp_path / "a").exists()


def test_a_training_that_fails_later_keeps_what_it_has(tmp_path, monkeypatch):
    monkeypatch.setattr(Engine, "_take_step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(tmp_path)
    assert latest_checkpoint(tmp_path / "a" / "checkpoint") is not None


# -- full disks -----------------------------------------------------------------------------------


def full_disk(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_full_disk_keeps_the_weights_that_were_there(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_tensors({"w": torch.ones(3)}, path)
    import safetensors.torch

    monkeypatch.setattr(safetensors.torch, "save_file", full_disk)
    with pytest.raises(RunError, match=r"no space left on device; the weights .* are kept"):
        save_tensors({"w": torch.zeros(3)}, path)
    assert torch.equal(read_tensors(path)["w"], torch.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_what_writers_say_of_a_full_disk_is_understood(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "open", lambda *_: open("/dev/full", "wb"))  # noqa: SIM115
    checkpoints = Checkpoints(tmp_path, Runtime("cpu"))
    with pytest.raises(RunError, match="no space left on device"):
        checkpoints.save(1, {}, {}, torch.nn.Linear(200, 200), [])


# -- damaged files --------------------------------------------------------------------------------


def test_an_empty_pointer_is_made_up_for(tmp_path):
    run = train(tmp_path)
    for text in (b"", b"x", b"\xff\xfe", b"999", b"-4"):
        (run.path / "checkpoint" / "latest").write_bytes(text)
        assert latest_checkpoint(run.path / "checkpoint").name == "4"
    train(tmp_path, resume=True, budget="8steps")
    assert run.metrics[-1]["step"] == 8


def test_numbers_that_changed_on_the_way_are_found(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors({"w": torch.arange(100.0)}, path)
    data = bytearray(path.read_bytes())
    data[-3] ^= 16
    path.write_bytes(data)
    with pytest.raises(RunError, match="not those that were written"):
        read_tensors(path)


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"w": torch.tensor([1.0, float("nan")])}, tmp_path / "a.safetensors")
    with pytest.raises(RunError, match="not finite"):
        read_tensors(tmp_path / "a.safetensors")


def test_another_damaged_run_does_not_stop_a_resume(tmp_path):
    run = train(tmp_path)
    time.sleep(0.01)
    for name, text in (("b", ""), ("c", "[1]"), ("d", '{"system": 3}'), ("e", "\xff")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text, encoding="latin-1")
    assert train(tmp_path, name=None, resume=True, budget="8steps").path == run.path


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return damage.runs(tmp_path_factory.mktemp("three"))


def test_damaged_files_end_in_one_sentence(three):
    """Fifteen of them; ``python -m tests.helpers.damage`` tries as many as one likes."""
    outcomes = [damage.damaged(three[k % 3], random.Random(7000 + k)) for k in range(15)]
    bad = [o for o in outcomes if o.code not in (0, 2)]
    assert not bad, bad
    assert any(o.code == 2 for o in outcomes)


# -- writing --------------------------------------------------------------------------------------


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x"
    write_atomically(path, "old")

    def half():
        with replacing(path) as aside:
            aside.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_names_of_files_written_aside_cannot_be_guessed(tmp_path):
    seen = set()
    for _ in range(20):
        with replacing(tmp_path / "x") as aside:
            seen.add(aside.name)
            aside.write_text("")
    assert len(seen) == 20


def test_weights_are_as_readable_as_other_files(tmp_path):
    old = os.umask(0o022)
    try:
        save_tensors({"w": torch.ones(1)}, tmp_path / "a.safetensors")
        assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(old)


def test_a_link_to_the_whole_run_is_no_link_within(tmp_path):
    run = train(tmp_path)
    (tmp_path / "b").symlink_to(run.path)
    refuse_links(tmp_path / "b")
    assert folders.Run(tmp_path / "b").place("samples") == tmp_path / "b" / "samples"


def test_of_two_checkpoints_without_a_pointer_the_later_one_counts(tmp_path):
    for name in ("3", "12", ".20", "x", "notes"):
        (tmp_path / name).mkdir()
    assert latest_checkpoint(tmp_path).name == "12"
    (tmp_path / ".30.before").mkdir()
    assert latest_checkpoint(tmp_path).name == "12"


def test_what_is_left_of_a_kill_before_the_record_is_no_run_in_the_way(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".lock").touch()
    (tmp_path / "a" / ".run.0123456789abcdef.json").touch()
    train(tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / ".mine").touch()
    with pytest.raises(RunError, match="exists"):
        train(tmp_path, name="b")


def test_resuming_a_finished_run_judges_nothing_anew(tmp_path):
    run = train(tmp_path)
    before = [m for m in run.metrics if m.get("split") == "validation"]
    train(tmp_path, resume=True)
    assert [m for m in run.metrics if m.get("split") == "validation"] == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_pictures_and_exports_are_replaced_whole(tmp_path, monkeypatch):
    run = train(tmp_path)
    drawn = drawing.sample(run, 4)
    (picture,) = writing.save_drawn(run, drawn)
    part = exporting.export(run, format="torchscript")
    before = picture.read_bytes(), part.read_bytes()
    monkeypatch.setattr(Path, "replace", full_disk)
    for write in (
        lambda: writing.save_drawn(run, drawn),
        lambda: writing.save_drawn(run, drawn, npz=True),
        lambda: exporting.export(run, format="torchscript"),
    ):
        with pytest.raises(OSError, match="No space"):
            write()
    assert (picture.read_bytes(), part.read_bytes()) == before
    assert not [p for p in run.path.rglob(".*") if p.name != ".lock"]

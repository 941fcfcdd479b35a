"""phosphene train: recipe under command line, JSON, resume, interruption."""

import signal
import threading
import time

from phosphene.train.folder import Run

SMALL = ("--model.hidden", "32", "--model.latent-dim", "4", "--threads", "1")


def test_only_given_flags_override_the_recipe(phosphene, here, monkeypatch):
    seen = {}

    def train(system, **options):
        seen.update(options, system=system)
        raise ValueError

    monkeypatch.setattr("phosphene.api.train.train", train)
    phosphene(
        "train", "vae", "--model.hidden", "40", "30", "--train.lr=0.01", "--train.batch_size", "128"
    )
    assert seen["system"] == "vae"
    assert seen["model"] == {"hidden": (40, 30)}
    assert seen["train"] == {"lr": 0.01, "batch_size": 128}
    assert "data" not in seen
    assert seen["budget"] is None
    assert seen["precision"] is None


def test_help_of_a_system_lists_its_settings_with_the_recipes_values(phosphene):
    from phosphene.subjects.dataset.choosing import select

    text = " ".join(phosphene("train", "vae", "--help").out.replace("│", " ").split())
    for flag in ("--model.latent-dim", "--model.hidden", "--train.lr", "--budget", "--resume"):
        assert flag in text
    recipe = select("vae")
    assert f"(default: {recipe.budget})" in text
    assert f"(default: {recipe.on})" in text
    assert "--model.context" not in text
    assert "--model." not in phosphene("train", "--help").out


def test_json_is_alone_on_stdout(phosphene, here):
    done = phosphene(
        "train", "vae", "--data", "digits-binary", "--budget", "20steps", "--name", "a", *SMALL,
        "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["run"] == "runs/a"
    assert done.json["steps"] == 20
    assert done.json["reason"] == "budget"
    assert "loss" in done.json["validation"]
    assert "20 steps" in done.err
    run = Run(here / "runs" / "a")
    assert run.config["model"]["hidden"] == [32]


def test_resume_goes_on_and_a_finished_run_is_no_error(phosphene, here):
    common = ("train", "vae", "--name", "a")
    first = phosphene(*common, "--data", "digits-binary", "--budget", "10steps", *SMALL)
    assert first.code == 0, first.err
    again = phosphene(*common, "--resume")
    assert again.code == 0, again.err
    more = phosphene(*common, "--resume", "--budget", "15steps", "--json")
    assert more.code == 0, more.err
    assert more.json["steps"] == 15
    other = phosphene(*common, "--resume", "--model.latent-dim", "5")
    assert other.code == 2
    assert "latent-dim" in other.err


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(phosphene, here):
    metrics = here / "runs" / "a" / "metrics.jsonl"

    def press() -> None:
        limit = time.monotonic() + 60
        while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < limit:
            time.sleep(0.02)
        signal.raise_signal(signal.SIGINT)

    common = ("train", "vae", "--name", "a")
    thread = threading.Thread(target=press)
    thread.start()
    done = phosphene(
        *common, "--data", "digits-binary", "--budget", "60s", *SMALL, "--train.log-every", "1"
    )
    thread.join()
    assert done.code == 2
    assert done.out == ""
    assert "Traceback" not in done.err
    assert "phosphene train vae --name a --resume" in done.err.splitlines()[-1]
    assert (here / "runs" / "a" / "checkpoint" / "latest").is_file()
    resumed = phosphene(*common, "--resume", "--budget", "1s", "--json")
    assert resumed.code == 0, resumed.err


def test_ctrl_c_outside_training_is_one_sentence(phosphene, monkeypatch):
    import phosphene.cli.systems as command

    def interrupted(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "main", interrupted)
    done = phosphene("systems")
    assert (done.code, done.err) == (2, "phosphene: interrupted\n")

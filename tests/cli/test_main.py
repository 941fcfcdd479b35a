"""Dispatch, help, start-up: instant, without torch; no error ends in a traceback."""

import os
import subprocess
import sys

import pytest

from phosphene.cli.commands import COMMANDS
from phosphene.cli.main import explain, main
from phosphene.core.errors import ConfigError


def _python(code: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_help_and_listings_import_no_torch():
    code = (
        "import sys; from phosphene.cli.main import main\n"
        "for argv in (['--help'], ['--version'], ['systems'], ['systems', '--json'], "
        "['data'], ['train', '--help'], ['evaluate', '--help'], ['nothing']):\n"
        "    main(argv)\n"
        "    assert 'torch' not in sys.modules, argv\n"
    )
    done = _python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs the times of child processes")
@pytest.mark.parametrize("argument", ["--help", "systems"])
def test_help_and_systems_take_less_than_0_6_seconds(argument):
    import resource

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "phosphene", argument]
        subprocess.run(command, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Time of the processor, which other work on the machine does not stretch; one thread, so on
    # an idle machine it is the time that passes.
    assert min(seconds() for _ in range(8)) < 0.6


def test_help_names_every_command(phosphene):
    done = phosphene("--help")
    assert done.code == 0
    for name in COMMANDS:
        assert name in done.out
    assert phosphene().out == done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(phosphene, name):
    done = phosphene(name, "--help")
    assert done.code == 0
    assert "usage" in done.out.lower()
    assert done.err == ""


def test_version(phosphene):
    from phosphene import __version__

    assert phosphene("--version").out == f"phosphene {__version__}\n"


def test_a_reader_that_leaves_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m phosphene systems --json | head -c 1",
        shell=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""


def test_a_fault_of_ours_is_one_sentence_and_code_1(phosphene, monkeypatch):
    import phosphene.cli.systems as command

    def broken(argv):
        raise KeyError("lost\nkey")

    monkeypatch.setattr(command, "main", broken)
    done = phosphene("systems")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "KeyError" in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in phosphene("systems", "--traceback").err
    monkeypatch.setenv("PHOSPHENE_TRACEBACK", "1")
    assert "Traceback" in phosphene("systems").err


def test_interrupts_and_full_disks_are_explained():
    assert explain(KeyboardInterrupt()) == ("interrupted", 2)
    full = OSError(28, "No space left on device", "runs/a/metrics.jsonl")
    assert explain(full) == ("runs/a/metrics.jsonl: no space left on device", 2)
    assert explain(ConfigError("lr is 0")) == ("lr is 0", 2)


def test_only_the_first_rank_speaks():
    environment = {**os.environ, "RANK": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "phosphene", "systems"], capture_output=True, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_and_options(phosphene, shell):
    done = phosphene("--print-completion", shell)
    assert done.code == 0
    for word in (*COMMANDS, "--train.lr", "--particles", "--budget"):
        assert word.lstrip("-") in done.out


def test_main_returns_instead_of_leaving():
    assert main(["train", "--help"]) == 0

"""What a person sees while a model trains and is scored."""

from io import StringIO

from rich.console import Console

from phosphene.cli.console import ScoringConsole, TrainingConsole, clock, number
from phosphene.core.progress import (
    Evaluated,
    Finished,
    Resumed,
    Saved,
    Started,
    StepEnd,
    Warned,
)

STARTED = Started("vae", "mnist", "runs/a", 1_234_567, 8000, "60s", 2, "cpu")
TERMS = {"loss": 101.234, "kl": 20.5, "lr": 1e-3, "examples": 12800.0}


def _events(show: TrainingConsole) -> None:
    show(STARTED)
    show(Resumed(50, 30.0))
    show(Warned("3 images were skipped"))
    show(StepEnd(100, 6.0, 0.1, 54.0, TERMS))
    show(Saved(100, "runs/a/checkpoint/100"))
    show(Evaluated(100, 6.1, {"loss": 99.5}, True))
    show(Evaluated(200, 12.0, {"loss": 101.5}, False))
    show(StepEnd(200, 12.0, 0.2, 48.0, TERMS))
    show(Finished(200, 12.0, "budget"))


def test_lines_without_a_terminal():
    out = StringIO()
    with TrainingConsole(every=0.0, console=Console(file=out, width=60)) as show:
        _events(show)
    lines = out.getvalue().splitlines()
    assert lines[0] == "vae on mnist: 1,234,567 parameters, 8,000 examples, 60s, cpu, 2 threads"
    assert lines[1] == "writing to runs/a"
    assert lines[2] == "resumed at step 50, after 0:30"
    assert lines[3] == "note: 3 images were skipped"
    assert "10%" in lines[4]
    assert "0:54 left" in lines[4]
    assert "loss 101.2" in lines[4]
    assert "lr" not in lines[4]
    assert "validation loss 101.5" in lines[5]
    assert lines[6].endswith("best validation at step 100: loss 99.5")
    assert len(lines) == 7


def test_lines_are_seldom_without_a_terminal():
    out = StringIO()
    with TrainingConsole(every=60.0, console=Console(file=out, width=60)) as show:
        show(STARTED)
        for step in range(100):
            show(StepEnd(step, 0.1, 0.5, None, TERMS))
    assert len(out.getvalue().splitlines()) == 3


def test_a_bar_on_a_terminal_is_taken_away():
    out = StringIO()
    console = Console(file=out, width=100, force_terminal=True)
    with TrainingConsole(console=console) as show:
        _events(show)
        assert show._progress is None
        assert show.finished == Finished(200, 12.0, "budget")
    assert "54 left" in out.getvalue() or "48 left" in out.getvalue()


def test_a_second_training_starts_afresh():
    with TrainingConsole(console=Console(file=StringIO())) as show:
        _events(show)
        show(STARTED)
        assert show.best is None
        assert show.finished is None


def test_nothing_is_announced_before_something_happens():
    out = StringIO()
    with TrainingConsole(console=Console(file=out)) as show:
        show(STARTED)
    assert out.getvalue() == ""


def test_scoring_is_silent_without_a_terminal(capsys):
    with ScoringConsole() as told:
        told("frechet_distance", 0.5)
    assert capsys.readouterr().err == ""


def test_numbers_and_times():
    assert clock(0) == "0:00"
    assert clock(3600) == "1:00:00"
    assert number(0.03125) == "0.03125"
    assert number(123456.0) == "1.235e+05"


def test_what_says_most_of_a_training_is_what_the_source_declares():
    out = StringIO()
    started = Started("bundle", "scene", "runs/a", 7, 0, "9rays", 1, "cpu", "traced_rays",
                      headline="psnr", aside=("views",))  # fmt: skip
    with TrainingConsole(every=0.0, console=Console(file=out, width=200)) as show:
        show(started)
        show(
            StepEnd(
                1, 1.0, 0.5, None, {"loss": 2.0, "psnr": 9.0, "views": 3.0, "traced_rays": 64.0}
            )
        )
        show(Evaluated(1, 1.0, {"loss": -9.5, "psnr": 9.5, "validation_rays": 8.0}, True))
        show(Finished(1, 1.0, "budget", clock=64, validation_clock=8))
    line, last = out.getvalue().splitlines()[2:]
    assert "step 64  psnr 9  loss 2" in line
    assert "views" not in line
    assert last.endswith(
        "64 steps in 0:01 and 8 of validation; best validation at step 1: psnr 9.5"
    )

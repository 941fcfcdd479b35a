"""Draws a training as it goes: a bar on a terminal, a line now and then elsewhere."""

import time
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from phosphene.cli.output import screen
from phosphene.cli.text import written
from phosphene.core.number_format import number
from phosphene.core.progress import (
    Evaluated,
    Finished,
    Resumed,
    Saved,
    Started,
    StepEnd,
    TrainingEvent,
    Warned,
)

__all__ = ["ScoringConsole", "TrainingConsole", "clock", "number"]

_REASONS = {
    "budget": "budget spent",
    "patience": "stopped early, validation no longer improves",
    "interrupted": "interrupted",
    "stopped": "stopped by a listener",
    "done": "done",
}

_ASIDE: tuple[str, ...] = ("lr", "examples")


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any.

    Example:
        >>> clock(75), clock(3725)
        ('1:15', '1:02:05')
    """
    hours, rest = divmod(round(max(0.0, seconds)), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass
class TrainingConsole:
    """A listener for :mod:`phosphene.core.progress` that writes to stderr.

    Args:
        every: Seconds between lines where stderr is not a terminal.
        console: Where to draw; stderr when None.

    Example:
        >>> from rich.console import Console
        >>> import sys
        >>> with TrainingConsole(console=Console(file=sys.stdout, width=80)) as show:
        ...     show(Resumed(step=300, seconds=61.0))
        resumed at step 300, after 1:01
    """

    every: float = 5.0
    console: Console = field(default_factory=lambda: screen(stderr=True))
    finished: Finished | None = None
    best: Evaluated | None = None

    def __post_init__(self) -> None:
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._terms = self._scores = self._led = ""
        self._last = 0.0
        self._clock, self._headline, self._aside = "steps", "loss", _ASIDE
        self._announced: Started | None = None

    def __enter__(self) -> "TrainingConsole":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def __call__(self, event: TrainingEvent) -> None:
        """Draw one event."""
        if isinstance(event, Started):
            self._begin(event)
            return
        if self._announced is not None:
            self._announce(self._announced)
        match event:
            case Resumed(step, seconds):
                self._say(f"resumed at step {step:,}, after {clock(seconds)}")
            case StepEnd():
                self._step(event)
            case Evaluated():
                self._evaluated(event)
            case Warned(message):
                self._say(f"note: {message}")
            case Finished():
                self._finish(event)
            case Saved():
                pass

    def _say(self, text: str) -> None:
        text = written(text, self.console.file)
        self.console.print(text, soft_wrap=True, markup=False, emoji=False)

    def _begin(self, event: Started) -> None:
        # Announced with the next event: a checkpoint that does not fit is found in between, and
        # then the error is all there is to say.
        self._stop()
        self.finished = self.best = None
        self._terms = self._scores = self._led = ""
        self._last = 0.0
        self._announced, self._clock = event, event.clock_name
        self._headline, self._aside = event.headline, (*_ASIDE, *event.aside)

    def _announce(self, event: Started) -> None:
        self._announced = None
        threads = f"{event.threads} thread" + ("s" if event.threads != 1 else "")
        where = f"on {event.data}" if event.examples else f"in {event.data}"
        examples = f"{event.examples:,} examples, " if event.examples else ""
        self._say(
            f"{event.system} {where}: {event.parameters:,} parameters, "
            f"{examples}{event.budget}, {event.device}, {threads}"
        )
        self._say(f"writing to {event.folder}")
        if self.console.is_terminal and self._progress is None:
            self._progress = Progress(
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:>3.0f}%  {task.fields[left]:<12}"),
                TextColumn("{task.fields[text]}", markup=False),
                console=self.console,
                transient=True,
                refresh_per_second=4,
            )
            self._task = self._progress.add_task("", total=1.0, left="", text="")
            self._progress.start()

    def _step(self, event: StepEnd) -> None:
        shown = {k: v for k, v in event.terms.items() if not self._counted(k)}
        if self._headline != "loss" and self._headline in shown:  # kept where a step lacks it
            self._led = f"{self._headline} {number(shown.pop(self._headline))}  "
        shown = {k: v for k, v in shown.items() if k not in self._aside}
        if shown.get("loss") == 0.0 and len(shown) > 1:  # of what learns without one
            del shown["loss"]
        some = [f"{k} {number(v)}" for k, v in shown.items()]
        self._terms = self._led + "  ".join(some[: 3 if self._led else 4])
        left = "" if event.remaining is None else f"{clock(event.remaining)} left"
        step = int(event.terms.get(self._clock, event.step))
        text = f"step {step:,}  {self._terms}{self._scores}"
        if self._progress is not None:
            self._progress.update(self._task, completed=event.progress, left=left, text=text)
        elif time.monotonic() - self._last >= self.every:
            self._last = time.monotonic()
            self._say(f"{100 * event.progress:3.0f}%  {left:<12} {text}")

    def _evaluated(self, event: Evaluated) -> None:
        if event.best or self.best is None:
            self.best = event
        shown = self._judged(event)
        scores = "  ".join(f"{k} {number(v)}" for k, v in list(shown.items())[:2])
        self._scores = f"  |  validation {scores}" + (" (best)" if event.best else "")

    def _counted(self, name: str) -> bool:
        """Whether a term is a count, which is said elsewhere: of a clock, or of its validation."""
        return name == self._clock or name.startswith("validation_")

    def _judged(self, event: Evaluated) -> dict[str, float]:
        """Validation scores; where another than the loss says most, not the loss too."""
        led = self._headline != "loss" and self._headline in event.scores
        return {
            k: v
            for k, v in event.scores.items()
            if not self._counted(k) and not (led and k == "loss")
        }

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _finish(self, event: Finished) -> None:
        self._stop()
        self.finished = event
        reason = _REASONS.get(event.reason, event.reason)
        line = f"{reason}: {event.step:,} steps in {clock(event.seconds)}"
        if event.clock is not None:  # a cycle of the engine is many of them
            line = f"{reason}: {event.clock:,} steps in {clock(event.seconds)}"
            line += f" and {event.validation_clock or 0:,} of validation"
        if self.best is not None:
            scores = ", ".join(f"{k} {number(v)}" for k, v in self._judged(self.best).items())
            step = int(self.best.scores.get(self._clock, self.best.step))
            line += f"; best validation at step {step:,}: {scores}"
        self._say(line)


class ScoringConsole:
    """Told what is being scored, it draws a bar on stderr; nothing where that is not a terminal.

    Example:
        >>> with ScoringConsole() as told:
        ...     told("frechet_distance", 0.5)
    """

    def __init__(self) -> None:
        self._console = screen(stderr=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> "ScoringConsole":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __call__(self, name: str, fraction: float) -> None:
        """Show what is being computed; the bar appears with the first call."""
        if not self._console.is_terminal:
            return
        if self._bar is None:
            columns = (BarColumn(bar_width=24), TextColumn("scoring: {task.description}"))
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("", total=1.0)
            self._bar.start()
        self._bar.update(self._task, completed=fraction, description=name.replace("_", " "))

    def stop(self) -> None:
        """Take the bar away: a training's own may follow."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

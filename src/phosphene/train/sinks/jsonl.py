"""``metrics.jsonl``: one line an event, the one truth about a training."""

import json
from pathlib import Path
from typing import Any

from phosphene.core.progress import Evaluated, Finished, Resumed, StepEnd, TrainingEvent, Warned

__all__ = ["JSONLSink"]


class JSONLSink:
    """Appends events to a file; ``offset`` marks what a checkpoint vouches for.

    Args:
        path: The file.
        offset: On resume, the file is cut back to this many bytes.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        path.touch()
        self._file = path.open("r+", encoding="utf-8")
        offset = min(max(0, offset), path.stat().st_size)
        self._file.truncate(offset)
        self._file.seek(offset)

    @property
    def offset(self) -> int:
        """Bytes written so far."""
        self._file.flush()
        return self._file.tell()

    def __call__(self, event: TrainingEvent) -> None:
        """Write the events that a plot or a person asks about later."""
        row: dict[str, Any]
        match event:
            case StepEnd():
                row = {"split": "train", **event.terms}
            case Evaluated():
                row = {"split": "validation", **event.scores, "best": event.best}
            case Resumed():
                row = {"resumed_at": event.step}
            case Warned():
                self._file.write(json.dumps({"warning": event.message}) + "\n")
                return
            case Finished():
                row = {"finished": event.reason, "examples_by_rank": event.examples}
                if event.clock is not None:
                    row[event.clock_name] = event.clock
                    row[event.validation_name] = event.validation_clock
            case _:
                return
        line = {"step": event.step, "seconds": round(event.seconds, 3), **row}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

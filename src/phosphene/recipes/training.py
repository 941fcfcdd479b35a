"""Train any system of the catalogue on any data, by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phosphene.core.events import Listener
from phosphene.data.dataset import Dataset
from phosphene.train.folder import Run

__all__ = ["train"]


def train(
    system: str,
    *,
    data: str | Dataset | None = None,
    budget: str | None = None,
    seed: int = 0,
    name: str | None = None,
    recipe: str = "default",
    folder: str | Path = "runs",
    resume: bool = False,
    model: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "fp32",
    compile: bool = False,
    init_from: str | Path | None = None,
    listeners: Sequence[Listener] = (),
    **overrides: Any,
) -> Run:
    """STUB: signature only."""
    raise NotImplementedError

"""A run: everything about one training, in one folder."""

import json
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from phosphene import catalog
from phosphene.core.config import SCHEMA, decode
from phosphene.core.errors import RunError
from phosphene.core.model import Model, load_tensors
from phosphene.core.rng import seeded

__all__ = ["WEIGHTS", "Run", "Weights", "load", "write_atomically"]

Weights = Literal["auto", "best", "ema", "last"]
WEIGHTS: dict[str, str] = {
    "best": "best.safetensors",
    "ema": "ema.safetensors",
    "last": "model.safetensors",
}
"""The weights a run may hold, in the order in which ``auto`` takes them."""


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a crash leaves the old one or the new one."""
    aside = path.with_name(path.name + ".tmp")
    with aside.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


class Run:
    """A run folder, open for reading.

    Args:
        path: The folder that holds ``run.json``.

    Raises:
        RunError: The folder is missing or is not a run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            near = _neighbours(self.path)
            raise RunError(f"there is no run at {str(path)!r}{near}")
        if not (self.path / "run.json").is_file():
            raise RunError(f"{str(path)!r} is not a run: it has no run.json")

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @cached_property
    def config(self) -> dict[str, Any]:
        """``run.json``: the resolved configuration, versions, seed, threads and command."""
        return _read_json(self.path / "run.json")

    @property
    def data(self) -> str:
        """The name of the data set that it was trained on.

        Raises:
            RunError: It is the run of an agent, which has an environment instead.
        """
        if "data" not in self.config:
            raise RunError(
                f"{str(self.path)!r} is the run of an agent in {self.config.get('env')!r}: it has "
                "no data set; phosphene play, evaluate and report take it"
            )
        return str(self.config["data"])

    @property
    def env(self) -> str | None:
        """The environment that an agent was trained in; None for a model of data."""
        return self.config.get("env")

    @cached_property
    def model(self) -> Model:
        """The trained model: best on validation, else EMA, else last."""
        return load(self.path)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``; a line cut off by a crash is left out."""
        path = self.path / "metrics.jsonl"
        rows = []
        for line in path.read_text().splitlines() if path.is_file() else []:
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return rows

    @property
    def weights(self) -> tuple[str, ...]:
        """Which weights the run holds, in the order of preference."""
        return tuple(w for w, file in WEIGHTS.items() if (self.path / "model" / file).is_file())

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def load(path: str | Path, weights: Weights = "auto") -> Model:
    """Build a run's model again and load its weights, in evaluation mode.

    Args:
        path: A run folder, or a folder with ``config.json`` and ``model.safetensors``.
        weights: ``best`` on validation (of the averaged weights, where there is an average),
            ``ema``, ``last``, or ``auto``: the first of these that exists.

    Raises:
        RunError: Files are missing, truncated, or of another architecture.
    """
    path = Path(path)
    folder = path if (path / "config.json").is_file() else Run(path).path / "model"
    if not (folder / "config.json").is_file():
        raise RunError(f"{str(path)!r} holds no model yet: it was stopped before its first save")
    model = build_from(_read_json(folder / "config.json"), str(folder / "config.json"))
    known = [w for w, file in WEIGHTS.items() if (folder / file).is_file()]
    if not known:
        raise RunError(f"{str(path)!r} holds no weights")
    if weights == "auto":
        weights = known[0]  # type: ignore[assignment]
    if weights not in known:
        raise RunError(f"{str(path)!r} has no {weights!r} weights; it has {', '.join(known)}")
    file = folder / WEIGHTS[weights]
    load_tensors(model, read_tensors(file), str(file))
    return model.eval()


def build_from(description: Mapping[str, Any], source: str) -> Model:
    """Build the model that a ``config.json`` describes."""
    if description.get("schema") != SCHEMA:
        raise RunError(
            f"{source} has schema {description.get('schema')!r}; this version reads {SCHEMA}"
        )
    cls = catalog.find(description["system"]).load()
    config = {name: decode(value) for name, value in description["config"].items()}
    subject = config.pop("spec") if "spec" in config else config.pop("event")
    cls.check_settings({k: v for k, v in config.items() if k != "context"})
    with seeded(0):
        model = cls(subject, **config)
    assert isinstance(model, Model)
    return model


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, or say in one sentence that it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{str(path)!r} is truncated or damaged: {error}") from None


def save_tensors(state: Mapping[str, Tensor], path: Path) -> None:
    """Write a safetensors file aside, then put it in place."""
    from safetensors.torch import save_file

    aside = path.with_name(path.name + ".tmp")
    save_file({k: v.detach().to("cpu", copy=False) for k, v in state.items()}, aside)
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RunError(f"{str(path)!r} cannot be read as JSON: {error}") from None
    if not isinstance(value, dict):
        raise RunError(f"{str(path)!r} does not hold a JSON object")
    return value


def _neighbours(path: Path) -> str:
    from phosphene.core.errors import nearest

    parent = path.parent
    names = (
        [p.name for p in parent.iterdir() if (p / "run.json").is_file()] if parent.is_dir() else []
    )
    close = nearest(path.name, names)
    return f"; did you mean {str(parent / close)!r}?" if close else ""


def versions() -> dict[str, str]:
    """What the run was made with."""
    import platform

    import numpy

    from phosphene.core.version import __version__

    return {
        "phosphene": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
    }

"""A run: everything about one training, in one folder."""

import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from phosphene.catalog import System, systems
from phosphene.catalog.kind import Kind, kind_of_record, kinds
from phosphene.core.errors import ConfigError, RunError, UnknownNameError, listed, nearest
from phosphene.core.paths import expanded
from phosphene.core.rng import seeded
from phosphene.core.trainable import load_tensors
from phosphene.train.describing import allowance, build_from, weights_of
from phosphene.train.files import full, refuse_links, replacing
from phosphene.train.record import check_record, check_schema, read_json, read_lines

__all__ = [
    "WEIGHTS",
    "Run",
    "Weights",
    "find_run",
    "load",
    "read_tensors",
    "save_tensors",
    "versions",
]

Weights = Literal["auto", "best", "ema", "last"]
WEIGHTS: dict[str, str] = {
    "best": "best.safetensors",
    "ema": "ema.safetensors",
    "last": "model.safetensors",
}
"""The weights a run may hold, in the order in which ``auto`` takes them."""


class Run:
    """A run folder, open for reading.

    A run may come from anybody, and what it names is data: its files are read and checked, and
    nothing in it is imported or executed. An environment of somebody's own code, an address or a
    command that it names is used only where the caller names it too, or trusts the run.

    Args:
        path: The folder that holds ``run.json``.
        trust: Whether code, addresses and commands that the run names may be used.
        model: A model of the caller's own class, which the weights of the run are put into; the
            catalogue's are built.
        said: What stands in for what it was trained on, by the option of its kind: ``data=``,
            ``env=``, ...

    ``notes`` holds what the user should read of the data that the run names, once they were opened.

    Raises:
        RunError: The folder is missing or is not a run.
    """

    def __init__(
        self, path: str | Path, *, trust: bool = False, model: Any = None, **said: Any
    ) -> None:
        self.path = expanded(path)
        self.trust, self._given = trust, model
        self._said = {name: value for name, value in said.items() if value is not None}
        for name in self._said:
            if name not in (known := [kind.option for kind in kinds()]):
                raise UnknownNameError("option of a run", name, known)
        self.notes: list[str] = []
        if not self.path.exists():
            raise RunError(f"there is no run at {str(path)!r}{_neighbors(self.path)}")
        if not (self.path / "run.json").is_file():
            raise RunError(f"{str(path)!r} is not a run: it has no run.json")

    @classmethod
    def of(cls, run: "Run | str | Path", *, trust: bool = False, **said: Any) -> "Run":
        """The run at a path; or the run itself, with what the caller adds to it."""
        said = {name: value for name, value in said.items() if value is not None}
        if not isinstance(run, Run):
            return cls(run, trust=trust, **said)
        if not said and (run.trust or not trust):
            return run
        more = {**run._said, **said}
        return cls(run.path, trust=trust or run.trust, model=run._given, **more)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @cached_property
    def config(self) -> dict[str, Any]:
        """``run.json``: the resolved configuration, versions, seed, threads and command.

        Raises:
            RunError: It is damaged, or a field is not what it should be.
        """
        path = self.path / "run.json"
        record = read_json(path)
        check_record(record, str(path))
        return record

    @property
    def kind(self) -> Kind:
        """What kind of subject it was trained on."""
        found = kind_of_record(self.config)
        assert found is not None  # the record was checked
        return found

    @property
    def said(self) -> Any:
        """What the caller put in the place of its subject; None for nothing.

        Raises:
            ConfigError: What was said is the option of another kind of subject.
        """
        own = self.kind
        for name in self._said:
            if name != own.option:
                raise ConfigError(
                    f"{str(self.path)!r} is the run of {own.learner}: it takes --{own.option}, not "
                    f"--{name}"
                )
        return self._said.get(own.option)

    @property
    def subject(self) -> str:
        """The name of what it was trained on, or of what the caller put in its place."""
        name: str = self.kind.load().subject(self)
        return name

    @property
    def title(self) -> str:
        """What the system is called: in the catalogue, or as the class of the caller's own."""
        row = self._row()
        return self.config["system"] if row is None else row.title

    @property
    def paper(self) -> str:
        """The paper of the system; "" of a class of the caller's own."""
        row = self._row()
        return "" if row is None else row.paper

    def _row(self) -> System | None:
        return next((row for row in systems() if row.name == self.config["system"]), None)

    @property
    def data(self) -> str:
        """The name of the data set that it was trained on, or of what the caller put in its place.

        Raises:
            RunError: It was trained on something else.
        """
        if "data" not in self.config:
            raise RunError(
                f"{str(self.path)!r} is the run of {self.kind.learner} in {self.subject!r}: it has "
                "no data set; phosphene evaluate and report take it"
            )
        return self.subject

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> str | None:
            """The subject, by the option of a kind: ``run.env``; None where it is of another."""
            if name not in [kind.option for kind in kinds()]:
                raise AttributeError(f"a run has no {name!r}")
            return self.subject if name == self.kind.option else None

    def place(self, part: str) -> Path:
        """Where a part of the run is written.

        Raises:
            RunError: A part of the run is a link, which would lead out of the folder.
        """
        refuse_links(self.path)
        return self.path / part

    @cached_property
    def model(self) -> Any:
        """The trained model: best on validation, else EMA, else last."""
        if self._given is None:
            return load(self.path)
        return load(self.path, into=self._given)

    def another(self, weights: Weights) -> Any:
        """A second model beside :attr:`model`, with the weights of that name.

        Raises:
            RunError: The run has no such weights, or they are damaged.
        """
        if self._given is None:
            return load(self.path, weights)
        with seeded(0):
            fresh = type(self._given)(**self._given.config)
        return load(self.path, weights, into=fresh.to(self._given.device))

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``; a line cut off by a crash is left out."""
        return read_lines(self.path / "metrics.jsonl")

    @property
    def weights(self) -> tuple[str, ...]:
        """Which weights the run holds, in the order of preference."""
        return tuple(w for w, file in WEIGHTS.items() if (self.path / "model" / file).is_file())

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def load(path: str | Path, weights: Weights = "auto", *, into: Any = None) -> Any:
    """Build a run's model again and load its weights, in evaluation mode.

    Args:
        path: A run folder, or a folder with ``config.json`` and ``model.safetensors``.
        weights: ``best`` on validation (of the averaged weights, where there is an average),
            ``ema``, ``last``, or ``auto``: the first of these that exists.
        into: A model of the caller's own class, built as the run's was; None builds one of the
            catalogue.

    Raises:
        RunError: Files are missing, truncated, or of another architecture.
    """
    path = expanded(path)
    folder = path if (path / "config.json").is_file() else Run(path).path / "model"
    described = folder / "config.json"
    if not described.is_file():
        what = "lacks model/config.json" if folder.is_dir() and any(folder.iterdir()) else (
            "holds no model yet: it was stopped before its first save"
        )  # fmt: skip
        raise RunError(f"{str(path)!r} {what}")
    description = read_json(described)
    check_schema(description, str(described))
    known = [w for w, file in WEIGHTS.items() if (folder / file).is_file()]
    if not known:
        raise RunError(f"{str(path)!r} holds no weights")
    if weights == "auto":
        weights = known[0]  # type: ignore[assignment]
    if weights not in known:
        raise RunError(f"{str(path)!r} has no {weights!r} weights; it has {', '.join(known)}")
    file = folder / WEIGHTS[weights]
    model = into
    if model is None:
        model = build_from(description, str(described), most=allowance(weights_of(file)))
    load_tensors(model, read_tensors(file), str(file))
    return model.eval()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, or say in one sentence that it is damaged.

    Raises:
        RunError: It cannot be read, its numbers are not those that were written, or are not finite.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, "pt") as file:
            written = (file.metadata() or {}).get("crc32")
        state = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{str(path)!r} is truncated or damaged: {error}") from None
    if written is not None and written != _checksum(state):
        raise RunError(f"{str(path)!r} is damaged: its numbers are not those that were written")
    for name, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise RunError(f"{str(path)!r} holds numbers in {name!r} that are not finite")
    return state


def save_tensors(state: Mapping[str, Tensor], path: Path) -> None:
    """Write a safetensors file aside, with a checksum, then put it in place.

    Raises:
        RunError: It could not be written, as on a full disk; the file that was there is kept.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    held = {k: v.detach().to("cpu", copy=False) for k, v in state.items()}
    try:
        with replacing(path) as aside:
            save_file(held, aside, metadata={"crc32": _checksum(held)})
    except (OSError, SafetensorError) as error:
        kept = "; the weights that were there are kept" if path.is_file() else ""
        raise RunError(f"{str(path)!r} could not be written: {full(error)}{kept}") from None


def _checksum(state: Mapping[str, Tensor]) -> str:
    """CRC-32 of all numbers, tensor after tensor in the order of their names."""
    found = 0
    for name in sorted(state):
        plain = bytes(state[name].contiguous().reshape(-1).view(torch.uint8).numpy())
        found = zlib.crc32(plain, zlib.crc32(name.encode(), found))
    return f"{found:08x}"


def find_run(text: str | Path, folder: str | Path = "runs") -> Path:
    """Where a run is that somebody names: at that path, or below the folder of runs.

    What is no run hides none: photos may lie in ``photos``, and the run of that name in
    ``runs/photos``.
    """
    path, below = expanded(text), expanded(folder) / text
    for place in (path, below):
        if (place / "run.json").is_file():
            return place
    return below if below.is_dir() and not path.exists() else path


def _neighbors(path: Path) -> str:
    """The run that was meant, or those that there are, beside the path or below ``runs``."""
    for place in (path.parent, path.parent / "runs"):
        runs = sorted(p.parent.name for p in place.glob("*/run.json")) if place.is_dir() else []
        close = nearest(path.name, runs)
        if close:
            return f"; did you mean {str(place / close)!r}?"
        if runs:
            return f"; the runs in {str(place)!r} are {listed(runs, 10)}"
    return "; there are none in 'runs' either" if path.parent == Path() else ""


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

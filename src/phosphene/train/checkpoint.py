"""Checkpoints for exact resume: written aside, then made the latest in one step.

One process or replicas (DDP) write plain tensors that ``torch.load(weights_only=True)`` reads;
sharded runs (FSDP2) use torch's distributed checkpoint. A crash at any moment leaves the previous
checkpoint or the new one.
"""

import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from phosphene.core.errors import PhospheneError, RunError
from phosphene.train.files import full, write_atomically
from phosphene.train.runtime import Runtime
from phosphene.train.shards import load_shards, save_shards

__all__ = ["Checkpoints", "latest_checkpoint"]


class Checkpoints:
    """The ``checkpoint`` folder of a run.

    Args:
        folder: ``runs/NAME/checkpoint``.
        runtime: Rank 0 writes what is replicated, each rank what is its own.
    """

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        self.folder, self.runtime = folder, runtime

    @property
    def latest(self) -> int | None:
        """The step of the last whole checkpoint; None where there is none."""
        found = latest_checkpoint(self.folder)
        return None if found is None else _step_of(found.name)

    def save(
        self,
        step: int,
        state: dict[str, Any],
        own: dict[str, Any],
        model: nn.Module,
        optimizers: Sequence[Optimizer],
    ) -> Path:
        """Write a checkpoint.

        Args:
            step: Completed steps.
            state: What all ranks share.
            own: What belongs to this rank: buffers, sources.
            model: The model.
            optimizers: One for each phase that has one.
        """
        final, aside = self.folder / str(step), self.folder / f".{step}"
        if self.runtime.main:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
        self.runtime.barrier()
        try:
            if self.runtime.sharded:
                state = state | {"moved": save_shards(aside, model, optimizers)}
            elif self.runtime.main:
                state = state | {
                    "model": {k: v.detach() for k, v in model.named_parameters()},
                    "optimizers": [o.state_dict() for o in optimizers],
                }
            _write(own, aside / f"rank{self.runtime.rank}.pt")
            if self.runtime.main:
                _write(state, aside / "state.pt")
            self.runtime.barrier()
            if self.runtime.main:
                if final.exists():  # of the same step; it is kept until the new one is in place
                    final.replace(self.folder / f".{step}{_BEFORE}")
                aside.replace(final)
                write_atomically(self.folder / "latest", str(step))
                self._forget(step)
        except (OSError, RuntimeError) as error:
            shutil.rmtree(aside, ignore_errors=True)
            kept = self.latest
            raise RunError(
                f"the checkpoint of step {step} could not be written to {str(self.folder)!r} "
                f"({full(error)}); "
                + (f"the one of step {kept} is kept" if kept is not None else "there is none yet")
            ) from None
        return final

    def load(self, model: nn.Module, optimizers: Sequence[Optimizer]) -> dict[str, Any]:
        """Restore parameters and optimisers in place; return the shared and own state."""
        folder = latest_checkpoint(self.folder)
        if folder is None:
            raise RunError(f"{str(self.folder.parent)!r} has no checkpoint to resume from")
        state = self._read(folder)
        try:
            self._restore(folder, state, model, optimizers)
        except PhospheneError:
            raise
        except Exception as error:  # of what a damaged file may hold in their place
            raise RunError(f"checkpoint {str(folder)!r} is damaged: {full(error)}") from None
        return state

    def _read(self, folder: Path) -> dict[str, Any]:
        own = folder / f"rank{self.runtime.rank}.pt"
        own = own if own.is_file() else folder / "rank0.pt"
        state: dict[str, Any] = {}
        for path in (folder / "state.pt", own):
            try:
                _whole(path)
                state |= torch.load(path, weights_only=True, map_location="cpu")
            except Exception as error:
                raise RunError(f"checkpoint {str(folder)!r} is damaged: {full(error)}") from None
        for name, kind in _HOLDS.items():
            if not isinstance(state.get(name), kind) or isinstance(state[name], bool):
                raise RunError(f"checkpoint {str(folder)!r} is damaged: it lacks {name!r}")
        return state

    def _restore(
        self,
        folder: Path,
        state: dict[str, Any],
        model: nn.Module,
        optimizers: Sequence[Optimizer],
    ) -> None:
        buffers = dict(model.named_buffers())
        for name, value in state.pop("buffers").items():
            if name not in buffers or buffers[name].shape != value.shape:
                raise RunError(
                    f"checkpoint {str(folder)!r} holds {name!r} of shape {tuple(value.shape)}: "
                    "it was written by another architecture"
                )
            buffers[name].copy_(value)
        if self.runtime.sharded:
            load_shards(folder, model, optimizers, state.pop("moved"))
        else:
            self._load_parameters(folder, model, state.pop("model"))
            for optimizer, saved in zip(optimizers, state.pop("optimizers"), strict=True):
                optimizer.load_state_dict(saved)

    @torch.no_grad()
    def _load_parameters(self, folder: Path, model: nn.Module, saved: dict[str, Any]) -> None:
        own = dict(model.named_parameters())
        for name in sorted(own.keys() | saved.keys()):
            if name not in own or name not in saved or own[name].shape != saved[name].shape:
                shapes = [tuple(d[name].shape) if name in d else "none" for d in (saved, own)]
                raise RunError(
                    f"checkpoint {str(folder)!r} was written by another architecture: "
                    f"{name!r} has shape {shapes[0]} there and {shapes[1]} here"
                )
            own[name].copy_(saved[name])

    def _forget(self, step: int) -> None:
        for other in self.folder.iterdir():
            if other.is_dir() and other.name != str(step) and _step_of(other.name) is not None:
                shutil.rmtree(other, ignore_errors=True)


_BEFORE = ".before"


def latest_checkpoint(folder: Path) -> Path | None:
    """The last whole checkpoint in a folder of them; None where there is none.

    A pointer that is empty, cut off or gone is made up for by the checkpoint that is there: it is
    whole, since it was written aside.
    """
    pointer = folder / "latest"
    text = pointer.read_bytes()[:32] if pointer.is_file() else b""
    named = folder / str(_step_of(text.decode("ascii", "replace").strip()))
    if named.is_dir():
        return named
    found = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    whole = [path for path in found if not path.name.startswith(".")]
    whole = whole or [path for path in found if path.name.endswith(_BEFORE)]
    steps = {step: path for path in whole if (step := _step_of(path.name)) is not None}
    return steps[max(steps)] if steps else None


_HOLDS: dict[str, type | tuple[type, ...]] = {
    "step": int, "seen": int, "metrics": int, "bad_evaluations": int, "best": (int, float),
    "seconds": (int, float), "source": dict, "buffers": dict,
}  # fmt: skip
"""What a checkpoint holds beside parameters and optimizers."""


def _step_of(name: str) -> int | None:
    """The step in the name of a checkpoint, whole, aside or replaced; None for other names."""
    number = name.removeprefix(".").removesuffix(_BEFORE)
    return int(number) if number.isascii() and number.isdigit() and len(number) < 16 else None


def _write(state: dict[str, Any], path: Path) -> None:
    # Through a file of Python's, which says that a disk is full where torch's own says nothing.
    with path.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def _whole(path: Path) -> None:
    """Refuse a file whose parts are not what was written, or take more memory than the file.

    The files are archives of parts that are stored as they are, each with its checksum.
    """
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise ValueError("its parts are compressed")
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise ValueError("it promises more than it holds")
        damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"{damaged} is not what was written")

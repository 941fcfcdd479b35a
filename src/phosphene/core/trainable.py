"""The base of everything that is trained: settings, a loss or phases, preparation, saving."""

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import torch
from torch import Tensor, nn

from phosphene.core.batch import Batch
from phosphene.core.config import SCHEMA, Configured, encode
from phosphene.core.errors import EventError, RunError
from phosphene.core.phase import Loss, Phase
from phosphene.core.protocols import available_if

__all__ = ["Trainable", "load_tensors", "tensors"]


class Trainable(Configured, nn.Module):
    """What the engine trains: a model of examples, an agent, a field.

    Subclasses declare the specification of what they learn from first, and everything else as typed
    settings (:mod:`phosphene.core.settings`), which are their configuration (``self.config``).
    Capabilities are methods (:mod:`phosphene.core.protocols`).
    """

    learns_from: ClassVar[str]
    """The kind of subject: a name of :func:`phosphene.catalog.kinds`."""
    specified_by: ClassVar[type]
    """The type of the first argument, which says what the subject is like."""

    def _begin(self) -> None:
        """Make it a module."""
        nn.Module.__init__(self)

    def loss(self, batch: Batch) -> Loss:
        """The loss of a batch: its total is a mean over examples."""
        raise NotImplementedError(
            f"{type(self).__name__} has no loss: it needs loss(batch), or phases with their own"
        )

    keeps_last: ClassVar[bool] = False
    """Whether the last weights are handed out, whatever validation says: where each step leads
    nearer to a known optimum, the best on held-out examples is the one that was stopped early."""

    def judged(self, batch: Batch) -> Loss:
        """The loss on held-out examples that selects the best weights and stops early.

        By default it is the training loss at the end of training. A model overrides it where the
        training loss has weights that change (a warm-up, a multiplier) or terms that are not the
        objective (a penalty, a term that only moves codes).
        """
        return self.loss(batch)

    def phases(self) -> Sequence[Phase]:
        """The optimizers' turns that make one step, in order."""
        return [Phase("model", list(self.parameters()), self.loss)]

    def prepare(self, batch: Batch) -> None:
        """Initialize from data, once, on the first global batch; never after loading.

        ``batch.moments`` are those of all training data, where these are known.
        """

    def refuse(self, why: str) -> NoReturn:
        """Refuse what the constructor was given, in one sentence."""
        raise EventError(f"{type(self).__name__} refuses: {why}")

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        tensors = chain(self.parameters(), self.buffers())
        return next((t.device for t in tensors), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The parameters' floating-point type."""
        return next((p.dtype for p in self.parameters()), torch.get_default_dtype())

    def save(self, folder: str | Path, system: str) -> None:
        """Write ``config.json`` and ``model.safetensors``; nothing in them is a pickle."""
        from safetensors.torch import save_file

        folder = Path(folder)
        self.describe_to(folder, system)
        save_file(tensors(self), folder / "model.safetensors")

    def describe_to(self, folder: Path, system: str) -> None:
        """Write ``config.json`` alone."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.describe(system), indent=2) + "\n")

    def describe(self, system: str) -> dict[str, Any]:
        """What ``config.json`` holds: enough to build the model again."""
        return {"schema": SCHEMA, "system": system, "config": encode(self.config)}

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # A method withheld by available_if says why, instead of nn.Module's plain message.
            held = getattr(type(self), name, None)
            if isinstance(held, available_if):
                raise AttributeError(f"{type(self).__name__} has no {name}: {held.why}")
            return super().__getattr__(name)


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """The state dict as contiguous tensors, with tied parameters written once."""
    seen: set[tuple[int, torch.Size]] = set()
    state = {}
    for name, value in module.state_dict().items():
        key = (value.data_ptr(), value.shape)
        if value.numel() and key in seen:
            continue
        seen.add(key)
        state[name] = value.detach().contiguous()
    return state


def load_tensors(module: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load a state dict, or say in one sentence why it belongs to another architecture.

    A buffer that modules did not have when it was saved takes the value under which they compute as
    they did then: their ``earlier``, by name.
    """
    state = {**_earlier(module), **state}
    own = tensors(module)
    for name, value in own.items():
        if name not in state:
            raise RunError(f"{source} lacks {name!r}: it was written by another architecture")
        if state[name].shape != value.shape:
            raise RunError(
                f"{source} holds {name!r} of shape {tuple(state[name].shape)}, the model expects "
                f"{tuple(value.shape)}: it was written by another architecture"
            )
        if state[name].is_floating_point() != value.is_floating_point():
            raise RunError(
                f"{source} holds {name!r} as {state[name].dtype}, the model as {value.dtype}"
            )
    extra = sorted(set(state) - set(module.state_dict()))
    if extra:
        raise RunError(f"{source} holds {extra[0]!r}, which the model lacks: another architecture")
    module.load_state_dict(state, strict=False)


def _earlier(module: nn.Module) -> dict[str, Tensor]:
    """The buffers that earlier versions of parts of a module lacked, as they computed then."""
    found = {}
    for path, part in module.named_modules():
        for name, value in getattr(part, "earlier", {}).items():
            if (buffer := getattr(part, name, None)) is not None:
                found[f"{path}.{name}" if path else name] = torch.full_like(buffer, value)
    return found

"""Checkpoints of sharded models (FSDP2): torch's distributed checkpoint, read as data.

Torch's own reader unpickles the index of a checkpoint and what is not a tensor. Here the index may
name only the classes that an index is made of, and the rest is read as weights are.
"""

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

__all__ = ["load_shards", "save_shards"]

# Asking torch for the state of an optimizer that has taken no step takes one, at rate zero, and
# Adam's step counter keeps it: the next real step would differ. So only optimizers that have moved
# are saved, and only those are asked on loading. It also passes over parameters that a phase has
# frozen, so all are thawed first; the next turn freezes its own.

_INDEX = {
    "torch": {"Size", "device", "float16", "bfloat16", "float32", "float64", "int64", "strided"},
    "torch.serialization": {"_get_layout"},
    "collections": {"OrderedDict"},
    "pathlib": {"Path", "PosixPath"},
    "pathlib._local": {"Path", "PosixPath"},
    "torch.distributed.checkpoint.metadata": {
        "BytesStorageMetadata", "ChunkStorageMetadata", "Metadata", "MetadataIndex", "StorageMeta",
        "TensorProperties", "TensorStorageMetadata", "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
}  # fmt: skip
"""What the index of a checkpoint is made of."""


class _Index(pickle.Unpickler):
    """Reads an index and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """A class that an index is made of.

        Raises:
            UnpicklingError: It is none of them.
        """
        if name not in _INDEX.get(module, ()):
            raise pickle.UnpicklingError(f"an index of shards holds no {module}.{name}")
        return super().find_class(module, name)


def save_shards(folder: Path, model: nn.Module, optimizers: Sequence[Optimizer]) -> list[int]:
    """Write the shards of all ranks; returns which optimizers have moved."""
    from torch.distributed.checkpoint.state_dict_saver import save

    moved = [i for i, optimizer in enumerate(optimizers) if optimizer.state]
    save(_state(model, optimizers, moved), checkpoint_id=folder / "shards")
    return moved


def load_shards(
    folder: Path, model: nn.Module, optimizers: Sequence[Optimizer], moved: Sequence[int]
) -> None:
    """Restore the shards of this rank."""
    from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
    from torch.distributed.checkpoint.filesystem import FileSystemReader
    from torch.distributed.checkpoint.state_dict import (
        set_model_state_dict,
        set_optimizer_state_dict,
    )
    from torch.distributed.checkpoint.state_dict_loader import load

    class Reader(FileSystemReader):
        def read_metadata(self, *args: Any, **kwargs: Any) -> Any:
            index = _Index(io.BytesIO((folder / "shards" / ".metadata").read_bytes())).load()
            for part in index.storage_data.values():
                if Path(part.relative_path).name != part.relative_path:
                    raise ValueError(f"the shards name a file elsewhere, {part.relative_path!r}")
            return index

    class Planner(DefaultLoadPlanner):
        def load_bytes(self, read_item: Any, value: io.BytesIO) -> None:
            plain = torch.load(value, weights_only=True)
            again = io.BytesIO()
            torch.save(plain, again)  # the planner puts it in its place, and reads it itself
            super().load_bytes(read_item, io.BytesIO(again.getvalue()))

    state = _state(model, optimizers, moved)
    load(state, storage_reader=Reader(folder / "shards"), planner=Planner())
    set_model_state_dict(model, state["model"])
    for i in moved:
        set_optimizer_state_dict(model, optimizers[i], state[f"optimizer{i}"])


def _state(
    model: nn.Module, optimizers: Sequence[Optimizer], moved: Sequence[int]
) -> dict[str, Any]:
    from torch.distributed.checkpoint.state_dict import (
        get_model_state_dict,
        get_optimizer_state_dict,
    )

    model.requires_grad_(True)
    moments = {f"optimizer{i}": get_optimizer_state_dict(model, optimizers[i]) for i in moved}
    return {"model": get_model_state_dict(model), **moments}

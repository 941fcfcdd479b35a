"""A model built from ``config.json``, in no more memory than its weights call for.

The description may come from anybody. What it builds is compared with the file of weights before it
takes memory: a description of a billion units beside a megabyte of weights is refused.
"""

import inspect
import json
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from torch import Tensor
from torch.overrides import TorchFunctionMode

from phosphene import catalog
from phosphene.core.config import decode
from phosphene.core.errors import PhospheneError, RunError
from phosphene.core.rng import seeded
from phosphene.core.trainable import Trainable
from phosphene.train.record import check_schema

__all__ = ["allowance", "build_from", "weights_of"]

SLACK = 256 * 2**20
"""Bytes that any model may take beyond its weights: masks, tables, what building needs."""
_TIMES = 16
_FACTORIES = frozenset(
    (
        "empty", "zeros", "ones", "full", "rand", "randn", "randint", "randperm", "arange", "eye",
        "linspace", "logspace", "new_empty", "new_zeros", "new_ones", "new_full",
    )
)  # fmt: skip


def build_from(
    description: Mapping[str, Any], source: str, *, most: int | None = None, seed: int = 0
) -> Trainable:
    """Build the model that a ``config.json`` describes.

    Args:
        description: What the file holds.
        source: The file, for errors.
        most: Bytes of tensors that building may make; None for those of this machine's memory.
        seed: Of the first weights.

    Raises:
        RunError: The description is of another schema, of no model, or of one that cannot be built.
    """
    check_schema(description, source)
    system, config = description.get("system"), description.get("config")
    if not (isinstance(system, str) and isinstance(config, dict)):
        raise RunError(f"{source} describes no model: it lacks a system or its settings")
    try:
        model = _built(system, config, _memory() if most is None else most, seed)
    except PhospheneError as error:
        raise RunError(f"{source}: {error}") from None
    except MemoryError:
        raise RunError(f"{source} describes a model that does not fit in memory") from None
    except Exception as error:  # constructors raise anything on settings that nobody has checked
        why = (str(error) or type(error).__name__).splitlines()[0][:160]
        raise RunError(f"{source} describes a {system} that cannot be built: {why}") from None
    return model


def _built(system: str, settings: Mapping[str, Any], most: int, seed: int) -> Trainable:
    if system not in {row.name for row in catalog.systems()}:
        raise RunError(
            f"{system!r} is no system of the catalogue; a model of one's own class is built by its "
            "owner, and takes the weights by phosphene.Run(path, model=...)"
        )
    cls = catalog.find(system).load()
    if not (isinstance(cls, type) and issubclass(cls, Trainable)):
        raise RunError(f"{system!r} is a {catalog.find(system).kind}, not a model")
    return _made(cls, settings, most, seed)


def _made(cls: type[Trainable], settings: Mapping[str, Any], most: int, seed: int) -> Trainable:
    config = {name: decode(value) for name, value in settings.items()}
    subject = config.pop(next(iter(inspect.signature(cls).parameters)), None)
    if not isinstance(subject, cls.specified_by):
        raise RunError(f"it does not say what is learned from, as {cls.specified_by.__name__}")
    cls.check_settings({k: v for k, v in config.items() if k != "context"})
    with _Bounded(most), seeded(seed):
        return cast(Any, cls)(subject, **config)  # type: ignore[no-any-return]


def allowance(weights: int) -> int:
    """Bytes of tensors that building may make, where the weights are so many bytes."""
    return _TIMES * weights + SLACK


def weights_of(path: Path) -> int:
    """Bytes of the tensors that a safetensors file holds, by its header alone.

    Raises:
        RunError: The file does not begin as such a file does.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            if size < 8:
                raise ValueError("it is empty" if size == 0 else "it is cut off")
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size - 8, 100 * 2**20):
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
        ends = [v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"]
        if any(not isinstance(end, int) or end > size for end in ends):
            raise ValueError("it holds less than its header promises")
        return max(ends, default=0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError,
            IndexError) as error:  # fmt: skip
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise RunError(f"{str(path)!r} is truncated or damaged: {why}") from None


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 2**36


class _Bounded(TorchFunctionMode):
    """Counts the memory of tensors that are made, and stops before there is too much."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.made = most, 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in _FACTORIES and "out" not in kwargs:
            shape = {**kwargs, "device": "meta"}
            shape.pop("generator", None)
            self._count(func(*args, **shape))
        made = func(*args, **kwargs)
        if isinstance(made, Tensor) and name not in _FACTORIES:
            self._check(made.untyped_storage().nbytes())
        return made

    def _count(self, planned: Tensor) -> None:
        self.made += planned.numel() * planned.element_size()
        self._check(self.made)

    def _check(self, size: int) -> None:
        if size > self.most:
            raise RunError(
                f"the model that it describes takes more than {self.most / 2**20:,.0f} MB, far "
                "more than the weights beside it"
            )

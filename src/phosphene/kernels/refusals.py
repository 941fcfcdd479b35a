"""Error messages for arguments that a kernel cannot take; generated code calls them by name."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from phosphene.core.errors import KernelError, UnknownNameError

__all__ = [
    "HELPERS",
    "MOST",
    "TYPES",
    "apart",
    "broken",
    "choice",
    "dense",
    "flag",
    "in_range",
    "memory",
    "misfit",
    "one_device",
    "real_number",
    "room",
    "small",
    "whole",
    "wrong_length",
    "wrong_shape",
    "wrong_type",
]

_FLOATS = frozenset((torch.float32, torch.float64, torch.float16, torch.bfloat16))
_WHOLES = frozenset((torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64))
TYPES: dict[str, frozenset[torch.dtype]] = {
    "real": _FLOATS,
    "number": _FLOATS | _WHOLES | {torch.bool},
}
"""Declared types that more than one type of torch fits."""
MOST = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
"""Elements of float32 that this machine's memory could hold."""


def _given(value: object) -> str:
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)}"
    return "nothing" if value is None else f"a {type(value).__name__}"


def wrong_shape(
    name: str, tensor: Tensor, shape: Sequence[object], values: Mapping[str, Any]
) -> NoReturn:
    """The shape is not the declared one; symbols that are known are named with their values."""
    wanted = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
    symbols = dict.fromkeys(map(str, shape))
    known = [f"{d} = {values[d]}" for d in symbols if isinstance(values.get(d), int)]
    where = f" with {', '.join(known)}" if known else ""
    raise KernelError(f"{name} must have shape ({wanted}){where}, got {tuple(tensor.shape)}")


def wrong_length(name: str, given: Sequence[object], count: int) -> NoReturn:
    """There are too many of them, or too few."""
    raise KernelError(f"{name} must be {count} tensors, got {len(given)}")


def wrong_type(name: str, tensor: Tensor, wanted: object) -> NoReturn:
    """Numbers are of another type."""
    said = str(wanted).replace("torch.", "")
    said = {"real": "of a floating type", "number": "numbers"}.get(said, said)
    raise KernelError(f"{name} must be {said}, got {str(tensor.dtype).replace('torch.', '')}")


def _named(
    single: Mapping[str, Any], lists: Mapping[str, tuple[Any, bool]]
) -> Iterator[tuple[str, Any]]:
    """All tensors with their names; those in lists may be None where that is said."""
    yield from single.items()
    for name, (items, optional) in lists.items():
        if not isinstance(items, list | tuple):
            raise KernelError(f"{name} must be a list of tensors, got {_given(items)}")
        for i, item in enumerate(items):
            if item is not None or not optional:
                yield f"{name}[{i}]", item


def misfit(
    single: Mapping[str, Any], lists: Mapping[str, tuple[Any, bool]], error: Exception
) -> NoReturn:
    """An argument is not a tensor, or none whose memory can be read."""
    for name, item in _named(single, lists):
        if not isinstance(item, Tensor):
            raise KernelError(f"{name} must be a tensor, got {_given(item)}") from error
        if item.layout is not torch.strided:
            kind = str(item.layout).replace("torch.", "")
            raise KernelError(f"{name} must be a strided tensor, got {kind}") from error
        if item.dim() == 0 and isinstance(error, IndexError):
            raise KernelError(f"{name} must have dimensions, got a number") from error
    raise error


def one_device(single: Mapping[str, Any], lists: Mapping[str, tuple[Any, bool]]) -> None:
    """Not all tensors are on the CPU: they must be on one device, which holds values."""
    found: dict[torch.device, str] = {}
    for name, item in _named(single, lists):
        found.setdefault(item.device, name)
        if item.is_meta:
            raise KernelError(f"{name} holds no values: it is on the meta device")
    if len(found) > 1:
        said = ", ".join(f"{name} on {device}" for device, name in found.items())
        raise KernelError(f"all tensors must be on one device, got {said}")


def small(sizes: Mapping[str, int]) -> NoReturn:
    """A size is 0 where a kernel needs at least 1."""
    name = next(name for name, size in sizes.items() if size < 1)
    raise KernelError(f"{name} must be at least 1, got {sizes[name]}")


def room(name: str, elements: int) -> None:
    """Refuse a tensor that no memory can hold; products of sizes may be larger than any tensor."""
    if elements > MOST:
        raise KernelError(f"{name} would hold {elements} numbers, more than this machine's memory")


def dense(name: str, tensor: Tensor) -> Tensor:
    """The same in contiguous memory."""
    room(name, tensor.numel())
    return tensor.contiguous()


def memory(name: str) -> NoReturn:
    """The library ran out of it."""
    raise MemoryError(f"the kernel {name} could not have the memory that it needs")


def whole(name: str, value: Any, low: int, high: int) -> int:
    """The value as an integer of that range."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and low <= value <= high:
        return int(value)
    raise KernelError(f"{name} must be an integer from {low} to {high}, got {value!r}")


def real_number(name: str, value: Any, low: float, high: float) -> float:
    """The value as a float of that range."""
    huge = isinstance(value, int) and abs(value) >= 1 << 63  # torch takes no such number
    if hasattr(value, "__float__") and not huge:
        number = float(value)
        if low <= number <= high:
            return number
    limits = f"from {low:g} to {high:g}"
    raise KernelError(f"{name} must be a number {limits}, got {value!r}")


def flag(name: str, value: object) -> bool:
    """The value as True or False."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise KernelError(f"{name} must be True or False, got {value!r}")


def choice(name: str, value: object, codes: Mapping[str, int]) -> NoReturn:
    """None of the names."""
    raise UnknownNameError(name, str(value), codes)


def in_range(name: str, values: Tensor, low: int, high: int) -> None:
    """All values lie from ``low`` to below ``high``; not-a-number lies nowhere."""
    if not values.numel() or not values.is_cpu:  # elsewhere to look would be to wait
        return
    least, most = values.aminmax()
    if not (low <= least.item() and most.item() < high):
        bad = values[~((values >= low) & (values < high))].flatten()[0].item()
        raise KernelError(f"{name} must be from {low} to {high - 1}, got {bad}")


def broken(sentence: str, values: Mapping[str, Any]) -> NoReturn:
    """A rule does not hold."""
    raise KernelError(sentence.format_map(values))


def apart(written: Mapping[str, Tensor | None], read: Mapping[str, Tensor | None]) -> None:
    """What is written must be contiguous, and share no memory with any other argument."""
    spans = []
    for group in (written, read):
        for name, tensor in group.items():
            if tensor is None or not tensor.numel():
                continue
            if group is written and not tensor.is_contiguous():
                raise KernelError(f"{name} is changed in place and must be contiguous")
            start = tensor.data_ptr()
            spans.append((start, start + _extent(tensor), name, group is written))
    last: dict[bool, tuple[int, str]] = {}
    for start, end, name, is_written in sorted(spans):
        for other in last if is_written else (True,) if True in last else ():
            if last[other][0] > start:
                raise KernelError(f"{last[other][1]} and {name} share memory, and one is changed")
        last[is_written] = max(last.get(is_written, (0, "")), (end, name))


def _extent(tensor: Tensor) -> int:
    """Bytes from its first element to behind its last."""
    steps: Iterable[int] = ((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return (sum(steps) + 1) * tensor.element_size()


HELPERS: dict[str, Any] = {name: globals()[name] for name in __all__[1:]}
"""By the names that generated code uses."""

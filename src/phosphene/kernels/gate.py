"""The one way into the native library: every call is checked against its declaration.

:func:`gate` turns a :class:`~phosphene.kernels.declaration.Kernel` into one function. It checks
types, shapes, ranges, devices and layouts, makes the outputs, and calls the library with the types
of C that follow from the same declaration; where the library cannot compute it gives None, after
the same checks, and the caller computes in torch. So a call that is invalid is refused alike
whichever computes. The function is written as Python source and compiled, as dataclasses are: a
check is then a comparison, and the whole takes a few microseconds.
"""

import ctypes
import linecache
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from phosphene.core.derivatives import transformed
from phosphene.kernels.declaration import Kernel
from phosphene.kernels.gate_source import source
from phosphene.kernels.library import backend
from phosphene.kernels.refusals import HELPERS, TYPES

__all__ = ["DECLARED", "addresses", "gate", "memory_of", "numbers", "words"]

DECLARED: dict[str, Kernel] = {}
"""All declarations, by the names of their gates."""
_MOST_THREADS = 1024
_C = {"pointer": ctypes.c_void_p, "int": ctypes.c_int64, "double": ctypes.c_double}
_SUFFIX = {torch.float32: "f32", torch.float64: "f64"}
_ARRAYS: dict[int, Any] = {}


def gate(kernel: Kernel, name: str = "") -> Callable[..., Any]:
    """The function that checks a call and makes it.

    Its parameters are the declared arguments but for those that it makes itself. It returns the
    outputs, or None where the library cannot compute; see ``Kernel.returns`` for the exceptions.

    Args:
        kernel: The declaration.
        name: Of the gate, where a kernel has several; the kernel's by default.

    Example:
        >>> from phosphene.kernels.declaration import Array, Kernel
        >>> check = gate(Kernel("", (Array("a", ("n",)), Array("b", ("n", "n")))), "example")
        >>> check(torch.zeros(2), torch.zeros(2, 3))
        Traceback (most recent call last):
        ...
        phosphene.core.errors.KernelError: b must have shape (n, n) with n = 2, got (2, 3)
    """
    name = name or kernel.name
    written = source(kernel)
    functions: dict[Any, Any] = {}

    def bind(library: ctypes.CDLL, dtype: torch.dtype | None) -> Any:
        suffix = kernel.suffix or _SUFFIX[dtype]  # type: ignore[index]
        # A prototype of its own: with the types known beforehand a call takes a third of the time.
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, *(_C[kind] for _, kind in written.c_types))
        functions[library, dtype] = found = prototype((f"ph_{kernel.name}_{suffix}", library))
        return found

    space: dict[str, Any] = {
        **HELPERS, **written.constants, "torch": torch, "TYPES": TYPES, "addresses": addresses,
        "words": words, "backend": backend, "functions": functions, "bind": bind,
        "threads_of": _threads, "recording": torch.is_grad_enabled, "transformed": transformed,
        "NATIVE": frozenset(_SUFFIX),
    }  # fmt: skip
    if kernel.returns == "structure":
        fields = [(name.replace(".", "_"), _C[kind]) for name, kind in written.c_types]
        space["Structure"] = type(kernel.name, (ctypes.Structure,), {"_fields_": fields})
    title = f"<gate of {name}>"
    linecache.cache[title] = (len(written.text), None, written.text.splitlines(True), title)
    exec(compile(written.text, title, "exec"), space)
    DECLARED[name] = kernel
    function: Callable[..., Any] = space["call"]
    return function


def addresses(tensors: Sequence[Tensor | None]) -> ctypes.Array[ctypes.c_int64]:
    """Where tensors lie, as the library reads it; 0 for None. The caller keeps them alive."""
    return words([0 if t is None else t.data_ptr() for t in tensors])


def words(values: Sequence[int]) -> ctypes.Array[ctypes.c_int64]:
    """Integers in memory of their own."""
    # Making the types of arrays takes as long as filling them.
    kind = _ARRAYS.get(len(values)) or _ARRAYS.setdefault(len(values), ctypes.c_int64 * len(values))
    made: ctypes.Array[ctypes.c_int64] = kind(*values)
    return made


def numbers(values: Sequence[float]) -> ctypes.Array[ctypes.c_double]:
    """Numbers in memory of their own."""
    return (ctypes.c_double * len(values))(*values)


def memory_of(structure: Any) -> int:
    """The address of what a gate of ``structure`` gave, or of :func:`words`."""
    return ctypes.addressof(structure)


def _threads() -> int:
    return max(1, min(torch.get_num_threads(), _MOST_THREADS))

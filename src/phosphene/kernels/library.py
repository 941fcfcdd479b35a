"""The one place that finds the native library, loads it, and says why when it does not.

``PHOSPHENE_KERNELS=off`` forces the reference in torch; ``baseline``, ``avx2`` or ``avx512`` forces
that build of the library.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from phosphene.core.derivatives import transformed

__all__ = ["ACTIVATION_CODES", "VARIABLE", "Backend", "backend", "forced", "usable"]

VARIABLE = "PHOSPHENE_KERNELS"
ACTIVATION_CODES = {"identity": 0, "relu": 1, "sigmoid": 2, "tanh": 3, "elu": 4, "leaky-relu": 5}
"""Names of activations that kernels know, and their numbers in vectors.h."""
_INTERFACE = 6
_LEVELS = {"AVX512": ("avx512", "avx2", "baseline"), "AVX2": ("avx2", "baseline")}
"""What torch says of the processor, and the builds that run on it, the fastest first."""


@dataclass(frozen=True)
class Backend:
    """What computes the kernels.

    Args:
        name: ``native (avx512)``, ``native (avx2)``, ``native (baseline)`` or ``torch``.
        why: The reason, in words.
        library: The loaded library, or None.
    """

    name: str
    why: str
    library: ctypes.CDLL | None = None


def backend() -> Backend:
    """What computes the kernels here; loaded on the first call, and again if asked otherwise."""
    return _load(os.environ.get(VARIABLE, "auto").lower())


@contextmanager
def forced(choice: str) -> Iterator[Backend]:
    """Inside, the backend is this one: ``off``, ``auto``, ``baseline``, ``avx2``, ``avx512``."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = choice
    try:
        yield backend()
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def usable(*tensors: Tensor) -> bool:
    """Whether kernels can take these: on the CPU, of one type, float32 or float64, no gradient."""
    types = {t.dtype for t in tensors if t.is_floating_point()}
    fits = len(types) == 1 and types <= {torch.float32, torch.float64}
    plain = all(t.device.type == "cpu" for t in tensors)
    recorded = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    return fits and plain and not (recorded or transformed()) and backend().library is not None


@cache
def _load(choice: str) -> Backend:
    if choice in ("off", "0", "torch"):
        return Backend("torch", f"{VARIABLE}={choice} asks for the reference")
    known = ("baseline", "avx2", "avx512")
    if choice not in ("auto", "on", "1", *known):
        return Backend("torch", f"{VARIABLE}={choice} is none of auto, off, {', '.join(known)}")
    runs_here = _LEVELS.get(torch.backends.cpu.get_cpu_capability(), ("baseline",))
    if choice in known and choice not in runs_here:
        return Backend("torch", f"{VARIABLE}={choice}, which this processor cannot run")
    reasons = []
    for level in (choice,) if choice in known else runs_here:
        library = _open(level)
        if not isinstance(library, str):
            return Backend(f"native ({level})", "the fastest build for this processor", library)
        reasons.append(library)
    return Backend("torch", reasons[0])


def _open(level: str) -> ctypes.CDLL | str:
    """The library of that level, or why there is none."""
    path = _find(f"libphosphene_{level}.so")
    if path is None:
        return (
            "the library was not built: there was no C++ compiler when phosphene was installed; "
            "with one, python -m phosphene.kernels.build builds it"
        )
    try:
        library = ctypes.CDLL(str(path))
        found = library.ph_interface()
    except (OSError, AttributeError) as error:
        return f"{path.name} cannot be loaded: {error}"
    if found != _INTERFACE:
        return f"{path.name} was built for interface {found}, not {_INTERFACE}: build it again"
    return library


def _find(name: str) -> Path | None:
    """The newest of that name beside this file and where an editable installation puts its own."""
    from phosphene import kernels

    paths = [path for folder in kernels.__path__ if (path := Path(folder) / name).is_file()]
    return max(paths, key=lambda path: path.stat().st_mtime, default=None)

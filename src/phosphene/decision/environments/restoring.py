"""Saved states of environments: read, checked and restored."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.core.environment import EnvSpec
from phosphene.core.errors import RunError

__all__ = ["refuse_impossible_state", "restored"]

_MOST = 1 << 62


def restored(
    spec: EnvSpec, state: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[Any]]:
    """``state``, ``clock`` and ``episode`` as they were saved.

    Raises:
        RunError: A shape is another, or steps or episodes cannot be counted so.
    """
    arrays = {}
    for name, shape in shapes.items():
        try:
            saved = torch.as_tensor(state.get(name, ())).detach().cpu()
            array = saved.numpy().copy()
        except (TypeError, ValueError, RuntimeError) as error:
            raise RunError(f"{spec.name}: the saved {name} is no array: {error}") from None
        if tuple(saved.shape) != shape:
            raise RunError(
                f"{spec.name}: the saved {name} has shape {tuple(saved.shape)}, "
                f"that of {shape[0]} environments is {shape}"
            )
        arrays[name] = array
    for name, least, most in (("clock", 0, spec.limit or _MOST), ("episode", -1, _MOST)):
        bad = ~((arrays[name] >= least) & (arrays[name] < most))
        if bad.any():
            raise RunError(
                f"{spec.name}: the saved {name} of environment {int(bad.argmax())} is "
                f"{arrays[name][bad.argmax()]}, it must be from {least} to {most - 1}"
            )
    return arrays


def refuse_impossible_state(
    spec: EnvSpec, state: NDArray[Any], possible: NDArray[np.bool_]
) -> None:
    """Raise RunError if any saved state is none of this environment's."""
    if not possible.all():
        index = int(possible.argmin())
        raise RunError(
            f"{spec.name}: the saved state of environment {index} is none, {state[index].tolist()}"
        )

"""Checks actions and converts them to what the environments take."""

from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from phosphene.core.environment import EnvSpec
from phosphene.core.errors import ConfigError

__all__ = ["check_actions", "refuse_action", "refuse_impossible"]


def check_actions(action: Tensor, spec: EnvSpec, n: int) -> Tensor:
    """Actions on the CPU and contiguous: (n,) int64, or (n, d) float32.

    Example:
        >>> from phosphene.core.event import Event
        >>> spec = EnvSpec("Pendulum-v1", Event.real(3), low=(-2.0,), high=(2.0,))
        >>> check_actions(torch.zeros(4, 1, dtype=torch.float64), spec, 4).dtype
        torch.float32
    """
    if not isinstance(action, Tensor) or action.is_meta:
        kind = "one without values" if isinstance(action, Tensor) else f"a {type(action).__name__}"
        raise ConfigError(f"{spec.name} takes a tensor of actions, got {kind}")
    shape = (n,) if spec.discrete else (n, spec.action_dim)
    if tuple(action.shape) != shape:
        raise ConfigError(
            f"{n} of {spec.name} take actions of shape {shape}, got {tuple(action.shape)}"
        )
    if spec.discrete and (action.is_floating_point() or action.dtype is torch.bool):
        kind = str(action.dtype).removeprefix("torch.")
        raise ConfigError(f"{spec.name} takes whole numbers as actions, got {kind}")
    wanted = torch.int64 if spec.discrete else torch.float32
    return action.detach().to("cpu", wanted).contiguous()


def refuse_action(action: Tensor, index: int, spec: EnvSpec) -> NoReturn:
    """Say which action is none."""
    given = action[index].tolist()
    allowed = f"0..{spec.actions - 1}" if spec.actions is not None else "finite numbers"
    raise ConfigError(
        f"{spec.name}: actions are {allowed}, got {given} for environment {index} of {len(action)}"
    )


def refuse_impossible(action: Tensor, spec: EnvSpec) -> None:
    """Raise ConfigError if any action is out of range or not finite."""
    values = action.numpy()  # for few numbers, quicker than torch
    if spec.actions is not None:
        fine = (values >= 0) & (values < spec.actions)
    else:
        fine = np.isfinite(values).all(-1)
    if not fine.all():
        refuse_action(action, int(fine.argmin()), spec)

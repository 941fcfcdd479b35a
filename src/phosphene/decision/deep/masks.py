"""Which actions are allowed, where an environment says so (``info["action_mask"]``).

The mask travels at the end of the observation, so that it is kept, replayed and looked ahead at
like the rest of it: ones for allowed actions, zeros for others.
"""

import torch
from torch import Tensor

from phosphene.core.environment import EnvSpec

__all__ = ["allowed", "at_random", "forbid"]

_NEVER = -1e9  # of a logit or a value: far below all others, and finite, so that 0 times it is 0


def allowed(spec: EnvSpec, x: Tensor) -> Tensor | None:
    """Which actions (n, A) observations, or features, allow; None where all always are.

    Example:
        >>> from phosphene.core.event import Event
        >>> spec = EnvSpec("game", Event.real(5), actions=3, masked=True)
        >>> allowed(spec, torch.tensor([[0.2, 0.7, 1.0, 0.0, 1.0]])).tolist()
        [[True, False, True]]
    """
    if not spec.masked or spec.actions is None:
        return None
    return x[:, -spec.actions :] > 0.5


def forbid(spec: EnvSpec, x: Tensor, values: Tensor) -> Tensor:
    """Logits or values (n, A) of which those of actions that are not allowed are the least."""
    legal = allowed(spec, x)
    return values if legal is None else values.masked_fill(~legal, _NEVER)


def at_random(spec: EnvSpec, x: Tensor, u: Tensor) -> Tensor:
    """Actions (n,) by numbers u (n,), uniform in [0, 1): each allowed one as likely as another."""
    assert spec.actions is not None
    legal = allowed(spec, x)
    if legal is None:
        return (u * spec.actions).long().clamp_(max=spec.actions - 1)
    count = legal.sum(1)
    rank = torch.minimum((u * count).long(), count - 1)
    return (legal & (legal.cumsum(1) - 1 == rank[:, None])).int().argmax(1)

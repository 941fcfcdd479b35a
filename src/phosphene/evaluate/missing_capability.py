"""The error for a model that lacks a capability."""

from phosphene.catalog import able
from phosphene.core.errors import EventError, listed
from phosphene.core.protocols import asked_of

__all__ = ["lacking"]


def lacking(model: object, *capabilities: type, why: str = "") -> EventError:
    """An error that names the systems whose models can.

    Args:
        model: One that lacks them.
        capabilities: Of :mod:`phosphene.core.protocols`.
        why: What it cannot do, after its name; by default, the methods that it has not.
    """
    others = listed(able(*capabilities), 10)
    absent = [capability for capability in capabilities if not isinstance(model, capability)]
    missing = " and ".join(name for capability in absent for name in asked_of(capability))
    return EventError(
        f"{type(model).__name__} {why or f'has no {missing}'}; systems that do: {others}"
    )

"""What a proof gives, computed once a process: its test and its example ask for the same."""

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from phosphene.proofs.proof import Proof

__all__ = ["proved", "shared_names"]


@cache
def proved(module: ModuleType) -> Proof:
    """What ``prove`` of a module gives at its defaults."""
    proof: Proof = module.prove()
    return proof


def shared_names(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """What stands for the names of a module in its examples: of a proof, what is proved."""
    if not hasattr(module, "prove"):
        return {}
    return {"prove": lambda **told: module.prove(**told) if told else proved(module)}

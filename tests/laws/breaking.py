"""The models that are broken on purpose, and the laws that each breaks."""

from typing import Any

from phosphene.core.model import Model

BROKEN: dict[Any, frozenset[str]] = {}


def breaks(*laws: str) -> Any:
    """Register a model with exactly the laws that it breaks."""

    def register(cls: type[Model]) -> type[Model]:
        BROKEN[cls] = frozenset(f"law_{name}" for name in laws)
        return cls

    return register

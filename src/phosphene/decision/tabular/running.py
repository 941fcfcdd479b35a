"""How long a learner runs when it is a function that is called."""

from phosphene.core.errors import ConfigError

__all__ = ["history_of"]

_MOST = 100_000


def history_of(episodes: int | None, steps: int | None) -> int:
    """How many episodes' returns to keep: all of them, or the latest of a budget in steps.

    Raises:
        ConfigError: Neither is given, or one is not positive.
    """
    if episodes is None and steps is None:
        raise ConfigError("say how long to learn: episodes=, steps=, or both")
    for name, value in (("episodes", episodes), ("steps", steps)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be 1 or more, got {value}")
    return episodes or min(steps or 1, _MOST)

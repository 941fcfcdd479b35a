"""Which rows of a global batch each rank takes."""

from phosphene.core.errors import ConfigError

__all__ = ["check_shares", "share"]


def share(total: int, rank: int, world: int) -> tuple[int, int]:
    """First and last row of a rank's share of a global batch."""
    return total * rank // world, total * (rank + 1) // world


def check_shares(batch_size: int, accumulate: int, world: int) -> None:
    """Refuse a batch of which some rank, or some of its micro-batches, would have no example.

    Raises:
        ConfigError: It says how large the batch must be.
    """
    least = accumulate * world
    if batch_size < least:
        pieces = f" in {accumulate} micro-batches each" if accumulate > 1 else ""
        raise ConfigError(
            f"a batch of {batch_size} examples cannot be shared by {world} processes{pieces}: "
            f"--train.batch-size must be at least {least}"
        )

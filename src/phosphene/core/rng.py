"""Noise as a pure function of a seed and a few counters, and the global generator fenced in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["generator", "mix", "seeded"]

_MASK = (1 << 64) - 1


def mix(*counters: int) -> int:
    """Hash integers to a 63-bit seed by SplitMix64 steps (Steele, Lea and Flood, 2014).

    Example:
        >>> mix(0, 1) == mix(0, 1), mix(0, 1) == mix(1, 0)
        (True, False)
    """
    state = 0
    for counter in counters:
        state = (state ^ (counter & _MASK)) + 0x9E3779B97F4A7C15 & _MASK
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state >> 1


def generator(*counters: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator seeded by :func:`mix` of the counters."""
    return torch.Generator(device=device).manual_seed(mix(*counters))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator inside the block and restore it after.

    Layers initialise themselves from the global generator; building a model inside this block
    makes its weights a function of the seed and leaves the caller's generator untouched.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield

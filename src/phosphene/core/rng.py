"""Noise as a pure function of a seed and a few counters, never of the global generator."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from phosphene.core.errors import ConfigError, brief
from phosphene.core.ranges import SEED

__all__ = ["check_seed", "generator", "mix", "seeded"]

_MASK = (1 << 64) - 1
_DRAWS = frozenset(
    (
        "rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "poisson",
        "uniform_", "normal_", "bernoulli_", "random_", "exponential_", "geometric_", "cauchy_",
        "log_normal_",
    )
)  # fmt: skip
"""Torch's built-in functions and methods that draw numbers and can be told a generator."""
_LIKE = {"rand_like": "rand", "randn_like": "randn", "randint_like": "randint"}
"""Those that cannot, in every version of torch, and what draws the same."""


def check_seed(seed: object) -> int:
    """A seed that all generators take.

    Raises:
        ConfigError: It is not a whole number, or out of range.

    Example:
        >>> check_seed(3)
        3
    """
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ConfigError(f"seed must be a whole number, got {brief(seed)}")
    SEED.check("seed", seed)
    return seed


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
    """Inside, layers of this thread initialise themselves from a generator of their own.

    Layers draw their first weights from torch's global generator, which all threads share.
    Building a model inside this block makes its weights a function of the seed, whatever other
    threads draw or build meanwhile, and leaves the global generator untouched. The numbers are
    those that the global generator would give after ``torch.manual_seed(seed)``.

    Example:
        >>> with seeded(3):
        ...     weight = torch.nn.Linear(2, 2).weight
        >>> with seeded(3):
        ...     bool((torch.nn.Linear(2, 2).weight == weight).all())
        True
    """
    with _OwnGenerator(seed):
        yield


class _OwnGenerator(TorchFunctionMode):
    """Hands a generator to what draws without one; modes belong to the thread that enters them."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in _LIKE and kwargs.get("generator") is None:
            return self._like(_LIKE[name], *args, **kwargs)
        if _draws(func, name) and kwargs.get("generator") is None:
            kwargs["generator"] = self.generator
        return func(*args, **kwargs)

    def _like(self, name: str, like: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        about = {"dtype": like.dtype, "device": like.device, **kwargs, "generator": self.generator}
        about.pop("memory_format", None)
        drawn: Tensor = getattr(torch, name)(*args, like.shape, **about)
        return drawn


@cache
def _draws(func: Callable[..., Any], name: str) -> bool:
    """Whether a function of torch's draws numbers and can be told a generator."""
    if inspect.isfunction(func):  # those of torch.nn.init, which is handed over whole
        if not func.__module__.startswith("torch."):
            return False
        try:
            return "generator" in inspect.signature(func).parameters
        except ValueError:  # around a builtin that tells no signature, as ** is
            return False
    return name in _DRAWS

"""Sequences from sources whose entropy rate is known: the floor that no model can get below.

An AR(2) process of reals and a Markov chain of order 3 over tokens, both started from their
stationary law, so that every position has the same distribution and the likelihood of a whole
sequence is exact from its first value on. ``Dataset.log_prob`` holds that likelihood, and
``phosphene evaluate`` prints how far a model is above it (``kl``, nats a sequence).
"""

import math
from dataclasses import dataclass
from functools import cache, partial
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.errors import UnknownNameError
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split

__all__ = ["AR2", "MarkovChain", "ar2", "markov3", "source"]

LENGTH = 256
"""Values in one sequence."""

_SIZES: dict[Split, int] = {"train": 4000, "validation": 500, "test": 1000}
_SEEDS: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}

Array = NDArray[np.float64]


@dataclass(frozen=True)
class AR2:
    """x_t = a x_{t-1} + b x_{t-2} + e_t with e_t ~ N(0, s^2), in its stationary state.

    Its entropy rate is that of the innovations, 1/2 ln(2 pi e s^2) nats a value (Cover and Thomas,
    2006, chapter 12): what is random about x_t once the past is known is e_t.

    Args:
        a: Weight of the last value.
        b: Weight of the value before it; |b| < 1 and |a| < 1 - b make the process stationary.
        scale: s, the standard deviation of the innovations.

    Example:
        >>> round(AR2(0.0, 0.0, 1.0).entropy_rate, 4), AR2(0.5, 0.0, 1.0).variance
        (1.4189, 1.3333333333333333)
    """

    a: float
    b: float
    scale: float

    def __post_init__(self) -> None:
        assert abs(self.b) < 1, "not stationary"
        assert abs(self.a) < 1 - self.b, "not stationary"

    @property
    def entropy_rate(self) -> float:
        """1/2 ln(2 pi e s^2), in nats a value."""
        return 0.5 * math.log(2 * math.pi * math.e * self.scale**2)

    @property
    def correlation(self) -> float:
        """Correlation of neighbors, a / (1 - b), by Yule and Walker's equations."""
        return self.a / (1 - self.b)

    @property
    def variance(self) -> float:
        """Variance of one value: s^2 / (1 - a r_1 - b r_2), r_k the correlation at lag k."""
        r1 = self.correlation
        return self.scale**2 / (1 - self.a * r1 - self.b * (self.a * r1 + self.b))

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density (n,) of sequences (n, T) in nats, computed in float64."""
        y = x.double()
        v, r = self.variance, self.correlation
        first = _log_normal(y[:, :1], v) + _log_normal(y[:, 1:2] - r * y[:, :1], v * (1 - r * r))
        innovation = y[:, 2:] - self.a * y[:, 1:-1] - self.b * y[:, :-2]
        return (first[:, 0] + _log_normal(innovation, self.scale**2).sum(1)).to(x.dtype)

    def sample(self, n: int, length: int, random: np.random.RandomState) -> Array:
        """Draw (n, length); length is 2 or more."""
        x = random.standard_normal((n, length))
        v, r = self.variance, self.correlation
        x[:, 0] *= math.sqrt(v)
        x[:, 1] = r * x[:, 0] + math.sqrt(v * (1 - r * r)) * x[:, 1]
        for t in range(2, length):
            x[:, t] = self.a * x[:, t - 1] + self.b * x[:, t - 2] + self.scale * x[:, t]
        return x


def _log_normal(e: Tensor, variance: float) -> Tensor:
    return -0.5 * (e.square() / variance + math.log(2 * math.pi * variance))


@dataclass(frozen=True)
class MarkovChain:
    """p(x_t | x_{t-3}, x_{t-2}, x_{t-1}) from a table, in its stationary state.

    The entropy rate is sum_s pi(s) H(p(. | s)), s running over all triples and pi their stationary
    distribution, pi(j, k, l) = sum_i pi(i, j, k) p(l | i, j, k).

    Args:
        table: Probabilities (V, V, V, V), the last axis being the next token.

    Example:
        >>> coin = MarkovChain(np.full((2, 2, 2, 2), 0.5))
        >>> round(coin.entropy_rate / math.log(2), 6)
        1.0
    """

    table: Array

    @property
    def vocabulary(self) -> int:
        """V, the number of tokens."""
        return len(self.table)

    @property
    def stationary(self) -> Array:
        """The distribution pi (V, V, V), by iterating the chain until it moves no more."""
        v = self.vocabulary
        pi = np.full((v, v, v), v**-3.0)
        for _ in range(10_000):
            after = np.einsum("ijk,ijkl->jkl", pi, self.table)
            if np.abs(after - pi).max() < 1e-16:
                break
            pi = after
        return np.asarray(pi / pi.sum())

    @property
    def entropy_rate(self) -> float:
        """In nats a token."""
        entropy = -(self.table * np.log(self.table)).sum(-1)
        return float((self.stationary * entropy).sum())

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability (n,) of sequences (n, T), T >= 3, in nats."""
        codes = x.long()
        i, j, k, after = codes[:, :-3], codes[:, 1:-2], codes[:, 2:-1], codes[:, 3:]
        log_table = torch.from_numpy(np.log(self.table))
        log_first = torch.from_numpy(np.log(self.stationary))
        first = log_first[codes[:, 0], codes[:, 1], codes[:, 2]]
        return first + log_table[i, j, k, after].sum(1)

    def sample(self, n: int, length: int, random: np.random.RandomState) -> NDArray[np.uint8]:
        """Draw (n, length); length is 3 or more."""
        v = self.vocabulary
        x = np.empty((n, length), dtype=np.uint8)
        triple = _at(self.stationary.reshape(-1)[None], random.random_sample(n))
        x[:, 0], x[:, 1], x[:, 2] = triple // v**2, triple // v % v, triple % v
        for t in range(3, length):
            p = self.table[x[:, t - 3], x[:, t - 2], x[:, t - 1]]
            x[:, t] = _at(p, random.random_sample(n))
        return x


def _at(p: Array, u: Array) -> NDArray[np.int64]:
    """Where the cumulated probability of the rows p passes u."""
    code = (np.cumsum(p, -1) <= u[:, None]).sum(-1)
    return np.asarray(np.minimum(code, p.shape[-1] - 1))


@cache
def source(name: str) -> AR2 | MarkovChain:
    """The source of that name: ``entropy_rate``, ``sample`` and ``log_prob``.

    - ``ar2``: a resonance, poles 0.9 exp(+-i pi/4), innovations of unit variance;
    - ``markov3``: 5 tokens, each of the 125 distributions drawn once from a fixed seed, its weights
      squares of exponential numbers.

    Raises:
        UnknownNameError: There is no such source.

    Example:
        >>> round(source("ar2").entropy_rate, 4), round(source("markov3").entropy_rate, 4)
        (1.4189, 0.9593)
    """
    if name == "ar2":
        return AR2(2 * 0.9 * math.cos(math.pi / 4), -(0.9**2), 1.0)
    if name == "markov3":
        # One draw after another from a stream that numpy has frozen: the same in every version.
        random = np.random.RandomState(3)
        weight = np.empty((5, 5, 5, 5))
        for place in product(range(5), repeat=4):
            weight[place] = math.log(1.0 - random.random_sample()) ** 2
        return MarkovChain(weight / weight.sum(-1, keepdims=True))
    raise UnknownNameError("source", name, ("ar2", "markov3"))


def _dataset(name: str, split: Split) -> Dataset:
    law = source(name)
    x = law.sample(_SIZES[split], LENGTH, np.random.RandomState(_SEEDS[split]))
    return Dataset(
        name=name,
        split=split,
        event=Event.real(LENGTH) if isinstance(law, AR2) else Event.tokens(LENGTH, law.vocabulary),
        x=torch.from_numpy(x).float() if isinstance(law, AR2) else torch.from_numpy(x),
        log_prob=law.log_prob,
        notes=(f"entropy rate {law.entropy_rate:.4f} nats a value",),
    )


ar2 = partial(_dataset, "ar2")
markov3 = partial(_dataset, "markov3")

"""Two-dimensional densities whose log-density is known, for looking at what a model has learned.

Five have about unit variance along both axes; one has tails so heavy that it has no variance. Four
are mixtures of isotropic Gaussians, two with finitely many centers and two with a curve of centers:

    p(x) = int_0^1 N(x; c(u), s^2 I) du,

an integral that Gauss-Legendre panels along the curve turn into a finite mixture, with log p right
to 1e-6 wherever a sample can plausibly fall.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split

__all__ = [
    "BentStudent",
    "Checkerboard",
    "Mixture",
    "checkerboard",
    "density",
    "grid25",
    "heavy_tails",
    "moons",
    "ring8",
    "spirals",
]

_SIZES: dict[Split, int] = {"train": 20_000, "validation": 2_000, "test": 5_000}
_SEEDS: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """A mixture of isotropic Gaussians, sum_k w_k N(x; c_k, s^2 I), in two dimensions.

    Args:
        centers: c, (k, 2); quadrature nodes where the centers are a curve.
        weights: w, (k,), summing to 1.
        scale: s, the standard deviation of the noise.
        draw: Draws n centers; from the k centers where there are finitely many, from the curve
            itself otherwise.
    """

    centers: Tensor
    weights: Tensor
    scale: float
    draw: Callable[[int, np.random.RandomState], Array]

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density (n,) in nats, computed in float64.

        With the square expanded, |x - c|^2 = |x|^2 - 2 x.c + |c|^2, the sum over centers is one
        matrix product; in float64 the digits lost to cancellation are far below 1e-10.
        """
        half = 0.5 / self.scale**2
        offset = self.weights.log() - half * (self.centers**2).sum(1)
        parts = [
            torch.logsumexp(torch.addmm(offset, rows, self.centers.T, alpha=2 * half), 1)
            - half * (rows**2).sum(1)
            for rows in x.double().split(2048)
        ]
        return (torch.cat(parts) - math.log(2 * math.pi * self.scale**2)).to(x.dtype)

    def sample(self, n: int, random: np.random.RandomState) -> Array:
        """Draw (n, 2)."""
        return self.draw(n, random) + self.scale * random.standard_normal((n, 2))


@dataclass(frozen=True)
class Checkerboard:
    """Uniform on the 8 dark squares of a 4 x 4 board that covers [-r, r]^2 with r = sqrt(3)."""

    radius: float = math.sqrt(3)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density (n,): -log(2 r^2) on the dark squares and -inf elsewhere."""
        cell = torch.floor((x.double() / self.radius + 1) * 2)
        inside = ((cell >= 0) & (cell < 4)).all(1) & (cell.sum(1) % 2 == 0)
        value = torch.full(inside.shape, -math.log(2 * self.radius**2), dtype=x.dtype)
        return torch.where(inside, value, torch.full_like(value, -math.inf))

    def sample(self, n: int, random: np.random.RandomState) -> Array:
        """Draw (n, 2)."""
        row = random.randint(0, 4, n)
        column = 2 * random.randint(0, 2, n) + row % 2
        corner = np.stack([row, column], 1)
        return ((corner + random.random_sample((n, 2))) / 2 - 1) * self.radius


@dataclass(frozen=True)
class BentStudent:
    """Independent Student t of 2 degrees of freedom, bent: x = (s u, s v + sqrt(1 + (s u)^2) - 1).

    With p(u) = (1 + u^2 / 2)^(-3/2) / (2 sqrt 2), whose variance is infinite. Bending shifts x_2 by
    a function of x_1, which leaves the density what it was: p(x) = p(u) p(v) / s^2.

    Args:
        scale: s.
    """

    scale: float = 0.4

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density (n,) in nats, computed in float64."""
        first, second = x.double().unbind(1)
        straight = torch.stack((first, second - self._bend(first)), 1) / self.scale
        each = -1.5 * torch.log1p(straight.square() / 2)
        return (each.sum(1) - 2 * math.log(2 * math.sqrt(2) * self.scale)).to(x.dtype)

    def sample(self, n: int, random: np.random.RandomState) -> Array:
        """Draw (n, 2): a normal number over the root of an exponential one is a t of 2 degrees."""
        normal, exponential = random.standard_normal((n, 2)), random.standard_exponential((n, 2))
        x = self.scale * normal / np.sqrt(exponential)
        x[:, 1] += np.sqrt(1 + x[:, 0] ** 2) - 1
        return x

    @staticmethod
    def _bend(first: Tensor) -> Tensor:
        return (1 + first.square()).sqrt() - 1


def _points(centers: Array, scale: float) -> Mixture:
    """Equal weights on finitely many centers."""
    k = len(centers)
    weights = torch.full((k,), 1 / k, dtype=torch.float64)
    draw = partial(_pick, centers)
    return Mixture(torch.from_numpy(centers), weights, scale, draw)


def _pick(centers: Array, n: int, random: np.random.RandomState) -> Array:
    return centers[random.randint(0, len(centers), n)]


def _curves(
    arms: tuple[Callable[[Array], Array], ...],
    parameter: Callable[[Array], Array],
    speed: Callable[[Array], Array],
    scale: float,
    panels: int,
) -> Mixture:
    """Equal weights on curves c(t), t = parameter(u) with u uniform on [0, 1].

    ``speed`` is du/dt: panels are equal in u, which is about arc length, but nodes are laid in t,
    where the curves are smooth. A panel of 4 scales' length with 16 nodes is exact to 1e-10.
    """
    nodes, w = np.polynomial.legendre.leggauss(16)
    edges = parameter(np.linspace(0, 1, panels + 1))[:, None]
    low, width = edges[:-1], np.diff(edges, axis=0)
    t = (low + width * (nodes + 1) / 2).ravel()
    weight = (width * w / 2).ravel() * speed(t) / len(arms)
    centers = np.concatenate([arm(t) for arm in arms])
    weights = torch.from_numpy(np.tile(weight, len(arms)))
    draw = partial(_trace, arms, parameter)
    return Mixture(torch.from_numpy(centers), weights, scale, draw)


def _trace(
    arms: tuple[Callable[[Array], Array], ...],
    parameter: Callable[[Array], Array],
    n: int,
    random: np.random.RandomState,
) -> Array:
    t = parameter(random.random_sample(n))
    which = random.randint(0, len(arms), n)
    return np.stack([arm(t) for arm in arms], 1)[np.arange(n), which]


def _upper_moon(t: Array) -> Array:
    return math.sqrt(2) * np.stack([np.cos(t) - 0.5, np.sin(t) - 0.25], 1)


def _lower_moon(t: Array) -> Array:
    return -_upper_moon(t)


def _spiral(t: Array) -> Array:
    return 2 / (3 * math.pi) * np.stack([t * np.cos(t), t * np.sin(t)], 1)


def _other_spiral(t: Array) -> Array:
    return -_spiral(t)


@cache
def density(name: str) -> Mixture | Checkerboard | BentStudent:
    """The distribution of that name: ``sample`` and ``log_prob``.

    - ``moons``: two half circles of radius sqrt(2), noise 0.1 sqrt(2);
    - ``ring8``: 8 Gaussians of scale 0.1 on a circle of radius sqrt(2);
    - ``grid25``: 5 x 5 Gaussians of scale 0.05, 1/sqrt(2) apart;
    - ``checkerboard``: uniform on the dark squares of a 4 x 4 board;
    - ``spirals``: two arms of one and a half turns and radius 2, noise 0.1, angle 3 pi sqrt(u);
    - ``heavy-tails``: a bent Student t of 2 degrees of freedom.

    Example:
        >>> torch.round(density("checkerboard").log_prob(torch.tensor([[0.1, 0.1]])), decimals=3)
        tensor([-1.7920])
    """
    if name == "moons":
        half = (_upper_moon, _lower_moon)
        return _curves(half, lambda u: math.pi * u, lambda t: 0 * t + 1 / math.pi, 0.02**0.5, 8)
    if name == "ring8":
        angle = np.arange(8) * math.pi / 4
        return _points(math.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], 1), 0.1)
    if name == "grid25":
        row, column = np.divmod(np.arange(25), 5)
        return _points((np.stack([row, column], 1) - 2) / math.sqrt(2), 0.05)
    if name == "spirals":
        end = 3 * math.pi
        arms = (_spiral, _other_spiral)
        return _curves(arms, lambda u: end * np.sqrt(u), lambda t: 2 * t / end**2, 0.1, 24)
    if name == "heavy-tails":
        return BentStudent()
    assert name == "checkerboard", name
    return Checkerboard()


def _dataset(name: str, split: Split) -> Dataset:
    law = density(name)
    # RandomState's streams are frozen by numpy: the samples are the same in every version.
    x = law.sample(_SIZES[split], np.random.RandomState(_SEEDS[split]))
    return Dataset(
        name=name,
        split=split,
        event=Event.real(2),
        x=torch.from_numpy(x).float(),
        log_prob=law.log_prob,
    )


moons = partial(_dataset, "moons")
ring8 = partial(_dataset, "ring8")
grid25 = partial(_dataset, "grid25")
checkerboard = partial(_dataset, "checkerboard")
spirals = partial(_dataset, "spirals")
heavy_tails = partial(_dataset, "heavy-tails")

"""High likelihood with poor samples, and good samples with low likelihood."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.data.densities import density
from phosphene.data.loading import load
from phosphene.learning.mathematics.likelihood_and_quality import KernelDensity, diluted_log_prob
from phosphene.proofs.proof import Proof, Wrong, above, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "q = 0.01 p + 0.99 noise has log q >= log p - log 100 at every x, 4.605 nats in any dimension, "
    "and 99 of 100 of its samples are noise. A kernel density with a small width samples as good "
    "as its training set, with less likelihood on a test set than a plain Gaussian (Theis, van den "
    "Oord and Bethge, 2016)."
)
_SHARE, _WIDTH = 0.01, 0.02

Dilution = Callable[[Tensor, Tensor, float], Tensor]


def prove(seed: int = 0, *, formula: Dilution = diluted_log_prob) -> Proof:
    """Both halves on digits, and the first on a density that is known.

    Digits are 64 reals between 0 and 1: each pixel with a uniform draw within its level. The honest
    model is one Gaussian for each class. Quality is the distance to the nearest training example,
    over that of test digits.

    Args:
        seed: Of the draws.
        formula: log q from log p and the noise's log-density.

    Example:
        >>> prove().holds
        True
    """
    train, labels = _digits("train", seed)
    test, _ = _digits("test", seed + 1)
    g = generator(seed, 2)
    model = _Gaussians(train, labels)
    log_p = model.log_prob(test)
    noise = torch.rand(len(test), 64, generator=g, dtype=torch.float64)
    zero = torch.zeros(len(test), dtype=torch.float64)  # the noise's density on the cube is 1
    log_q = formula(log_p, zero, _SHARE)
    is_noise = torch.rand(len(test), generator=g) >= _SHARE
    poor = torch.where(is_noise[:, None], noise, model.sample(len(test), g))
    kernels = KernelDensity(train, _WIDTH)
    copied = kernels.sample(len(test), g)
    real = _nearest(test, train)
    known, points = _known(seed)
    corner = torch.full((len(points),), -math.log(400.0), dtype=torch.float64)
    on_known = formula(known, corner, _SHARE) - known
    rows = [
        below(
            "digits: largest log p - log q over test examples, log 100",
            (log_p - log_q).max(),
            math.log(100),
            1e-9,
        ),
        below(
            "eight Gaussians: largest log p - log q over test points, log 100",
            -on_known.min(),
            math.log(100),
            1e-9,
        ),
        below(
            "digits: NLL of q, nats above that of p", (log_p - log_q).mean(), math.log(100), 1e-9
        ),
        above("digits: log p - log q, which shows that q is diluted", (log_p - log_q).mean(), 1.0),
        above(
            "distance of q's samples to the nearest training digit, over that of test digits",
            _nearest(poor, train) / real,
            2.0,
        ),
        below("the same of the kernel density's samples", _nearest(copied, train) / real, 0.3),
        above(
            "test NLL of the kernel density, nats above that of the Gaussians",
            (log_p - kernels.log_prob(test)).mean(),
            100.0,
        ),
        above(
            "training log-likelihood of the kernel density, nats above that of the Gaussians",
            (kernels.log_prob(train) - model.log_prob(train)).mean(),
            0.0,
        ),
    ]
    widths = torch.logspace(-2, 0, 21, dtype=torch.float64)
    curve = torch.stack([-KernelDensity(train, float(h)).log_prob(test).mean() for h in widths[6:]])
    figure = {"x": widths[6:].log10(), "test NLL of the kernel density": curve}
    return Proof("likelihood-is-not-quality", "Likelihood is not quality", _STATEMENT, rows, figure)


def _digits(split: str, seed: int) -> tuple[Tensor, Tensor]:
    found = load("digits", split)
    codes = found.x.flatten(1).double()
    g = generator(seed, len(codes))
    assert found.y is not None
    return (codes + torch.rand(codes.shape, generator=g, dtype=torch.float64)) / 17, found.y


class _Gaussians:
    """One Gaussian for each class, its covariance drawn a little towards the common one."""

    def __init__(self, x: Tensor, labels: Tensor) -> None:
        common = torch.cov(x.T)
        parts = [x[labels == c] for c in labels.unique()]
        self.mean = torch.stack([part.mean(0) for part in parts])
        covariance = torch.stack([0.7 * torch.cov(part.T) + 0.3 * common for part in parts])
        self.root = torch.linalg.cholesky(covariance)
        self.log_weight = torch.tensor([len(part) / len(x) for part in parts]).double().log()

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-densities (n,)."""
        laws = torch.distributions.MultivariateNormal(self.mean, scale_tril=self.root)
        return torch.logsumexp(laws.log_prob(x[:, None]) + self.log_weight, 1)

    def sample(self, n: int, g: torch.Generator) -> Tensor:
        """Draw (n, d)."""
        which = torch.multinomial(self.log_weight.exp(), n, replacement=True, generator=g)
        noise = torch.randn(n, self.mean.shape[1], 1, generator=g, dtype=torch.float64)
        found: Tensor = self.mean[which] + (self.root[which] @ noise)[..., 0]
        return found


def _nearest(x: Tensor, train: Tensor) -> float:
    """Mean distance to the nearest training example."""
    return float(torch.cdist(x, train).amin(1).mean())


def _known(seed: int) -> tuple[Tensor, Tensor]:
    """The true log-density of eight Gaussians at test points, and these."""
    points = load("ring8", "test").x.double()
    return density("ring8").log_prob(points), points


def _log_of_the_mean(log_p: Tensor, log_noise: Tensor, share: float) -> Tensor:
    return share * log_p + (1 - share) * log_noise


WRONG = Wrong(
    "log q = 0.01 log p + 0.99 log noise: the logarithm of a mixture is not a mixture of "
    "logarithms",
    {"formula": _log_of_the_mean},
)

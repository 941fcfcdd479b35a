"""Classifier two-sample test: can a classifier tell samples from real examples?"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator
from phosphene.evaluate.neighbors import _squared

__all__ = ["TwoSample", "classifier_two_sample_test", "logistic_regression"]


def logistic_regression(x: Tensor, y: Tensor, *, penalty: float = 1.0, steps: int = 50) -> Tensor:
    r"""Weights (d + 1,), the intercept last, that minimize the penalized logistic loss.

    .. math:: \sum_i \log(1 + e^{-s_i w^\top x_i}) + \frac{\lambda}{2} |w|^2, \quad s_i = \pm 1

    by Newton's method; the intercept is not penalized.

    Args:
        x: Features (n, d).
        y: Labels 0 and 1 (n,).
        penalty: lambda.
        steps: The most Newton steps.
    """
    x = torch.cat([x.double(), torch.ones(len(x), 1, dtype=torch.float64)], 1)
    ridge = torch.full((x.shape[1],), penalty, dtype=torch.float64)
    ridge[-1] = 1e-9
    y = y.double()

    def objective(w: Tensor) -> Tensor:
        loss = F.binary_cross_entropy_with_logits(x @ w, y, reduction="sum")
        return loss + (ridge * w * w).sum() / 2

    w = torch.zeros(x.shape[1], dtype=torch.float64)
    value = objective(w)
    for _ in range(steps):
        p = (x @ w).sigmoid()
        gradient = x.T @ (p - y) + ridge * w
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge.diag()
        direction = torch.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-6 and objective(w - size * direction) > value:
            size /= 2  # a full step may overshoot where the classes are nearly separable
        w = w - size * direction
        before, value = value, objective(w)
        if before - value < 1e-12 * len(x):
            break
    return w


@dataclass(frozen=True)
class TwoSample:
    """Accuracies on held-out halves; 0.5 where samples cannot be told from real examples.

    Args:
        logistic: Of penalized logistic regression.
        neighbors: Of k nearest neighbors.
        stderr: Binomial standard error of an accuracy of one half.
    """

    logistic: float
    neighbors: float
    stderr: float

    @property
    def accuracy(self) -> float:
        """The better of the two classifiers."""
        return max(self.logistic, self.neighbors)


def _nearest_vote(train: Tensor, labels: Tensor, test: Tensor, k: int) -> Tensor:
    squared = _squared(test, train, train.square().sum(1))
    nearest = squared.topk(k, dim=1, largest=False).indices
    return labels[nearest].mean(1) > 0.5


def classifier_two_sample_test(
    real: Tensor, fake: Tensor, *, k: int = 5, seed: int = 0
) -> TwoSample:
    """Train on half of each set, test on the other half (Lopez-Paz and Oquab, 2017).

    The larger set is cut to the size of the smaller, so that guessing gives one half.

    Args:
        real: Features (n, d).
        fake: Features (m, d).
        k: Neighbors that vote, an odd number.
        seed: Draws the halves.

    Raises:
        ConfigError: Fewer than 4 k examples in a set, or an even k.
    """
    n = min(len(real), len(fake))
    if k % 2 == 0 or n < 4 * k:
        raise ConfigError(f"k must be odd with 4 k examples in each set, got k={k} and {n}")
    real = real.double()[torch.randperm(len(real), generator=generator(seed, 0))[:n]]
    fake = fake.double()[torch.randperm(len(fake), generator=generator(seed, 1))[:n]]
    half = n // 2
    train, test = (torch.cat([real[s], fake[s]]) for s in (slice(half), slice(half, None)))
    y_train = torch.cat([torch.zeros(half), torch.ones(half)]).double()
    y_test = torch.cat([torch.zeros(n - half), torch.ones(n - half)]).bool()
    mean, scale = train.mean(0), train.std(0).clamp(min=1e-8)
    standard_train, standard_test = (train - mean) / scale, (test - mean) / scale
    w = logistic_regression(standard_train, y_train)
    logistic = standard_test @ w[:-1] + w[-1] > 0
    vote = _nearest_vote(train - mean, y_train, test - mean, k)
    return TwoSample(
        float((logistic == y_test).double().mean()),
        float((vote == y_test).double().mean()),
        0.5 / len(y_test) ** 0.5,
    )

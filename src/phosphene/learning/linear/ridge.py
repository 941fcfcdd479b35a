"""Linear regression: by maximum likelihood, and with a Gaussian prior, which is ridge regression.

    y = X w + b + e,  e ~ N(0, s^2),   w ~ N(0, t^2 I)
    argmax_w p(w | X, y) = argmin_w |y - X w - b|^2 + lambda |w|^2,   lambda = s^2 / t^2

(Hoerl and Kennard, 1970.) lambda = 0, a flat prior, is least squares (Gauss, 1809). The intercept
has a flat prior.
"""

from typing import Any, Self

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.core.ranges import NotNegative
from phosphene.learning.linear.estimator import Regressor, matrix, targets

__all__ = ["LinearRegression", "Ridge", "log_posterior", "prior_penalty", "ridge"]


def ridge(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    """(X^T X + lambda I)^-1 X^T y, by the singular values of X.

    Args:
        x: (n, d).
        y: (n,) or (n, outputs).
        penalty: lambda; with 0, the shortest least-squares solution.

    Returns:
        w (d,) or (d, outputs).

    Example:
        >>> ridge(torch.tensor([[1.0], [1.0]]), torch.tensor([2.0, 4.0]), 2.0)
        tensor([1.5000])
    """
    u, s, vt = torch.linalg.svd(x, full_matrices=False)
    least = torch.finfo(x.dtype).eps * max(x.shape) * s.amax()
    gain = torch.where(s > least, 1 / (s + penalty / s), 0.0)  # s^2 may be out of range
    found: Tensor = vt.T @ ((gain[:, None] if y.ndim == 2 else gain) * (u.T @ y))
    return found


def prior_penalty(noise: float, prior: float) -> float:
    """lambda = s^2 / t^2: the penalty that a Gaussian prior is.

    Args:
        noise: s, the standard deviation of the noise.
        prior: t, that of each weight under the prior.

    Raises:
        ConfigError: One of them is not above 0.

    Example:
        >>> prior_penalty(1.0, 2.0)
        0.25
    """
    for name, value in (("noise", noise), ("prior", prior)):
        if not value > 0:
            raise ConfigError(f"{name} must be above 0, got {value}")
    return noise**2 / prior**2


def log_posterior(w: Tensor, x: Tensor, y: Tensor, noise: float, prior: float) -> Tensor:
    """log p(y | X, w) + log p(w), in nats, up to what does not depend on w.

    Args:
        w: (d,).
        x: (n, d).
        y: (n,).
        noise: s.
        prior: t.
    """
    fit = -(y - x @ w).square().sum() / (2 * noise**2)
    return fit - w.square().sum() / (2 * prior**2)


class Ridge(Regressor):
    """Ridge regression, with the interface of a scikit-learn regressor.

    Args:
        alpha: lambda, above or equal 0, of |y - X w - b|^2 + lambda |w|^2.
        fit_intercept: Whether b is fitted.

    Example:
        >>> Ridge(alpha=0.0).fit([[0], [1], [2]], [1, 3, 5]).predict([[3]]).round(6)
        array([7.])
    """

    def __init__(self, *, alpha: NotNegative = 1.0, fit_intercept: bool = True) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self._check()

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from examples (n, d) and numbers (n,).

        Raises:
            DataError: They are no table of numbers, or their counts differ.
        """
        self._check()
        x = matrix(X)
        t = targets(y, len(x))
        zero = x.new_zeros(())
        mean, level = (x.mean(0), t.mean()) if self.fit_intercept else (zero, zero)
        w = ridge(x - mean, t - level, self.alpha)
        self.n_features_in_ = x.shape[1]
        self.coef_ = w.numpy()
        self.intercept_ = float(level - mean @ w) if self.fit_intercept else 0.0
        return self


class LinearRegression(Ridge):
    """Least squares: maximum likelihood under Gaussian noise.

    Args:
        fit_intercept: Whether b is fitted.

    Attributes:
        noise_: The likelihood's estimate of s: the root of the mean squared residual.
    """

    alpha = 0.0

    def __init__(self, *, fit_intercept: bool = True) -> None:
        self.fit_intercept = fit_intercept
        self._check()

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from examples (n, d) and numbers (n,)."""
        super().fit(X, y)
        x = matrix(X)
        residual = targets(y, len(x)) - torch.as_tensor(self.predict(x))
        self.noise_ = float(residual.square().mean().sqrt())
        return self

"""The lasso: linear regression with a Laplace prior, which sets weights to exactly 0.

    y = X w + b + e,  e ~ N(0, s^2),   p(w) = prod_j exp(-|w_j| / c) / (2 c)
    argmax_w p(w | X, y) = argmin_w |y - X w - b|^2 / 2 + (s^2 / c) |w|_1

(Tibshirani, 1996.) Below, as is common, the squares are divided by n, and alpha = s^2 / (c n).
Coordinate descent solves for one weight at a time: w_j = S(x_j . r_j / n, alpha) / (|x_j|^2 / n),
r_j what the others leave over, S(a, t) = sign(a) max(|a| - t, 0) (Friedman, Hastie and Tibshirani,
2010).
"""

from typing import Any, Self

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.core.ranges import Count, NotNegative, Positive
from phosphene.learning.linear.estimator import Regressor, matrix, targets

__all__ = ["Lasso", "kkt_violation", "lasso", "lasso_path", "least_alpha", "soft_threshold"]


def soft_threshold(a: Tensor, t: float) -> Tensor:
    """sign(a) max(|a| - t, 0), the minimum over w of (w - a)^2 / 2 + t |w|.

    Example:
        >>> soft_threshold(torch.tensor([-3.0, 0.5, 2.0]), 1.0)
        tensor([-2., 0., 1.])
    """
    return a - a.clamp(-t, t)


def kkt_violation(w: Tensor, x: Tensor, y: Tensor, alpha: float) -> Tensor:
    """How far w is from the optimum's conditions; 0 there, and only there.

    With g = X^T (y - X w) / n: g_j = alpha sign(w_j) where w_j is not 0, and |g_j| <= alpha where
    it is. Returned is the largest violation, in the units of alpha.

    Example:
        >>> kkt_violation(torch.zeros(1), torch.tensor([[1.0]]), torch.tensor([2.0]), 2.0)
        tensor(0.)
    """
    return _violation(w, x.T @ (y - x @ w) / len(x), alpha)


def least_alpha(x: Tensor, y: Tensor) -> float:
    """The penalty from which on all weights are 0: max_j |x_j . y| / n."""
    return float((x.T @ y).abs().amax()) / len(x)


def lasso(
    x: Tensor,
    y: Tensor,
    alpha: float,
    *,
    start: Tensor | None = None,
    tolerance: float = 1e-9,
    sweeps: int = 10_000,
) -> tuple[Tensor, int]:
    """Coordinate descent on |y - X w|^2 / (2 n) + alpha |w|_1.

    The covariances are computed once; a sweep then costs d^2, however many examples there are.

    Args:
        x: (n, d).
        y: (n,).
        alpha: The penalty, 0 or more.
        start: Weights to begin with; 0 by default.
        tolerance: Of :func:`kkt_violation`, as a part of :func:`least_alpha`.
        sweeps: The most that are made.

    Returns:
        The weights, and the sweeps that were made.

    Raises:
        ConfigError: So many sweeps do not suffice.

    Example:
        >>> w, sweeps = lasso(torch.tensor([[1.0], [-1.0]]), torch.tensor([2.0, -2.0]), 0.5)
        >>> w
        tensor([1.5000])
    """
    gram, cov = x.T @ x / len(x), x.T @ y / len(x)
    w = torch.zeros_like(cov) if start is None else start.clone()
    left = cov - gram @ w  # x_j . (y - X w) / n
    most = tolerance * float(cov.abs().amax())
    # One number at a time: NumPy, which shares the memory of w and left, does that faster.
    rows, at, rest = gram.numpy(), w.numpy(), left.numpy()
    scale = rows.diagonal().tolist()
    for sweep in range(1, sweeps + 1):
        for j, s in enumerate(scale):
            if s == 0.0:
                continue
            old = float(at[j])
            a = float(rest[j]) + s * old
            new = (max(abs(a) - alpha, 0.0) * (1 if a > 0 else -1)) / s
            if new != old:
                at[j] = new
                rest -= rows[j] * (new - old)
        if float(_violation(w, left, alpha)) <= most:
            return w, sweep
    raise ConfigError(
        f"after {sweeps} sweeps the lasso is off by {float(_violation(w, left, alpha)):.2g}, more "
        f"than {most:.2g}: scale the features alike, or take more sweeps or a larger tolerance"
    )


def _violation(w: Tensor, g: Tensor, alpha: float) -> Tensor:
    return torch.where(w == 0, (g.abs() - alpha).clamp(min=0), (g - alpha * w.sign()).abs()).amax()


def lasso_path(x: Tensor, y: Tensor, alphas: Tensor, *, tolerance: float = 1e-6) -> Tensor:
    """The weights for each penalty (k, d); each begins where the last ended.

    Args:
        x: (n, d).
        y: (n,).
        alphas: (k,), from the largest to the smallest for the shortest way.
        tolerance: As in :func:`lasso`.
    """
    rows, w = [], x.new_zeros(x.shape[1])
    for alpha in alphas.tolist():
        w, _ = lasso(x, y, alpha, start=w, tolerance=tolerance)
        rows.append(w)
    return torch.stack(rows)


class Lasso(Regressor):
    """The lasso, with the interface of a scikit-learn regressor.

    Args:
        alpha: The penalty of |y - X w - b|^2 / (2 n) + alpha |w|_1.
        fit_intercept: Whether b is fitted.
        max_iter: The most sweeps over the weights.
        tol: How far from the optimum's conditions one may stop, as a part of the least penalty
            that makes all weights 0.

    Attributes:
        n_iter_: Sweeps that were made.

    Example:
        >>> x, y = [[1, 1], [2, -1], [3, 1], [4, -1]], [2, 4, 6, 8]
        >>> Lasso(alpha=0.5).fit(x, y).coef_.round(6)
        array([1.6, 0. ])
    """

    def __init__(
        self,
        *,
        alpha: NotNegative = 1.0,
        fit_intercept: bool = True,
        max_iter: Count = 10_000,
        tol: Positive = 1e-9,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self._check()

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from examples (n, d) and numbers (n,).

        Raises:
            DataError: They are no table of numbers, or their counts differ.
            ConfigError: ``max_iter`` sweeps do not suffice.
        """
        self._check()
        x = matrix(X)
        t = targets(y, len(x))
        zero = x.new_zeros(())
        mean, level = (x.mean(0), t.mean()) if self.fit_intercept else (zero, zero)
        w, self.n_iter_ = lasso(
            x - mean, t - level, self.alpha, tolerance=self.tol, sweeps=self.max_iter
        )
        self.n_features_in_ = x.shape[1]
        self.coef_ = w.numpy()
        self.intercept_ = float(level - mean @ w) if self.fit_intercept else 0.0
        return self

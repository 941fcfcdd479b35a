"""Logistic regression: classes whose log-odds are linear, by Newton's method.

    two classes     p(1 | x) = s(w . x + b)
    several         p(k | x) = softmax_k(W x + b)
    argmax p(w | X, y) = argmin sum_i -log p(y_i | x_i) + alpha |w|^2 / 2,   w ~ N(0, I / alpha)

(Berkson, 1944; Cox, 1958.) The loss is convex, and its curvature known:

    gradient (p - t)^T X + alpha w,   Hessian X^T diag(p (1 - p)) X + alpha I

A Newton step solves a weighted least-squares problem. A handful suffices. Without a penalty, and
with classes that can be separated, there is no maximum: the weights grow for ever, which is said.
"""

from typing import Any, Self

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.core.ranges import Count, NotNegative, Positive
from phosphene.learning.linear.cross_entropy import binary_cross_entropy, cross_entropy
from phosphene.learning.linear.estimator import LinearClassifier, matrix

__all__ = ["LogisticRegression", "logistic_gradient", "logistic_loss", "newton"]

_MOST_PARAMETERS = 5000
"""Weights whose Hessian is written down: 200 MB."""


def logistic_loss(weights: Tensor, x: Tensor, t: Tensor, alpha: Tensor) -> Tensor:
    """Sum of -log p over the examples, and alpha w^2 / 2 summed over the weights.

    Args:
        weights: (1, d) for two classes, (classes, d) for several.
        x: (n, d); an intercept is a column of ones.
        t: (n, 1), 0 or 1; or (n, classes), one of them 1.
        alpha: (d,), 0 for the intercept.

    Example:
        >>> x, t = torch.tensor([[1.0], [-1.0]]), torch.tensor([[1.0], [0.0]])
        >>> logistic_loss(torch.zeros(1, 1), x, t, torch.ones(1))
        tensor(1.3863)
    """
    logits = x @ weights.T
    fit = binary_cross_entropy(logits, t) if len(weights) == 1 else cross_entropy(logits, t)
    return fit.sum() + (alpha * weights.square()).sum() / 2


def logistic_gradient(weights: Tensor, x: Tensor, t: Tensor, alpha: Tensor) -> Tensor:
    """(p - t)^T X + alpha w, of the shape of the weights; arguments as for the loss."""
    return (_predicted(weights, x) - t).T @ x + alpha * weights


def _predicted(weights: Tensor, x: Tensor) -> Tensor:
    logits = x @ weights.T
    return torch.sigmoid(logits) if len(weights) == 1 else torch.softmax(logits, 1)


def _hessian(weights: Tensor, x: Tensor, alpha: Tensor) -> Tensor:
    """(units d, units d): blocks X^T diag(p_k ([k = l] - p_l)) X."""
    units, d = weights.shape
    p = _predicted(weights, x)
    found = x.new_zeros(units, d, units, d)
    for k in range(units):
        for j in range(k + 1):
            curve = p[:, k] * ((1.0 if k == j else 0.0) - p[:, j])
            block = (x * curve[:, None]).T @ x
            found[k, :, j] = found[j, :, k] = block  # symmetric
    found = found.reshape(units * d, units * d)
    found.diagonal().add_(alpha.repeat(units))
    if units > 1:
        # The same vector added to the weights of all classes changes no probability.
        ones, eye = torch.ones(units, units, dtype=x.dtype), torch.eye(d, dtype=x.dtype)
        found = found + torch.kron(ones, eye) / units
    return found


def newton(
    x: Tensor, t: Tensor, alpha: Tensor, *, tolerance: float = 1e-12, steps: int = 100
) -> tuple[Tensor, list[float]]:
    """Newton's method with halved steps, from weights 0.

    Args:
        x: (n, d).
        t: (n, 1) or (n, classes).
        alpha: (d,).
        tolerance: Of what a step promises, half the Newton decrement, as a part of the first loss.
        steps: The most that are made.

    Returns:
        The weights (1 or classes, d), and the loss before each step and after the last.

    Raises:
        ConfigError: The classes are separable and not penalized, or the steps do not suffice.
    """
    weights = x.new_zeros(t.shape[1], x.shape[1])
    losses = [float(logistic_loss(weights, x, t, alpha))]
    flat = not bool((alpha > 0).any())
    for _ in range(steps):
        gradient = logistic_gradient(weights, x, t, alpha)
        step = _solved(_hessian(weights, x, alpha), gradient.reshape(-1), flat).view_as(weights)
        promised = float((gradient * step).sum()) / 2
        if promised <= tolerance * losses[0]:
            return weights, losses
        size = 1.0
        while True:
            tried = weights - size * step
            loss = float(logistic_loss(tried, x, t, alpha))
            if loss <= losses[-1] - 1e-4 * size * promised or size < 1e-10:
                break
            size /= 2
        weights = tried
        losses.append(loss)
        if flat and losses[-1] < 1e-6 * losses[0]:
            raise ConfigError(
                "the classes can be separated, so that without a penalty the weights grow for "
                "ever: alpha must be above 0"
            )
    raise ConfigError(
        f"after {steps} steps of Newton's method the loss still falls by {promised:.2g}: take a "
        "larger alpha, or more steps"
    )


def _solved(hessian: Tensor, gradient: Tensor, flat: bool) -> Tensor:
    if not flat:
        factor, info = torch.linalg.cholesky_ex(hessian)
        if int(info) == 0:
            return torch.cholesky_solve(gradient[:, None], factor)[:, 0]
    values, vectors = torch.linalg.eigh(hessian)
    least = values[-1] * len(values) * torch.finfo(values.dtype).eps
    gain = torch.where(values > least, 1 / values, 0.0)
    found: Tensor = vectors @ (gain * (vectors.T @ gradient))
    return found


class LogisticRegression(LinearClassifier):
    """Logistic regression, with the interface of a scikit-learn classifier.

    Args:
        alpha: Of the penalty alpha |w|^2 / 2 on the weights, not on the intercepts; one over
            scikit-learn's C. 0 is maximum likelihood; above 0, the maximum of the posterior with
            the prior w ~ N(0, I / alpha).
        fit_intercept: Whether there are intercepts.
        max_iter: The most Newton steps.
        tol: Of what a step promises, as a part of the first loss.

    Attributes:
        losses_: The loss before each step and after the last, in nats.
        n_iter_: Steps that were made.

    Example:
        >>> model = LogisticRegression().fit([[0], [1], [2], [3]], ["a", "a", "b", "b"])
        >>> model.predict([[0.5], [2.5]]).tolist(), model.predict_proba([[1.5]]).round(6).tolist()
        (['a', 'b'], [[0.5, 0.5]])
    """

    def __init__(
        self,
        *,
        alpha: NotNegative = 1.0,
        fit_intercept: bool = True,
        max_iter: Count = 100,
        tol: Positive = 1e-12,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self._check()

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from examples (n, d) and their labels (n,).

        Raises:
            DataError: They are no table of numbers, or there are fewer than two classes.
            ConfigError: The classes are separable and alpha is 0, or the steps do not suffice.
        """
        self._check()
        self.__dict__.pop("classes_", None)
        x = matrix(X)
        place = self._encode(y, len(x))
        d, k = x.shape[1], len(self.classes_)
        if (size := (1 if k == 2 else k) * (d + 1)) > _MOST_PARAMETERS:
            raise ConfigError(
                f"Newton's method writes down the curvature of at most {_MOST_PARAMETERS} weights, "
                f"and these are {size}: take fewer features"
            )
        alpha = torch.full((d,), float(self.alpha), dtype=x.dtype)
        if self.fit_intercept:
            x = torch.cat((x, torch.ones(len(x), 1, dtype=x.dtype)), 1)
            alpha = torch.cat((alpha, alpha.new_zeros(1)))
        t = torch.nn.functional.one_hot(place, k).to(x.dtype)
        weights, self.losses_ = newton(
            x, t[:, 1:] if k == 2 else t, alpha, tolerance=self.tol, steps=self.max_iter
        )
        self.n_features_in_ = d
        self.n_iter_ = len(self.losses_) - 1
        w = weights.numpy()
        self.coef_ = w[:, :d].copy()
        self.intercept_ = w[:, d].copy() if self.fit_intercept else 0 * w[:, 0]
        return self

    def predict_proba(self, X: Any) -> Any:
        """Probabilities of the classes (n, classes)."""
        logits = torch.as_tensor(self.decision_function(X))
        if logits.ndim == 1:
            found = torch.sigmoid(torch.stack((-logits, logits), 1))
        else:
            found = torch.softmax(logits, 1)
        return found if isinstance(X, Tensor) else found.numpy()

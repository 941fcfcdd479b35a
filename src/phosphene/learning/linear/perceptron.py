"""The perceptron: w += y x for each example on the wrong side, until there is none.

    sign(w . x) != y:  w <- w + eta y x,    y in {-1, 1}

(Rosenblatt, 1958.) If some unit vector u has y u . x >= gamma > 0 on all examples, and |x| <= R,
at most (R / gamma)^2 such updates are ever made (Novikoff, 1962): each adds at least gamma to
u . w and at most R^2 to |w|^2, so that with k updates k gamma <= u . w <= |w| <= R sqrt k. If there
is no such u, it never comes to rest; its weights stay bounded, and on whole numbers they recur.
"""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from phosphene.core.errors import DataError
from phosphene.core.ranges import Count, Natural, Positive
from phosphene.core.rng import generator
from phosphene.learning.linear.estimator import LinearClassifier, matrix

__all__ = ["Perceptron", "mistake_bound", "perceptron_update"]

_BLOCK = 256
"""Examples that are looked at together, until one is on the wrong side."""


def perceptron_update(w: Tensor, x: Tensor, y: Tensor, eta: float = 1.0) -> Tensor:
    """The weights after an example on the wrong side: w + eta y x.

    Args:
        w: Weights (d,).
        x: The example (d,).
        y: -1 or 1.
        eta: The step; from weights 0 it scales them, and changes no prediction.

    Example:
        >>> perceptron_update(torch.zeros(2), torch.tensor([1.0, 2.0]), torch.tensor(-1.0))
        tensor([-1., -2.])
    """
    return w + eta * y * x


def mistake_bound(x: Tensor, y: Tensor, direction: Tensor) -> float:
    """(R / gamma)^2: the most updates that a perceptron makes from weights 0 (Novikoff, 1962).

    Args:
        x: Examples (n, d); with an intercept, with a column of ones.
        y: -1 or 1 (n,).
        direction: Any vector that separates them (d,); the longer its margin, the less the bound.

    Returns:
        R the length of the longest example, gamma the least y u . x for the direction of length 1.

    Raises:
        DataError: The direction does not separate the examples: there is no bound.

    Example:
        >>> x = torch.tensor([[2.0, 1.0], [-2.0, 1.0]])
        >>> round(mistake_bound(x, torch.tensor([1.0, -1.0]), torch.tensor([1.0, 0.0])), 6)
        1.25
    """
    margin = float((y * (x @ direction)).min() / torch.linalg.vector_norm(direction))
    if not margin > 0:
        raise DataError(f"the direction does not separate the examples: least margin {margin:.3g}")
    return float(x.square().sum(1).max()) / margin**2


@dataclass
class _Unit:
    """The weights of one class against the others, with the intercept's last."""

    w: Tensor
    mistakes: list[int] = field(default_factory=list)
    seen: dict[bytes, int] = field(default_factory=dict)
    cycle: tuple[int, int] | None = None
    run: int = 0
    longest: int = 0
    kept: Tensor | None = None
    errors: int = -1

    def epoch(self, x: Tensor, y: Tensor, eta: float, pocket: bool) -> int:
        """Look at every example once, in order; return how many were on the wrong side."""
        wrong, at = 0, 0
        while at < len(x):
            block = slice(at, at + _BLOCK)
            bad = (y[block] * (x[block] @ self.w) <= 0).nonzero()
            if len(bad) == 0:
                self.run += len(x[block])
                at += _BLOCK
                continue
            k = at + int(bad[0])
            self.run += k - at
            if pocket:
                self.look(x, y)
            self.w = perceptron_update(self.w, x[k], y[k], eta)
            self.run, at, wrong = 0, k + 1, wrong + 1
        if pocket:
            self.look(x, y)
        self.mistakes.append(wrong)
        return wrong

    def look(self, x: Tensor, y: Tensor) -> None:
        """Put the weights into the pocket if they had the longest run and make fewer errors."""
        if self.kept is not None and self.run <= self.longest:
            return
        errors = int((y * (x @ self.w) <= 0).sum())
        if self.kept is None or errors < self.errors:
            self.kept, self.errors, self.longest = self.w, errors, self.run

    def recurs(self) -> bool:
        """Whether the weights were the same after an earlier epoch: it then goes round forever."""
        state, now = blake2b(self.w.numpy().tobytes()).digest(), len(self.mistakes)
        if state in self.seen:
            self.cycle = (self.seen[state], now - self.seen[state])
            return True
        self.seen[state] = now
        return False


class Perceptron(LinearClassifier):
    """Rosenblatt's perceptron, with the interface of a scikit-learn classifier.

    Several classes are learned one against the others. Unlike scikit-learn's, it stops when no
    example is on the wrong side, says so in ``converged_``, and sees when its weights recur.

    Args:
        eta0: The step.
        max_iter: The most passes over the examples.
        fit_intercept: Whether there is an intercept: an example gets a further feature, 1.
        shuffle: Whether each pass takes the examples in another order.
        pocket: Keep the weights that were right on the longest run of examples, if they also make
            fewer errors on all (Gallant, 1990): for classes that cannot be separated.
        random_state: Seed of the orders.

    Attributes:
        mistakes_: Updates that were made.
        mistakes_per_epoch_: Of each pass, summed over the classes.
        n_iter_: Passes that were made.
        converged_: Whether the last pass made no update.
        cycle_: Pass after which the weights first stood as they did later, and after how many
            more they did; None if they never recurred.

    Example:
        >>> x, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["no", "no", "no", "yes"]
        >>> both = Perceptron().fit(x, y)
        >>> both.converged_, both.predict([[1, 1]]).item()
        (True, 'yes')
        >>> Perceptron().fit(x, ["no", "yes", "yes", "no"]).cycle_ is not None
        True
    """

    def __init__(
        self,
        *,
        eta0: Positive = 1.0,
        max_iter: Count = 1000,
        fit_intercept: bool = True,
        shuffle: bool = False,
        pocket: bool = False,
        random_state: Natural = 0,
    ) -> None:
        self.eta0 = eta0
        self.max_iter = max_iter
        self.fit_intercept = fit_intercept
        self.shuffle = shuffle
        self.pocket = pocket
        self.random_state = random_state
        self._check()

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from examples (n, d) and their labels (n,), from weights 0.

        Raises:
            DataError: They are no table of numbers, or there are fewer than two classes.
        """
        for name in ("classes_", "_units"):
            self.__dict__.pop(name, None)
        x, signs = self._begin(X, y, None)
        random = generator(self.random_state, len(x))
        for unit, y_unit in zip(self._units, signs, strict=True):
            for _ in range(self.max_iter):
                order = torch.randperm(len(x), generator=random) if self.shuffle else slice(None)
                if not unit.epoch(x[order], y_unit[order], self.eta0, self.pocket):
                    break
                if not self.shuffle and unit.recurs():
                    break
        return self._finish()

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Look at the examples once more, from the weights that there are.

        Args:
            X: Examples (n, d).
            y: Their labels (n,).
            classes: All labels that will ever come; those of the first call by default.
        """
        x, signs = self._begin(X, y, classes)
        for unit, y_unit in zip(self._units, signs, strict=True):
            unit.kept = None  # what was kept was right on other examples
            unit.epoch(x, y_unit, self.eta0, self.pocket)
        return self._finish()

    _units: list[_Unit]

    def _begin(self, X: Any, y: Any, classes: Any) -> tuple[Tensor, Tensor]:
        """Examples with a column for the intercept, and the signs of each class (units, n)."""
        self._check()
        known = self.n_features_in_ if hasattr(self, "_units") else None
        x = matrix(X, known)
        place = self._encode(y, len(x), classes)
        self.n_features_in_ = x.shape[1]
        x = torch.cat((x, torch.ones(len(x), 1, dtype=x.dtype)), 1) if self.fit_intercept else x
        two = len(self.classes_) == 2
        wanted = torch.arange(1, 2) if two else torch.arange(len(self.classes_))
        if not hasattr(self, "_units"):
            self._units = [_Unit(x.new_zeros(x.shape[1])) for _ in wanted]
        return x, torch.where(place == wanted[:, None], 1.0, -1.0).to(x.dtype)

    def _finish(self) -> Self:
        weights = [u.w if not self.pocket or u.kept is None else u.kept for u in self._units]
        w = torch.stack(weights).numpy()
        d = self.n_features_in_
        self.coef_ = w[:, :d].copy()
        self.intercept_ = w[:, d].copy() if self.fit_intercept else np.zeros(len(w))
        passes = [u.mistakes for u in self._units]
        self.n_iter_ = max(map(len, passes))
        self.mistakes_per_epoch_ = [
            sum(p[k] for p in passes if k < len(p)) for k in range(self.n_iter_)
        ]
        self.mistakes_ = sum(self.mistakes_per_epoch_)
        self.converged_ = all(p[-1] == 0 for p in passes)
        self.cycle_ = next((u.cycle for u in self._units if u.cycle), None)
        return self

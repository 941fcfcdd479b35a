"""What linear learners share: the interface of scikit-learn's estimators, without scikit-learn.

They take arrays, lists or tensors, and work in its pipelines, grids and cross-validation. Numbers
are computed in float64. Tensors in give tensors out, anything else gives NumPy arrays.
"""

from typing import Any, Self, get_type_hints

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.config import parameters_of
from phosphene.core.errors import ConfigError, DataError, UnknownNameError, brief
from phosphene.core.ranges import check_declared

__all__ = ["Estimator", "LinearClassifier", "Regressor", "matrix", "targets"]

Array = NDArray[Any]
_MOST = 1e150
"""The largest number: sums of squares of larger ones overflow."""


def matrix(x: Any, features: int | None = None) -> Tensor:
    """Examples (n, d) in float64.

    Args:
        x: An array, a list of rows, or a tensor.
        features: How many columns there must be.

    Raises:
        DataError: It is no table of finite numbers up to 1e150, or has another number of columns.

    Example:
        >>> matrix([[1, 2], [3, 4]]).shape
        torch.Size([2, 2])
    """
    found = _tensor(x, "X")
    if found.ndim != 2 or 0 in found.shape:
        raise DataError(f"X must be a table (examples, features), got shape {tuple(found.shape)}")
    if features is not None and found.shape[1] != features:
        raise DataError(f"X has {found.shape[1]} features, but {features} were learned from")
    return found


def targets(y: Any, n: int) -> Tensor:
    """Numbers (n,) in float64.

    Raises:
        DataError: They are not n finite numbers up to 1e150.

    Example:
        >>> targets([1, 2], 2)
        tensor([1., 2.], dtype=torch.float64)
    """
    found = _tensor(y, "y")
    if found.ndim != 1 or len(found) != n:
        raise DataError(f"y must be {n} numbers, one an example, got shape {tuple(found.shape)}")
    return found


def _tensor(x: Any, name: str) -> Tensor:
    given = x.detach() if isinstance(x, Tensor) else np.asarray(x)
    if given.is_complex() if isinstance(given, Tensor) else np.iscomplexobj(given):
        raise DataError(f"{name} must be real numbers, got {given.dtype}")
    try:
        found = given if isinstance(given, Tensor) else torch.from_numpy(given.astype(float))
    except (TypeError, ValueError):
        raise DataError(f"{name} must be numbers, got {brief(x)}") from None
    found = found.to("cpu", torch.float64)
    if not bool(found.isfinite().all()):
        place = tuple((~found.isfinite()).nonzero()[0].tolist())
        raise DataError(f"{name} holds {float(found[place])} at {place}; it must be finite")
    if not bool((found.abs() <= _MOST).all()):
        place = tuple((found.abs() > _MOST).nonzero()[0].tolist())
        raise DataError(
            f"{name} holds {float(found[place]):.3g} at {place}, whose square overflows; numbers "
            f"must be at most {_MOST:g}: scale them"
        )
    return found


class Estimator:
    """Settings by name, as scikit-learn's tools get, set and clone them.

    A subclass names its settings as keyword arguments of ``__init__``, with their ranges, keeps
    each under its own name and calls ``self._check()``.
    """

    _kind = ""
    n_features_in_: int

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings.

        Args:
            deep: Asked for by scikit-learn; there are no estimators inside.
        """
        return {name: getattr(self, name) for name in parameters_of(type(self).__init__)}

    def set_params(self, **settings: Any) -> Self:
        """Change settings.

        Raises:
            UnknownNameError: There is no such setting.
            ConfigError: It cannot take the value.
        """
        known = self.get_params()
        for name in settings:
            if name not in known:
                raise UnknownNameError(f"setting of {type(self).__name__}", name, known)
        check_declared(_hints(type(self)), settings)
        for name, value in settings.items():
            setattr(self, name, value)
        return self

    def _check(self) -> None:
        check_declared(_hints(type(self)), self.get_params())

    def _fitted(self) -> None:
        if not hasattr(self, "n_features_in_"):
            raise ConfigError(f"this {type(self).__name__} has learned nothing yet: call fit first")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn, which asks for it, wants to know of an estimator."""
        from sklearn.utils import (  # type: ignore[import-untyped,unused-ignore]
            ClassifierTags,
            InputTags,
            RegressorTags,
            Tags,
            TargetTags,
        )

        return Tags(
            estimator_type=self._kind,
            target_tags=TargetTags(required=True),
            transformer_tags=None,
            regressor_tags=RegressorTags() if self._kind == "regressor" else None,
            classifier_tags=ClassifierTags() if self._kind == "classifier" else None,
            input_tags=InputTags(),
        )

    def __repr__(self) -> str:
        defaults = parameters_of(type(self).__init__)
        said = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value != defaults[name].default
        ]
        return f"{type(self).__name__}({', '.join(said)})"


def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls.__init__, include_extras=True)


class Regressor(Estimator):
    """A linear function of the features: X w + b.

    Attributes:
        coef_: w (d,), once fitted.
        intercept_: b.
    """

    _kind = "regressor"
    coef_: Array
    intercept_: float

    def predict(self, X: Any) -> Any:
        """X w + b (n,); a tensor if X is one."""
        self._fitted()
        found = matrix(X, self.n_features_in_) @ torch.from_numpy(self.coef_) + self.intercept_
        return found.to(X.device) if isinstance(X, Tensor) else found.numpy()

    def score(self, X: Any, y: Any) -> float:
        """R^2, one minus the mean squared error over the variance of y."""
        x = matrix(X, None)
        truth = targets(y, len(x))
        self._fitted()
        missed = (truth - torch.as_tensor(self.predict(x))).square().sum()
        return float(1 - missed / (truth - truth.mean()).square().sum())


class LinearClassifier(Estimator):
    """Signs of linear functions of the features: one for two classes, else one for each class.

    Attributes:
        classes_: The labels, sorted, once fitted.
        coef_: (1, d) or (classes, d).
        intercept_: (1,) or (classes,).
    """

    _kind = "classifier"
    classes_: Array
    coef_: Array
    intercept_: Array

    def decision_function(self, X: Any) -> Any:
        """X w + b: (n,) for two classes, above 0 for the second; else (n, classes)."""
        self._fitted()
        x = matrix(X, self.n_features_in_)
        found = x @ torch.from_numpy(self.coef_).T + torch.from_numpy(self.intercept_)
        found = found[:, 0] if found.shape[1] == 1 else found
        return found.to(X.device) if isinstance(X, Tensor) else found.numpy()

    def predict(self, X: Any) -> Any:
        """The label with the greatest value of the decision function."""
        found = torch.as_tensor(self.decision_function(X))
        return self._decode((found > 0).long() if found.ndim == 1 else found.argmax(1), X)

    def score(self, X: Any, y: Any) -> float:
        """The part of the examples that get their label."""
        truth = _labels(y)
        found = np.asarray(_labels(self.predict(X)))
        if len(truth) != len(found):
            raise DataError(f"X holds {len(found)} examples, and y {len(truth)} labels")
        return float(np.mean(found == truth))

    def _encode(self, y: Any, n: int, classes: Any = None) -> Tensor:
        """Places (n,) of labels among the classes, which are set if they are not known yet."""
        labels = _labels(y)
        if labels.ndim != 1 or len(labels) != n:
            raise DataError(f"y must be {n} labels, one an example, got shape {labels.shape}")
        known: Array = getattr(self, "classes_", labels if classes is None else _labels(classes))
        try:
            known, _ = np.unique(known), np.unique(labels)
        except TypeError:
            raise DataError(f"labels must be all numbers or all text, got {brief(y)}") from None
        if len(known) < 2:
            raise DataError(f"a classifier needs two classes or more, got {brief(known.tolist())}")
        strange = labels[~np.isin(labels, known)]
        if len(strange):
            raise DataError(
                f"y holds {brief(strange[:1].tolist()[0])}, which is none of the classes "
                f"{brief(known.tolist())}"
            )
        self.classes_ = known
        return torch.from_numpy(np.searchsorted(known, labels))

    def _decode(self, place: Tensor, like: Any) -> Any:
        """The labels at places; a tensor where the examples were one and the labels are numbers."""
        found = self.classes_[place.cpu().numpy()]
        if isinstance(like, Tensor) and found.dtype.kind in "biuf":
            return torch.from_numpy(found).to(like.device)
        return found


def _labels(y: Any) -> Array:
    labels = y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels)):
        odd = labels[~(labels == np.round(labels))].reshape(-1)[0]
        raise DataError(f"labels must be whole numbers or text, got {odd.item()}")
    return labels

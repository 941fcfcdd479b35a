"""Examples of a data set as rows of numbers, for lessons that learn from a table.

The columns of a table have units of their own: each is scaled by its own mean and spread. The
pixels of a picture have one unit, and keep a common scale.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError, DataError, UnknownNameError
from phosphene.data.dataset import Dataset
from phosphene.data.loading import load

__all__ = ["Labeled", "features", "labeled", "scales"]


@dataclass(frozen=True)
class Labeled:
    """Examples of chosen classes.

    Args:
        x: (n, d), float64, at mean 0; each column of a table with spread 1, or 0 if it is constant;
            pictures with spread 1 as a whole.
        y: Places among the classes (n,).
        test_x: Held out (m, d), scaled by the mean and spread of the training examples.
        test_y: (m,).
        classes: Names.
        shape: Of an example where it is a gray image: height and width; empty otherwise.
        pictures: Whether they are images, gray or not.
    """

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    pictures: bool


def features(dataset: Dataset) -> Tensor:
    """The examples as rows of float64 numbers.

    Raises:
        DataError: They are no numbers: text, or sound as codes.
    """
    if dataset.event.kind not in ("image", "real", "binary"):
        raise DataError(
            f"this lesson learns from numbers, and an example of {dataset.name!r} is "
            f"{dataset.event.kind}; a table (csv:PATH) or digits will do"
        )
    return dataset.x.flatten(1).double()


def scales(x: Tensor, *, common: bool) -> tuple[Tensor, Tensor]:
    """The mean and the spread by which examples are scaled.

    Args:
        x: Training examples (n, d).
        common: Whether all columns have one unit, as pixels do, and one spread.

    Returns:
        The mean (d,), and the standard deviation: (d,), with 1 for constant columns, or of all
        columns together ().

    Example:
        >>> x = torch.tensor([[30.0, 1.0, 20_000.0], [50.0, 1.0, 60_000.0]])
        >>> scales(x, common=False)[1]
        tensor([1.4142e+01, 1.0000e+00, 2.8284e+04])
    """
    spread = x.std(0)
    if common:
        return x.mean(0), spread.square().mean().sqrt()
    return x.mean(0), torch.where(spread > 0, spread, 1.0)


def labeled(data: str, classes: tuple[str, ...] = (), *, most: int | None = None) -> Labeled:
    """Load examples of some classes.

    Args:
        data: What ``phosphene.data.load`` takes.
        classes: Names of at least two; all by default, or where only ``most`` are wanted, the two
            whose means are closest.
        most: How many classes there may be.

    Raises:
        DataError: The data set has no labels or one class, or a class has no examples.
        ConfigError: There are too few classes, too many, or one twice.
        UnknownNameError: There is no such class.
    """
    train = load(data, "train")
    test = load(data, "test")
    if train.y is None or test.y is None or not train.classes:
        raise DataError(f"data set {data!r} has no labels; {_advice(train)}")
    if len(train.classes) < 2:
        raise _one_class(train)
    chosen = classes or (train.classes if most is None else _closest(train))
    for name in chosen:
        if name not in train.classes:
            raise UnknownNameError(f"class of {data!r}", name, train.classes)
    if len(set(chosen)) != len(chosen) or len(chosen) < 2 or (most and len(chosen) > most):
        told = f"{most} different" if most == 2 else "2 different ones or more"
        raise ConfigError(f"classes must be {told}, got {', '.join(chosen) or 'none'}")
    places = [train.classes.index(name) for name in chosen]
    x, y = _of(train, places)
    test_x, test_y = _of(test, places)
    if len(y.unique()) < len(chosen) or len(test_y) == 0:
        raise DataError(f"some of the classes {', '.join(chosen)} have no examples in {data!r}")
    if not bool((x != x[0]).any()):
        raise DataError(f"all examples of {data!r} are the same")
    mean, spread = scales(x, common=train.event.has_image_shape)
    shape = train.event.shape
    gray = train.event.kind == "image" and shape[0] == 1
    return Labeled(
        (x - mean) / spread,
        y,
        (test_x - mean) / spread,
        test_y,
        tuple(chosen),
        tuple(shape[1:]) if gray else (),
        train.event.has_image_shape,
    )


def _one_class(dataset: Dataset) -> DataError:
    return DataError(
        f"data set {dataset.name!r} has examples of one class only; {_advice(dataset)}"
    )


def _advice(dataset: Dataset) -> str:
    """How classes are given to such data."""
    if dataset.event.has_image_shape:
        return "in a folder of pictures, make a subfolder for each class"
    return "of a table, csv:PATH?label=COLUMN says which column holds them"


def _closest(dataset: Dataset) -> tuple[str, ...]:
    """The two classes whose means are closest: the hardest to tell apart, more or less."""
    assert dataset.y is not None
    x = features(dataset)
    there = [k for k in range(len(dataset.classes)) if bool((dataset.y == k).any())]
    if len(there) < 2:
        raise _one_class(dataset)
    means = torch.stack([x[dataset.y == k].mean(0) for k in there])
    apart = torch.cdist(means, means).fill_diagonal_(torch.inf)
    pair = divmod(int(apart.argmin()), len(there))
    return tuple(dataset.classes[there[k]] for k in sorted(pair))


def _of(dataset: Dataset, places: list[int]) -> tuple[Tensor, Tensor]:
    assert dataset.y is not None
    kept = torch.isin(dataset.y, torch.tensor(places))
    y = torch.empty_like(dataset.y[kept])
    for new, old in enumerate(places):
        y[dataset.y[kept] == old] = new
    return features(dataset)[kept], y

"""What two priors do to the weights of a regression.

(Hoerl and Kennard, 1970; Tibshirani, 1996.)
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError, DataError, UnknownNameError
from phosphene.core.lesson import Curves, Images, Lesson, Panel
from phosphene.core.ranges import Within
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.data.loading import load
from phosphene.learning.linear.lasso import lasso_path, least_alpha
from phosphene.learning.linear.lessons.labeled import features
from phosphene.learning.linear.ridge import ridge

__all__ = ["demonstrate"]

_SHOWN = 8
"""Weights whose path is drawn."""


def demonstrate(
    *,
    seed: int = 0,
    data: str = "digits",
    target: str = "28",
    examples: Annotated[int, Within(10, 10_000)] = 100,
    penalties: Annotated[int, Within(5, 60)] = 25,
) -> Lesson:
    """Predict one column from the others, under a Gaussian and a Laplace prior.

    Args:
        seed: Chooses the training examples.
        data: Where they come from: digits, or a table as csv:PATH.
        target: The column that is predicted: its name, or of images the number of a pixel.
        examples: How many are learned from; few, so that a prior matters.
        penalties: How many penalties are tried.
    """
    train, test = load(data, "train"), load(data, "test")
    place = _place(train, target)
    order = torch.randperm(len(train), generator=generator(seed))[:examples]
    x, y, kept, scale = _columns(features(train)[order], place)
    test_all = features(test)
    test_x = (test_all[:, kept] - scale[0]) / scale[1]
    test_y = test_all[:, place] - scale[2]
    spread = float((test_y - test_y.mean()).square().mean())
    if not spread > 0:
        raise DataError(f"column {target!r} of {data!r} is the same in all test examples")

    strength = torch.logspace(0, -3, penalties, dtype=torch.float64)
    alphas = least_alpha(x, y) * strength
    sparse = lasso_path(x, y, alphas)
    lambdas = 1e3 * len(x) * strength**2
    shrunk = torch.stack([ridge(x, y, float(v)) for v in lambdas])
    plain = ridge(x, y, 0.0)

    def missed(weights: Tensor) -> Tensor:
        """Test error over the variance of the target, for rows of weights."""
        return (test_x @ weights.T - test_y[:, None]).square().mean(0) / spread

    errors = {"lasso": missed(sparse), "ridge": missed(shrunk)}
    best = {name: int(e.argmin()) for name, e in errors.items()}
    used = int((sparse[best["lasso"]] != 0).sum())
    least = float(missed(plain[None])[0])
    numbers = {
        "examples": len(x),
        "features": x.shape[1],
        "test_error_of_least_squares": least,
        "test_error_of_ridge": float(errors["ridge"].min()),
        "test_error_of_lasso": float(errors["lasso"].min()),
        "features_that_the_lasso_uses": used,
    }
    text = (
        f"{target!r} was predicted from the other {x.shape[1]} columns that vary, learned from "
        f"{len(x)} examples. Errors are on held-out examples, over the variance of what is "
        f"predicted: least squares {least:.2f}, ridge {numbers['test_error_of_ridge']:.2f}, lasso "
        f"{numbers['test_error_of_lasso']:.2f} at the best penalty of each, chosen on the same "
        "examples. A Gaussian prior draws the weights towards 0 and sets none to it. A Laplace "
        f"prior can set weights to exactly 0: at its best the lasso uses {used} of {x.shape[1]}."
    )
    shown = sparse.abs().amax(0).argsort(descending=True)[:_SHOWN].sort().values
    names = [train.columns[j] if train.columns else f"w{j}" for j in kept[shown].tolist()]
    panels: list[Panel] = [
        _path("Ridge: the weights", "penalty lambda", lambdas, shrunk[:, shown], names),
        _path("Lasso: the weights", "penalty alpha", alphas, sparse[:, shown], names),
        Curves(
            title="Held-out error over the variance",
            x="penalty, over the largest",
            y="error",
            lines={
                name: ((strength if name == "lasso" else strength**2).tolist(), e.tolist())
                for name, e in errors.items()
            }
            | {"least squares": ([1e-6, 1.0], [least, least])},
            log="x",
            dashed=("least squares",),
        ),
    ]
    shape = train.event.shape
    if train.event.kind == "image" and shape[0] == 1:
        rows = [plain, shrunk[best["ridge"]], sparse[best["lasso"]]]
        maps = torch.zeros(3, shape[1] * shape[2], dtype=torch.float64)
        for row, w in zip(maps, rows, strict=True):
            row[kept] = w
        panels.append(
            Images(
                title="Weights of the pixels, in their spreads",
                images=maps.view(3, *shape[1:]),
                names=("least squares", "ridge", "lasso"),
            )
        )
    return Lesson(
        title=f"Two priors on the weights that predict {target!r}",
        text=text,
        numbers=numbers,
        panels=panels,
    )


def _place(dataset: Dataset, target: str) -> int:
    """The number of the column."""
    count = features(dataset).shape[1]
    if dataset.columns:
        if target not in dataset.columns:
            raise UnknownNameError(f"column of {dataset.name!r}", target, dataset.columns)
        return dataset.columns.index(target)
    if not (target.isascii() and target.isdecimal() and int(target) < count):
        raise ConfigError(
            f"target must be a number from 0 to {count - 1} for {dataset.name!r}, got {target!r}"
        )
    return int(target)


def _columns(
    table: Tensor, place: int
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Other columns that vary, standardized; the target at mean 0; which they are; the scales."""
    varies = table.std(0) > 0
    if not bool(varies[place]):
        raise DataError("the target is the same in all examples: choose another")
    varies[place] = False
    kept = varies.nonzero()[:, 0]
    if len(kept) == 0:
        raise DataError("no other column varies: there is nothing to predict from")
    x = table[:, kept]
    mean, spread, level = x.mean(0), x.std(0), table[:, place].mean()
    return (x - mean) / spread, table[:, place] - level, kept, (mean, spread, level)


def _path(
    title: str, label: str, penalties: Tensor, weights: Tensor, names: Sequence[str]
) -> Curves:
    """The weights that are largest in the lasso, over the penalty."""
    lines = {
        name: (penalties.tolist(), w.tolist()) for name, w in zip(names, weights.T, strict=True)
    }
    return Curves(title=title, x=label, y="weight", lines=lines, log="x")

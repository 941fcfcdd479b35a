"""A perceptron between two classes (Rosenblatt, 1958)."""

from typing import Annotated

import torch
from torch import Tensor

from phosphene.core.errors import counted
from phosphene.core.lesson import Curves, Images, Lesson, Panel, Points
from phosphene.core.ranges import Within
from phosphene.learning.linear.lessons.labeled import Labeled, labeled
from phosphene.learning.linear.perceptron import Perceptron, mistake_bound

__all__ = ["demonstrate"]


def demonstrate(
    *,
    seed: int = 0,
    data: str = "digits",
    classes: tuple[str, ...] = (),
    passes: Annotated[int, Within(1, 10_000)] = 100,
    pocket: bool = False,
) -> Lesson:
    """Learn to tell two classes apart, one mistake at a time.

    Args:
        seed: Of the order of the examples.
        data: Where the examples come from: digits, or a table as csv:PATH?label=COLUMN.
        classes: Two of its classes; by default the two whose means are closest.
        passes: The most passes over the examples.
        pocket: Keep the weights that made the fewest errors so far.
    """
    found = labeled(data, classes, most=2)
    order = torch.randperm(len(found.x), generator=torch.Generator().manual_seed(seed))
    x, y = found.x[order], found.y[order]
    learner = Perceptron(max_iter=passes, pocket=pocket).fit(x, y)
    xor = Perceptron(max_iter=50).fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0])
    first, second = found.classes
    numbers = {
        "examples": len(x),
        "mistakes": learner.mistakes_,
        "passes": learner.n_iter_,
        "separates_training_examples": learner.converged_,
        "training_accuracy": learner.score(x, y),
        "test_accuracy": learner.score(found.test_x, found.test_y),
    }
    if learner.converged_:
        signs = torch.where(y == 1, 1.0, -1.0).double()
        more = torch.cat((x, torch.ones(len(x), 1).double()), 1)
        weights = torch.from_numpy(learner.coef_[0])
        w = torch.cat((weights, torch.from_numpy(learner.intercept_)))
        numbers["most_mistakes_by_margin_found"] = mistake_bound(more, signs, w)
        told = (
            f"It made {counted(learner.mistakes_, 'mistake')} in "
            f"{counted(learner.n_iter_, 'pass', 'passes')}, and in the last none: "
            f"{first} and {second} can be separated. No order of the examples, however long "
            "one goes on, gives more than (R / gamma)^2 mistakes; the margin that it found says "
            f"{numbers['most_mistakes_by_margin_found']:.0f} at most."
        )
    else:
        scale = "pixels have a common scale" if found.pictures else "each column has spread 1"
        kept = (
            "The weights are the best that were found on the way."
            if pocket
            else "--pocket keeps the best weights on the way."
        )
        told = (
            f"In pass {learner.n_iter_} it still made mistakes: either "
            f"{first} and {second} cannot be separated by a plane, and it will never rest, or the "
            "margin is small beside the length of the examples, and it takes longer. It depends "
            f"on the scale of the features: here {scale}. {kept}"
        )
    start, period = xor.cycle_ or (0, 0)
    text = (
        f"A perceptron looks at {len(x)} examples of {first} and {second} in turn, and adds an "
        f"example to its weights, or takes it away, where it is on the wrong side. {told} On the "
        f"four points of XOR, which no line separates, the weights after pass {start + period} are "
        f"those after pass {start}: it goes round for ever."
    )
    return Lesson(
        title=f"A perceptron between {first} and {second}",
        text=text,
        numbers=numbers | {"xor_period_passes": period},
        panels=_panels(found, learner, xor),
    )


def _panels(found: Labeled, learner: Perceptron, xor: Perceptron) -> list[Panel]:
    many = [learner.mistakes_per_epoch_, (xor.mistakes_per_epoch_ * 50)[: learner.n_iter_ + 5]]
    lines = {
        name: (list(range(1, len(m) + 1)), [float(v) for v in m])
        for name, m in zip((" and ".join(found.classes), "XOR"), many, strict=True)
    }
    panels: list[Panel] = [
        Curves(title="Mistakes in each pass", x="pass", y="mistakes", lines=lines)
    ]
    places = _plane(found.test_x, learner)
    height = places[:, 1].abs().amax()
    panels.append(
        Points(
            title="Held-out examples",
            x="distance from the plane",
            y="widest direction within the plane",
            sets={name: places[found.test_y == k] for k, name in enumerate(found.classes)},
            lines={
                "the plane": torch.stack(
                    (torch.zeros(2).double(), torch.stack((-height, height))), 1
                )
            },
        )
    )
    if found.shape:
        weights = torch.from_numpy(learner.coef_).view(1, *found.shape)
        means = torch.stack([found.x[found.y == k].mean(0) for k in (0, 1)])
        panels.append(
            Images(
                title="Means less their mean, and the weights",
                images=torch.cat((means.view(2, *found.shape), weights)),
                names=[*found.classes, "weights"],
            )
        )
    return panels


def _plane(x: Tensor, learner: Perceptron) -> Tensor:
    """Distances from the plane, and the widest direction along it (n, 2)."""
    w = torch.from_numpy(learner.coef_[0])
    unit = w / torch.linalg.vector_norm(w).clamp(min=1e-12)
    away = torch.as_tensor(learner.decision_function(x)) / torch.linalg.vector_norm(w).clamp(
        min=1e-12
    )
    rest = x - (x @ unit)[:, None] * unit
    rest = rest - rest.mean(0)
    along = rest @ torch.linalg.svd(rest, full_matrices=False).Vh[0]
    return torch.stack((away, along), 1)

"""Logistic regression by Newton's method (Cox, 1958)."""

import torch

from phosphene.core.errors import counted
from phosphene.core.lesson import Curves, Heat, Images, Lesson, Panel
from phosphene.core.ranges import Positive
from phosphene.learning.linear.lessons.labeled import labeled
from phosphene.learning.linear.logistic import LogisticRegression

__all__ = ["demonstrate"]

_PENALTIES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03)


def demonstrate(
    *,
    seed: int = 0,
    data: str = "digits",
    classes: tuple[str, ...] = (),
    alpha: Positive = 1.0,
) -> Lesson:
    """Give every class a probability, and find the weights in a few steps.

    Args:
        seed: Not used: nothing is drawn.
        data: Where the examples come from: digits, or a table as csv:PATH?label=COLUMN.
        classes: Some of its classes; all by default.
        alpha: The penalty of the weights.
    """
    found = labeled(data, classes)
    x, y = found.x, found.y
    model = LogisticRegression(alpha=alpha).fit(x, y)
    tried = [LogisticRegression(alpha=a, tol=1e-9).fit(x, y) for a in _PENALTIES]

    def nats(m: LogisticRegression, x: torch.Tensor, y: torch.Tensor) -> float:
        p = torch.as_tensor(m.predict_proba(x))
        return float(-p[torch.arange(len(y)), y].log().mean())

    losses = torch.tensor(model.losses_)
    above = (losses[:-1] - losses[-1]).clamp(min=1e-12)
    test = [nats(m, found.test_x, found.test_y) for m in tried]
    numbers = {
        "examples": len(x),
        "newton_steps": model.n_iter_,
        "training_nats": nats(model, x, y),
        "test_nats": nats(model, found.test_x, found.test_y),
        "training_accuracy": model.score(x, y),
        "test_accuracy": model.score(found.test_x, found.test_y),
    }
    best = test.index(min(test))
    told = (
        ""
        if best == len(test) - 1
        else f", {test[best]:.3f} nats, and with less they are predicted worse: with "
        f"{_PENALTIES[-1]:g} it is {test[-1]:.3f}"
    )
    text = (
        f"{len(x)} examples of {', '.join(found.classes)}. Newton's method needs "
        f"{counted(model.n_iter_, 'step')}: near the minimum each doubles the digits that are "
        "right. On held-out examples "
        f"{100 * numbers['test_accuracy']:.1f} % get their class, and -log of its probability is "
        f"{numbers['test_nats']:.3f} nats on average. With less penalty the training examples are "
        f"predicted ever more surely; of those tried, alpha = {_PENALTIES[best]:g} predicts the "
        f"held-out ones best{told}."
    )
    places = list(range(len(found.classes)))
    predicted = torch.as_tensor(model.predict(found.test_x))
    table = torch.stack(
        [
            torch.stack([((found.test_y == i) & (predicted == j)).sum() for j in places])
            for i in places
        ]
    )
    panels: list[Panel] = [
        Curves(
            title="Newton's method",
            x="step",
            y="loss above the last, nats",
            lines={"loss": (list(range(len(above))), above.tolist())},
            log="y",
        ),
        Curves(
            title="The penalty",
            x="alpha",
            y="nats an example",
            lines={
                "training": (_PENALTIES, [nats(m, x, y) for m in tried]),
                "held out": (_PENALTIES, test),
            },
            log="xy",
        ),
        Heat(
            title="Held-out examples",
            values=table.double(),
            x="predicted",
            y="class",
            rows=found.classes,
            columns=found.classes,
        ),
    ]
    if found.shape:
        weights = torch.from_numpy(model.coef_).view(-1, *found.shape)
        two = len(found.classes) == 2
        names = [f"for {found.classes[1]}"] if two else [f"for {c}" for c in found.classes]
        panels.append(Images(title="Weights", images=weights, names=names, columns=5))
    return Lesson(
        title="Logistic regression of " + ", ".join(found.classes),
        text=text,
        numbers=numbers,
        panels=panels,
    )

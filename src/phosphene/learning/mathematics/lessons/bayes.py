"""What a positive test says (Bayes, 1763)."""

from typing import Annotated

import torch
from torch import Tensor

from phosphene.core.lesson import Bars, Curves, Lesson
from phosphene.core.ranges import Within
from phosphene.core.rng import generator
from phosphene.learning.mathematics.bayes import posterior

__all__ = ["demonstrate"]

Share = Annotated[float, Within(0, 1, above=True, below=True)]


def demonstrate(
    *,
    seed: int = 0,
    prior: Share = 0.01,
    found: Share = 0.9,
    false_alarms: Share = 0.05,
    people: Annotated[int, Within(100, 1_000_000)] = 100_000,
) -> Lesson:
    """Test people for something rare, and count who is ill among the positive.

    Args:
        seed: Of the people.
        prior: The part that is ill.
        found: The part of the ill whose test is positive.
        false_alarms: The part of the well whose test is positive.
        people: How many are tested.
    """
    test = torch.tensor([[found, 1 - found], [false_alarms, 1 - false_alarms]], dtype=torch.float64)
    once = posterior(_pair(prior), test)
    ill = torch.rand(people, generator=generator(seed)) < prior
    chance = torch.where(ill, found, false_alarms)
    positive = torch.rand(people, generator=generator(seed, 1)) < chance
    counted = int((ill & positive).sum()) / max(int(positive.sum()), 1)
    after = [prior]
    for _ in range(4):
        after.append(float(posterior(_pair(after[-1]), test)[0, 0]))
    joint = _pair(prior)[:, None] * test
    cells = ("ill, positive", "ill, negative", "well, positive", "well, negative")
    shares = torch.logspace(-4, -0.01, 100, dtype=torch.float64)
    curve = [float(posterior(_pair(float(s)), test)[0, 0]) for s in shares]
    text = (
        f"{prior:.3g} of all are ill; the test finds {found:.3g} of them, and is positive for "
        f"{false_alarms:.3g} of the well. Of those with a positive test "
        f"{float(once[0, 0]):.3f} are ill by Bayes' rule; of {int(positive.sum()):,} positive "
        f"among {people:,} people that were drawn, {counted:.3f}. Who answers {found:.3g} "
        "forgets how few are ill. Each further test starts from what the last one left: after "
        f"two it is {after[2]:.3f}, after four {after[4]:.3f}."
    )
    return Lesson(
        title="Bayes' rule",
        text=text,
        numbers={
            "ill_given_positive": float(once[0, 0]),
            "ill_given_negative": float(once[0, 1]),
            "counted_among_positive": counted,
            "ill_given_two_positive": after[2],
        },
        panels=[
            Bars(
                title=f"Of {people:,} people, on average",
                values=dict(zip(cells, (people * joint).reshape(-1).tolist(), strict=True)),
                x="people",
            ),
            Curves(
                title="What a positive test says",
                x="part that is ill",
                y="p(ill | positive)",
                lines={
                    "p(ill | positive)": (shares.tolist(), curve),
                    "before the test": (shares.tolist(), shares.tolist()),
                },
                log="x",
                dashed=("before the test",),
            ),
            Curves(
                title="Positive tests, one after another",
                x="tests",
                y="p(ill)",
                lines={"p(ill)": (list(range(5)), after)},
            ),
        ],
    )


def _pair(share: float) -> Tensor:
    return torch.tensor([share, 1 - share], dtype=torch.float64)

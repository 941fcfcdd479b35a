"""Whether samples are what the images that condition them asked for.

The condition of a drawn image is computed again by the function that made the one that was given
(:mod:`phosphene.data.image_conditions`), and the two are compared.
"""

import torch
from torch import Tensor

from phosphene.core.model import Model
from phosphene.data.dataset import Dataset
from phosphene.data.image_conditions import conditions_of
from phosphene.evaluate.score import Score, mean_score
from phosphene.evaluate.scores.samples import draw

__all__ = ["control", "controlled", "f1"]

_KIND = "control"


def f1(asked: Tensor, found: Tensor) -> Tensor:
    """F1 of each pair of binary images (n,): 2 |A and B| / (|A| + |B|), 1 where both are empty.

    Args:
        asked: What was given, (n, ...) of 0 and 1.
        found: What is there.

    Example:
        >>> f1(torch.tensor([[1, 1, 0]]), torch.tensor([[1, 0, 0]]))
        tensor([0.6667], dtype=torch.float64)
    """
    a, b = asked.flatten(1).double(), found.flatten(1).double()
    both, either = (a * b).sum(1), a.sum(1) + b.sum(1)
    return torch.where(either > 0, 2 * both / either.clamp(min=1), torch.ones_like(either))


def controlled(model: Model, data: Dataset) -> bool:
    """Whether the scores are true for this model and these data."""
    told = model.context.image is not None and model.context.image == data.image_event
    return told and data.image_of is not None and model.event == data.event


def control(model: Model, test: Dataset, *, samples: int = 1000, seed: int = 0) -> dict[str, Score]:
    """``control_f1`` or ``control_agreement``, each beside what chance gives.

    One sample is drawn for each test example's condition. Binary conditions (edges, masks) are
    compared by :func:`f1`, others by the part of the pixels whose codes agree. Chance compares the
    same samples with the conditions of other test examples.

    Args:
        model: One that is :func:`controlled` by these data.
        test: Images beside conditions that were made of them.
        samples: The most that are drawn.
        seed: Seeds the draws.
    """
    assert test.image_of is not None
    assert test.image_event is not None
    assert model.event.levels is not None
    n = min(samples, len(test))
    _, context = test.take(torch.arange(n))
    assert context.image is not None
    drawn = draw(model, n, context, seed=seed)
    asked, found = context.image, conditions_of(drawn, model.event.levels, test.image_of)
    binary = test.image_event.levels == 2
    name = "control_f1" if binary else "control_agreement"
    compared = f1 if binary else _agreement
    note = f"of the {test.image_of.replace('-', ' ')} of samples with those that were asked for"
    chance = compared(asked.roll(max(1, n // 2), 0), found)
    return {
        name: mean_score(compared(asked, found), _KIND, note),
        f"{name}_chance": mean_score(chance, _KIND, "with those of other examples"),
    }


def _agreement(asked: Tensor, found: Tensor) -> Tensor:
    return (asked == found).flatten(1).double().mean(1)

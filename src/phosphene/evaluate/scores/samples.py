"""How close samples are to data, and whether they are what was asked for."""

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.model import Model
from phosphene.core.protocols import Samples
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.evaluate.batches import ROWS, condition, evaluating
from phosphene.evaluate.features import ClassifierFeatures
from phosphene.evaluate.fidelity import FEWEST, fidelity
from phosphene.evaluate.metric import Metric
from phosphene.evaluate.missing_capability import lacking
from phosphene.evaluate.score import Score, standard_error
from phosphene.evaluate.scorer import Held, How, scorer

__all__ = ["as_asked", "draw", "samples"]


def draw(
    model: Model, n: int, context: Context | None = None, *, seed: int = 0, rows: int = ROWS
) -> Tensor:
    """Samples (n, *event.shape) on the CPU, in batches, a function of the seed."""
    if not isinstance(model, Samples):
        raise lacking(model, Samples)
    context = condition(model, context, n)
    parts = []
    with evaluating(model):
        for start in range(0, n, rows):
            size = min(rows, n - start)
            c = None if context is None else context[start : start + size].to(model.device)
            g = generator(seed, 21, start, device=model.device)
            parts.append(model.sample(size, c, generator=g).cpu())
    return torch.cat(parts)


@scorer(
    place=80,
    says="sample",
    needs=(Samples,),
    when=lambda model, held, how: (
        how.features is not None and min(len(held.test), len(held.train)) >= FEWEST
    ),
    metrics=(
        Metric(
            "frechet_distance",
            "Fréchet distance",
            about="Between Gaussians fitted to features of samples and of test data; lower is "
            "better.",
            better="lower",
            card=22,
            column=2,
            ranks=4,
        ),
        Metric(
            "kernel_distance",
            "Kernel distance",
            about="Unbiased, so it may fall below zero; lower is better.",
            better="lower",
        ),
        Metric(
            "precision",
            "Precision",
            about="Part of the samples that lie near real data.",
            better="higher",
            column=3,
        ),
        Metric(
            "recall",
            "Recall",
            about="Part of the real data that lies near samples.",
            better="higher",
            column=4,
        ),
        Metric(
            "density",
            "Density",
            about="How many real neighborhoods hold a sample, on average.",
            better="higher",
        ),
        Metric(
            "coverage",
            "Coverage",
            about="Part of the real neighborhoods that hold a sample.",
            better="higher",
        ),
        Metric(
            "c2st_accuracy",
            "Two-sample accuracy",
            about="A classifier telling samples from data; 0.5 is the best a sampler can get.",
            better="lower",
        ),
        Metric(
            "sliced_wasserstein",
            "Sliced Wasserstein distance",
            about="Lower is better.",
            better="lower",
        ),
        Metric(
            "diversity",
            "Diversity",
            about="Variance of samples over that of real data; 1 is right.",
        ),
        Metric(
            "memorization_ratio",
            "Memorization ratio",
            about="Distance of samples to the training set over that of test data; near 0 means "
            "copies.",
        ),
        Metric(
            "conditional_accuracy",
            "Accuracy of the condition",
            about="Samples that a classifier gives the label they were asked for.",
            better="higher",
        ),
    ),
)
def samples(model: Model, held: Held, how: How) -> dict[str, Score]:
    """Samples, given the conditions of test examples, against the test split."""
    test, features = held.test, how.features
    rows = torch.randint(len(test), (how.samples,), generator=generator(how.seed, 22))
    context = test.take(rows)[1] if model.context else None
    drawn = draw(model, how.samples, context, seed=how.seed)
    scores = fidelity(
        drawn, test, held.train, features=features, seed=how.seed, progress=how.progress
    )
    asked = None if context is None else context.label
    if asked is not None and test.classifier and isinstance(features, ClassifierFeatures):
        scores["conditional_accuracy"] = as_asked(drawn, asked, test, features)
    return scores


def as_asked(drawn: Tensor, labels: Tensor, test: Dataset, extract: ClassifierFeatures) -> Score:
    """Samples that the classifier gives the label they were asked for; the floor is test data's."""
    right = (extract.classify(drawn) == labels).double()
    assert test.y is not None
    floor = float((extract.classify(test.x) == test.y).double().mean())
    note = "samples that the digit classifier gives the label they were asked for"
    return Score(
        float(right.mean()), "classifier", standard_error(right), floor, note, "classifier"
    )

"""Models whose samples are bad, and agents that fail."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.decision.playing import Played
from phosphene.evaluate.control import control
from phosphene.evaluate.features import make_features
from phosphene.evaluate.score import Score
from phosphene.evaluate.scorer import Held, How
from phosphene.evaluate.scores.samples import as_asked, draw
from phosphene.evaluate.scores.samples import samples as scored_samples
from phosphene.evaluate.super_resolution import super_resolution
from phosphene.subjects.environment.scores import score_episodes, score_last, steps_of
from tests.evaluate.bad import Pair, Scores, bad, both, drawn
from tests.evaluate.test_control import Toy as Controlled
from tests.evaluate.test_control import pairs as drawn_edges
from tests.evaluate.test_good_and_bad_likelihoods import Kernels
from tests.evaluate.test_super_resolution import Toy as Enlarging
from tests.evaluate.test_super_resolution import pairs as enlarged
from tests.evaluate.toys import Implicit, Independent, LinearGaussian
from tests.helpers.tiny import tiny_digits

# -- samples ----------------------------------------------------------------------------------


class Sampling(Implicit):
    """Draws of a linear-Gaussian model, spoiled."""

    def __init__(self, event: Event, spoil: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__(event)
        self.truth, self.spoil = LinearGaussian(event), spoil

    def sample(self, n, context=None, *, generator=None):  # type: ignore[no-untyped-def]
        return self.spoil(self.truth.sample(n, generator=generator).detach())


def samples(spoil: Callable[[torch.Tensor], torch.Tensor]) -> Pair:
    truth = LinearGaussian(Event.real(4))
    good, spoiled = Sampling(truth.event, lambda x: x), Sampling(truth.event, spoil)
    return both(good, spoiled, drawn(truth, 150, 1), drawn(truth, 300, 2, "train"), samples=150)


@bad(frechet_distance="up", kernel_distance="up", precision="down", density="down",
     coverage="down", c2st_accuracy="up", sliced_wasserstein="up")  # fmt: skip
def far_samples() -> Pair:
    return samples(lambda x: x + 6.0)


@bad(recall="down", diversity="down")
def collapsed_samples() -> Pair:
    return samples(lambda x: x[:1] + 0.05 * (x - x[:1]))


@bad(memorization_ratio="down")
def copies() -> Pair:
    truth = LinearGaussian(Event.real(12))
    test, train = drawn(truth, 150, 1), drawn(truth, 300, 2, "train")
    return both(truth, Kernels(truth.event, train.x, 0.01), test, train, particles=1, samples=150)


class Labelled(Independent):
    """Images of one bright quarter; ``blind`` to the label that is asked for."""

    blind = False

    def sample(self, n, context=None, *, generator=None):  # type: ignore[no-untyped-def]
        assert context is not None
        label = (context.label + 1) % 4 if self.blind else context.label
        return super().sample(n, Context(label=label), generator=generator)


class Eyes:
    """Reads the label off an image's brightest quarter."""

    def classify(self, x: torch.Tensor) -> torch.Tensor:
        quarters = x.float().unfold(2, 4, 4).unfold(3, 4, 4).sum((1, 4, 5)).flatten(1)
        return quarters.argmax(1)


@bad(conditional_accuracy="down")
def blind_to_the_label() -> Pair:
    digits = tiny_digits()
    model = Labelled(digits.event, context=ContextSpec(label=4)).fit(digits.x, digits.y)
    label = torch.arange(200) % 4
    found = []
    for blind in (False, True):
        model.blind = blind
        x = draw(model, 200, Context(label=label), seed=0)
        found.append({"conditional_accuracy": as_asked(x, label, digits, Eyes())})  # type: ignore
    return found[0], found[1]


def test_samples_are_asked_for_the_labels_of_test_examples() -> None:
    """A label drawn for a sample goes with it through batches, down to the accuracy."""
    digits = tiny_digits(400)
    model = Labelled(digits.event, context=ContextSpec(label=4)).fit(digits.x, digits.y)
    asked: list[torch.Tensor] = []
    plain = model.sample

    def noted(n, context=None, *, generator=None):  # type: ignore[no-untyped-def]
        asked.append(context.label)
        return plain(n, context, generator=generator)

    model.sample = noted
    how = How(samples=300, features=make_features("raw", digits))
    scores = scored_samples(model, Held(digits, digits), how)
    labels = torch.cat(asked)
    assert len(labels) == 300
    assert torch.bincount(labels, minlength=4).min() > 40
    assert "frechet_distance" in scores


# -- images of a lower resolution -------------------------------------------------------------


@bad(psnr_gain="down", lr_consistency="down")
def another_image() -> Pair:
    data = enlarged()
    return super_resolution(Enlarging(data), data), super_resolution(Enlarging(data, 60), data)


@bad(solution_diversity="down")
def one_solution() -> Pair:
    data = enlarged()
    many = super_resolution(Enlarging(data, noise=20.0), data)
    return many, super_resolution(Enlarging(data), data)


@bad(psnr_bicubic="down")
def inputs_of_another_image() -> Pair:
    data = enlarged()
    assert data.image is not None
    other = replace(data, image=0 * data.image)
    return super_resolution(Enlarging(data), data), super_resolution(Enlarging(other), other)


# -- images that were asked for by their edges or a sketch ------------------------------------


@bad(control_f1="down", control_f1_chance="down")
def blank_images() -> Pair:
    data = drawn_edges()
    blank = replace(data, x=0 * data.x)
    return control(Controlled(data), data), control(Controlled(blank), data)


@bad(control_agreement="down", control_agreement_chance="down")
def negatives() -> Pair:
    data = drawn_edges("sketch")
    negative = replace(data, x=16 - data.x)
    return control(Controlled(data), data), control(Controlled(negative), data)


# -- agents -----------------------------------------------------------------------------------


@bad(return_mean="down", return_iqm="down", return_min="down", return_max="down",
     length_mean="down", terminated="up", random_return="down")  # fmt: skip
def episodes_that_fail() -> Pair:
    def played(value: float, length: int, fell: bool) -> Scores:
        returns = value + torch.arange(8.0).double()
        lengths = torch.full((8,), length)
        episodes = Played(returns, lengths, torch.full((8,), fell))
        return score_episodes(episodes, "greedy episodes", random=returns - 100)

    return played(100.0, 200, False), played(0.0, 9, True)


@bad(last_return_mean="down", last_return_min="down")
def last_weights_that_forgot() -> Pair:
    def played(value: float) -> Scores:
        returns = value + torch.arange(8.0).double()
        full = torch.full((8,), 200)
        return score_last(Played(returns, full, torch.zeros(8, dtype=torch.bool)), "last weights")

    return played(100.0), played(0.0)


@bad(training_steps="up", validation_steps="up")
def weights_that_cost_more() -> Pair:
    def counted(training: int, validation: int) -> Scores:
        rows = [
            {"environment_steps": 10, "validation_steps": 5},
            {"environment_steps": training, "validation_steps": validation},
        ]
        run = SimpleNamespace(metrics=rows)
        found = steps_of(run)  # type: ignore[arg-type]
        return {f"{name}_steps": Score(float(n), "count") for name, n in found.items()}

    return counted(1000, 250), counted(20_000, 360_000)

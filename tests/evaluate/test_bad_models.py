"""For each score there is a model, or a play, so bad that the score must say so.

A score that is right for good models and blind to bad ones is worse than none. Every name that
scores are known by is here: a new metric needs a bad model before it is told of.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.data.tokenizers import ByteTokenizer, CharacterTokenizer
from phosphene.decision.playing import Played
from phosphene.evaluate.features import make_features
from phosphene.evaluate.metric import METRICS
from phosphene.evaluate.score import Score
from phosphene.evaluate.scorer import Held, How
from phosphene.evaluate.scores.samples import as_asked, draw
from phosphene.evaluate.scores.samples import samples as scored_samples
from phosphene.evaluate.scoring import evaluate_model
from phosphene.evaluate.super_resolution import super_resolution
from phosphene.subjects.environment.scores import score_episodes, score_last, steps_of
from tests.evaluate.test_good_and_bad_likelihoods import Kernels
from tests.evaluate.test_super_resolution import Toy as Enlarging
from tests.evaluate.test_super_resolution import pairs as enlarged
from tests.evaluate.toys import Bounded, Implicit, Independent, LinearGaussian
from tests.helpers.tiny import tiny_digits

Scores = dict[str, Score]
Pair = tuple[Scores, Scores]
CASES: dict[str, tuple[str, Callable[[], Pair]]] = {}
"""Metric -> which way is worse (``up`` or ``down``), and scores of a good and of a bad model."""


def bad(**worse: str) -> Callable[[Callable[[], Pair]], Callable[[], Pair]]:
    """Say which scores a bad model moves, and which way."""

    def register(make: Callable[[], Pair]) -> Callable[[], Pair]:
        found: list[Pair] = []

        def once() -> Pair:
            if not found:
                found.append(make())
            return found[0]

        for name, way in worse.items():
            assert name not in CASES
            CASES[name] = (way, once)
        return once

    return register


def drawn(model: Model, n: int, seed: int, split: str = "test", **more: object) -> Dataset:
    x = draw(model, n, seed=seed)
    return Dataset(name="toy", split=split, event=model.event, x=x, **more)  # type: ignore[arg-type]


def both(good: Model, bad: Model, test: Dataset, train: Dataset, **how: object) -> Pair:
    told = {"samples": 120, "particles": 20, **how}
    return evaluate_model(good, test, train, **told), evaluate_model(bad, test, train, **told)  # type: ignore


# -- densities --------------------------------------------------------------------------------


@bad(nll="up", kl="up", mse="up")
def shifted() -> Pair:
    truth, other = (LinearGaussian(Event.real(3)) for _ in range(2))
    other.m.data += 3.0
    test = drawn(truth, 120, 1, log_prob=truth.log_prob)
    return both(truth, other, test, drawn(truth, 240, 2, "train"))


@bad(elbo="down", iwae_gap="up")
def a_wrong_posterior() -> Pair:
    truth = LinearGaussian(Event.real(3), off=0.0)
    other = LinearGaussian(Event.real(3), off=4.0)
    return both(truth, other, drawn(truth, 120, 1), drawn(truth, 240, 2, "train"))


@bad(iwae_nll="up")
def a_wrong_bound() -> Pair:
    truth, other = Bounded(Event.real(3)), Bounded(Event.real(3))
    other.inner.m.data += 3.0
    return both(truth, other, drawn(truth.inner, 120, 1), drawn(truth.inner, 240, 2, "train"))


@bad(bits_per_dim="up")
def flat_codes() -> Pair:
    event = Event.image(1, 6, levels=4)
    x = (torch.rand(200, 1, 6, 6, generator=generator(0)) < 0.2).to(torch.uint8)
    data = Dataset(name="toy", split="test", event=event, x=x)
    return both(Independent(event).fit(x), Independent(event), data, replace(data, split="train"))


def symbols(event: Event, seed: int = 0) -> torch.Tensor:
    """Codes of which the low ones are the common ones."""
    u = torch.rand((200, *event.shape), generator=generator(seed))
    return (event.levels * u**3).long().clamp(max=event.levels - 1).to(torch.uint8)


def sequences(event: Event, **more: object) -> Pair:
    test, train = (
        Dataset(name="toy", split=s, event=event, x=symbols(event, k), **more)  # type: ignore
        for k, s in enumerate(("test", "train"))
    )
    return both(Independent(event).fit(train.x), Independent(event), test, train)


@bad(nats_per_character="up")
def flat_letters() -> Pair:
    return sequences(Event.tokens(20, 5), tokenizer=CharacterTokenizer("abcde"))


@bad(nats_per_byte="up")
def flat_bytes() -> Pair:
    return sequences(Event.tokens(20, 256), tokenizer=ByteTokenizer())


@bad(bits_per_sample="up")
def flat_sound() -> Pair:
    return sequences(Event.audio(40, levels=8), sample_rate=8000)


def baselines(event: Event, **more: object) -> Pair:
    """The baselines have no model: fitted on other data, they fall."""
    model = Independent(event)
    one, other = symbols(event), event.levels - 1 - symbols(event, 1)
    test, same, else_ = (
        Dataset(name="toy", split=s, event=event, x=x.to(torch.uint8), **more)  # type: ignore
        for s, x in (("test", symbols(event, 2)), ("train", one), ("train", other))
    )
    return evaluate_model(model, test, same), evaluate_model(model, test, else_)


@bad(baseline_ngram="up", baseline_unigram="up")
def another_text() -> Pair:
    return baselines(Event.tokens(20, 5), tokenizer=CharacterTokenizer("abcde"))


@bad(baseline_lpc="up", baseline_histogram="up")
def another_sound() -> Pair:
    return baselines(Event.audio(80, levels=8), sample_rate=8000)


# -- bijections -------------------------------------------------------------------------------


class Bijection(Implicit):
    def __init__(self, event: Event, off: float) -> None:
        super().__init__(event)
        self.off = off

    def inverse_error(self, x: torch.Tensor, context: Context | None = None) -> torch.Tensor:
        error = torch.zeros(len(x))
        error[-1] = self.off  # of the last example alone: a mean would hide it
        return error


@bad(inverse_error="up")
def one_example_does_not_come_back() -> Pair:
    data = drawn(Implicit(Event.real(2)), 600, 1)
    return both(Bijection(data.event, 0.0), Bijection(data.event, 5.0), data, data)


def test_an_inverse_that_is_no_number_is_an_infinite_error() -> None:
    data = drawn(Implicit(Event.real(2)), 40, 1)
    for off in (math.nan, math.inf):
        model = Bijection(data.event, 0.0)
        model.off = off
        scores = evaluate_model(model, data, data, samples=40)
        assert scores["inverse_error"].value == math.inf


# -- codes and reconstructions ----------------------------------------------------------------


class Redrawing(Implicit):
    """Reconstructs an image, moved to the side."""

    def __init__(self, event: Event, by: int) -> None:
        super().__init__(event)
        self.by = by

    def reconstruct(self, x: torch.Tensor) -> torch.Tensor:
        return x.float().roll(self.by, dims=-1)

    def sample(self, n, context=None, *, generator=None):  # type: ignore[no-untyped-def]
        return torch.randint(4, (n, *self.event.shape), generator=generator).to(torch.uint8)


@bad(psnr="down", ssim="down")
def moved_images() -> Pair:
    event = Event.image(1, 16, levels=4)
    x = torch.randint(4, (60, 1, 16, 16), generator=generator(0)).to(torch.uint8)
    data = Dataset(name="toy", split="test", event=event, x=x)
    return both(Redrawing(event, 0), Redrawing(event, 5), data, data)


class Coding(Implicit):
    """Codes are points (or their angle, or nothing of them), labels a side of the plane."""

    def __init__(self, event: Event, how: str) -> None:
        super().__init__(event)
        self.how, self.code_event = how, Event.tokens(1, 8)

    def encode(self, x: torch.Tensor, context: Context | None = None) -> torch.Tensor:
        g = generator(7)
        return x if self.how == "good" else 0.0 * x + 0.001 * torch.randn(x.shape, generator=g)

    def posterior(
        self, x: torch.Tensor, context: Context | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return (0.0 * x, 0.0 * x) if self.how == "good" else (0.0 * x + 4.0, 0.0 * x)

    def classify(self, x: torch.Tensor) -> torch.Tensor:
        right = torch.stack([(x[:, 0] <= 0), (x[:, 0] > 0)], 1).float()
        return right if self.how == "good" else 1 - right

    def tokens(self, x: torch.Tensor) -> torch.Tensor:
        codes = (4 + 2 * x[:, :1]).long().clamp(0, 7)
        return codes if self.how == "good" else 0 * codes


@bad(active_units="down", aggregate_mmd="up", probe_accuracy="down", accuracy="down",
     codebook_perplexity="down", mig="down", dci_disentanglement="down", dci_completeness="down",
     dci_informativeness="down", sap="down")  # fmt: skip
def codes_of_nothing() -> Pair:
    g = generator(3)
    parts = []
    for n, split in ((300, "test"), (400, "train")):
        factors = torch.stack([torch.randint(4, (n,), generator=g) for _ in range(2)], 1)
        x = factors.float() - 1.5 + 0.05 * torch.randn(n, 2, generator=g)
        about = {"y": (x[:, 0] > 0).long(), "classes": ("left", "right"), "factors": factors}
        parts.append(Dataset(name="toy", split=split, event=Event.real(2), x=x, **about))  # type: ignore
    return both(Coding(Event.real(2), "good"), Coding(Event.real(2), "bad"), *parts)


class Circle(Implicit):
    """Codes are angles, between which paths stay on the circle, or points, between which not."""

    def __init__(self, event: Event, polar: bool) -> None:
        super().__init__(event)
        self.polar = polar

    def encode(self, x: torch.Tensor, context: Context | None = None) -> torch.Tensor:
        return torch.atan2(x[:, 1:], x[:, :1]) if self.polar else x

    def decode(self, z: torch.Tensor, context: Context | None = None) -> torch.Tensor:
        return torch.cat([z.cos(), z.sin()], 1) if self.polar else z


@bad(path_distance="up")
def holes_between_codes() -> Pair:
    angle = 2 * math.pi * torch.rand(2, 300, 1, generator=generator(0))
    x = torch.cat([angle.cos(), angle.sin()], 2)
    x += 0.01 * torch.randn(x.shape, generator=generator(1))
    test, train = (
        Dataset(name="toy", split=split, event=Event.real(2), x=part)  # type: ignore[arg-type]
        for part, split in zip(x, ("test", "train"), strict=True)
    )
    return both(Circle(test.event, True), Circle(test.event, False), test, train)


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


# -- all of them ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [metric.name for metric in METRICS])
def test_a_bad_model_gets_a_bad_score(name: str) -> None:
    way, make = CASES[name]
    good, worse = (scores[name] for scores in make())
    errors = [score.stderr or 0.0 for score in (good, worse)]
    loss = (worse.value - good.value) * (1 if way == "up" else -1)
    assert loss > 5 * math.hypot(*errors), f"{name}: {good.value:.4g} of a good model, "\
        f"{worse.value:.4g} of a bad one"  # fmt: skip
    assert loss > 0.1 * abs(good.value)


def test_every_score_has_a_bad_model() -> None:
    assert set(CASES) == {metric.name for metric in METRICS}

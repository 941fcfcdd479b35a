"""Models whose densities, inverses, codes or reconstructions are bad."""

import math
from dataclasses import replace

import torch

from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.data.tokenizers import ByteTokenizer, CharacterTokenizer
from phosphene.evaluate.scoring import evaluate_model
from tests.evaluate.bad import Pair, bad, both, drawn
from tests.evaluate.toys import Bounded, Implicit, Independent, LinearGaussian

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

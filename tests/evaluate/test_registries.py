"""Metrics, scorers and sections are found by registration, those of other packages too."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.protocols import Bounded, Density, Encodes, Samples, available_if
from phosphene.evaluate.comparison import extras
from phosphene.evaluate.data_kind import DATA_KINDS, kind_of
from phosphene.evaluate.metric import METRICS, Metric, carded, declare, label, ranking, unit
from phosphene.evaluate.missing_capability import lacking
from phosphene.evaluate.score import Score
from phosphene.evaluate.score_kinds import KINDS, RANKED
from phosphene.evaluate.scorer import SCORERS, scorer
from phosphene.evaluate.scores.samples import draw
from phosphene.evaluate.scoring import evaluate_model
from phosphene.evaluate.section import SECTIONS, Shown
from tests.evaluate.toys import Implicit, Independent, LinearGaussian
from tests.helpers.tiny import tiny_digits, tiny_moons

BRIGHT = """
from phosphene.core.protocols import Samples
from phosphene.evaluate import page
from phosphene.evaluate.metric import Metric
from phosphene.evaluate.score import mean_score
from phosphene.evaluate.scorer import scorer
from phosphene.evaluate.scores.samples import draw
from phosphene.evaluate.section import section

@scorer(needs=(Samples,), metrics=(
    Metric("brightness", "Mean brightness", unit="levels", about="Of samples.", card=-1, column=0),
))
def brightness(model, held, how):
    x = draw(model, how.samples, seed=how.seed)
    return {"brightness": mean_score(x.flatten(1).double().mean(1), "samples")}

@section(needs=(Samples,), kinds=("images",))
def brightest(shown):
    return page.section("Brightest samples", f"of {len(shown.test)} examples")
"""
BROKEN = """
from phosphene.evaluate.metric import Metric
from phosphene.evaluate.scorer import scorer
from phosphene.evaluate.section import section

@scorer(metrics=(Metric("shade", "Shade", about="Of nothing."),))
def shade(model, held, how):
    return {"shade": 1 / 0}

@section()
def torn(shown):
    return shown.nothing
"""
UNDECLARED = """
from phosphene.evaluate.score import Score
from phosphene.evaluate.scorer import scorer

@scorer()
def secret(model, held, how):
    return {"secret": Score(1.0, "count")}
"""
Install = Callable[[str, str], None]


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registries as after an import, and as before once the test is over."""
    for registry in (METRICS, SCORERS, SECTIONS, DATA_KINDS):
        known = {one.name: one for one in registry}
        monkeypatch.setattr(registry, "_found", known)
        monkeypatch.setattr(registry, "_whole", False)


@pytest.fixture
def install(registries: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package with one module where Python finds it, with entry points of both groups."""

    def put(name: str, code: str) -> None:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        groups = (f"[phosphene.{group}]\n{name} = {name}\n" for group in ("scorers", "sections"))
        (info / "entry_points.txt").write_text("".join(groups))
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)

    return put


def page_of(model: nn.Module, data: object) -> str:
    shown = Shown(model=model, test=data, train=data)  # type: ignore[arg-type]
    return "".join(section.html(shown) for section in SECTIONS)


# -- of other packages ---------------------------------------------------------------------------


def test_a_metric_and_a_section_of_another_package(install: Install) -> None:
    install("bright", BRIGHT)
    digits, moons = tiny_digits(40), tiny_moons(40)
    model = Independent(digits.event).fit(digits.x)
    scores = evaluate_model(model, digits, digits, samples=32)
    assert list(scores)[-1] == "brightness", "those that say no place come last"
    assert scores["brightness"].value == pytest.approx(float(digits.x.double().mean()), abs=0.1)
    assert (label("brightness"), unit("brightness")) == ("Mean brightness", "levels")
    assert carded(scores)[0] == "brightness"
    page = page_of(model, digits)
    assert "Brightest samples" in page
    assert page.index("Samples") < page.index("Brightest samples")
    assert "Brightest samples" not in page_of(Implicit(moons.event), moons), "points, not images"


def test_it_is_not_asked_of_a_model_that_lacks_what_it_needs(install: Install) -> None:
    install("bright2", BRIGHT)
    data = tiny_moons(40)

    class Silent(LinearGaussian):
        sample = available_if(lambda self: False, "it keeps silent")(LinearGaussian.sample)

    scores = evaluate_model(Silent(data.event), data, data, samples=32, particles=2)
    assert "nll" in scores
    assert not {"brightness", "frechet_distance"} & set(scores)


def test_a_broken_scorer_is_one_sentence(install: Install) -> None:
    install("broken", BROKEN)
    data = tiny_moons(8)
    with pytest.raises(ConfigError, match=r"^the scorer 'shade' of 'broken' failed: ZeroDivision"):
        evaluate_model(Implicit(data.event), data, data)
    with pytest.raises(ConfigError, match=r"^the section 'torn' of 'broken' failed: AttributeErr"):
        page_of(Implicit(data.event), data)


def test_a_score_that_is_not_declared_is_refused(install: Install) -> None:
    install("undeclared", UNDECLARED)
    data = tiny_moons(8)
    with pytest.raises(ConfigError, match=r"'secret' of 'undeclared' gave 'secret', which is no"):
        evaluate_model(Implicit(data.event), data, data)


def test_a_package_that_cannot_be_imported_is_one_sentence_each_time(install: Install) -> None:
    install("absent", "import no_such_module")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"^the metrics of 'absent' \(absent\) cannot be"):
            label("nll")


# -- of this one ---------------------------------------------------------------------------------


def test_names_are_unique(registries: None) -> None:
    with pytest.raises(ConfigError, match="two metrics are called 'nll'"):
        declare(Metric("nll", "Something else"))
    with pytest.raises(ConfigError, match="two scorers are called 'codes'"):

        @scorer()
        def codes(model, held, how):  # type: ignore[no-untyped-def]
            return {}


class Guessing(Implicit):
    """Classifies, where it was told to."""

    def __init__(self, event: Event, *, guesses: bool) -> None:
        super().__init__(event)
        self.guesses = guesses

    @available_if(lambda self: self.guesses, "it does not guess")
    def classify(self, x, context=None):  # type: ignore[no-untyped-def]
        return torch.stack([x[:, 1], -x[:, 1]], 1)


def test_a_capability_that_is_withheld_gets_no_score() -> None:
    data = tiny_moons(40)
    for guesses in (True, False):
        scores = evaluate_model(Guessing(data.event, guesses=guesses), data, data, samples=20)
        assert ("accuracy" in scores) == guesses
        assert "nll" not in scores


def test_what_a_model_lacks_names_those_that_can() -> None:
    class Mute(Independent):
        sample = available_if(lambda self: False, "it keeps silent")(Independent.sample)

    model = Mute(Event.binary(4), context=ContextSpec(label=2))
    assert not isinstance(model, Samples)
    error = lacking(model, Density, Encodes, Bounded)
    assert "Mute has no encode and elbo; systems that do: " in str(error)
    assert "'vae'" in str(error) or "vae" in str(error)
    with pytest.raises(EventError, match="Mute has no sample; systems that do"):
        draw(model, 3)


def test_every_scorer_needs_what_it_uses_and_says_what_it_gives() -> None:
    assert [one.place for one in SCORERS] == sorted(one.place for one in SCORERS)
    for one in SCORERS:
        assert one.metrics, one.name
        assert one.compute.__doc__, one.name
    for metric in METRICS:
        assert metric.about.endswith("."), metric.name
        if metric.instead is not None:
            assert METRICS.get(metric.instead) is not None, metric.name
    assert set(RANKED) <= set(KINDS)


def test_what_a_system_is_ranked_by() -> None:
    order = ["nll", "iwae_nll", "elbo", "frechet_distance", "mse"]
    for k, name in enumerate(order):
        assert ranking(["psnr", *reversed(order[k:])]) == name
    assert ranking(["psnr", "ssim"]) == "psnr"


def test_a_comparison_shows_the_columns_that_metrics_ask_for() -> None:
    class Held:
        main = "nll"
        scores = {name: Score(1.0, "exact") for name in ("mig", "nll", "psnr", "bits_per_dim")}

    assert extras([Held()]) == ["bits_per_dim", "psnr", "mig"]  # type: ignore[list-item]


def test_cards_leave_out_what_another_says() -> None:
    assert carded(["bits_per_dim", "bits_per_sample"]) == ["bits_per_sample"]
    assert carded(["iwae_nll", "mse", "nll", "sap"]) == ["nll", "mse"]


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (Event.image(3, 8), "images"),
        (Event.binary(64), "images"),
        (Event.binary(8, 8), "images"),
        (Event.binary(63), "other"),
        (Event.real(2), "plane"),
        (Event.real(9), "series"),
        (Event.real(2, 3), "other"),
        (Event.tokens(64, 5), "symbols"),
        (Event.audio(64), "sound"),
    ],
)
def test_kinds_of_events(event: Event, name: str) -> None:
    assert kind_of(event).name == name

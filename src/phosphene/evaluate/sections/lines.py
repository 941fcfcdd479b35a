"""Sound as waves and players, and series of real numbers as lines."""

from torch import Tensor

from phosphene.core.protocols import Inpaints, Samples
from phosphene.data.sound import signal_of, wav_bytes
from phosphene.evaluate import page, pictures, plots, views
from phosphene.evaluate.section import Shown, section
from phosphene.evaluate.sections.text import continued

__all__ = ["continuations", "samples", "series", "windows"]

_HEARD = 4
_SEEN = 8


@section(kinds=("sound",), place=200)
def windows(shown: Shown) -> str:
    """Test windows."""
    return _heard(shown, "Test windows", shown.first(_HEARD).x, "Held out, not trained on.")


@section(needs=(Samples,), kinds=("sound",), place=210)
def samples(shown: Shown) -> str:
    """Windows that the model drew."""
    some = shown.first(_HEARD)
    drawn = views.draws(shown.model, len(some.x), some.context, seed=shown.seed)
    return _heard(shown, "Samples", drawn, "Drawn from the model, not chosen.")


@section(needs=(Inpaints,), kinds=("sound",), place=220)
def continuations(shown: Shown) -> str:
    """Test windows whose second halves the model drew."""
    drawn = continued(shown, shown.first(_HEARD), seed=shown.seed)
    if drawn is None:
        return ""
    lead = "The first half of each test window is given; the model draws the second."
    return _heard(shown, "Continuations", drawn, lead)


def _heard(shown: Shown, title: str, x: Tensor, lead: str) -> str:
    assert shown.model.event.levels is not None
    rate = shown.test.sample_rate or 8000
    signal = signal_of(x, shown.model.event.levels)
    chart = page.figure(plots.svg(plots.waves(signal, rate=rate)))
    players = "".join(
        page.audio(wav_bytes(one, rate), f"{title[:-1]} {k + 1}") for k, one in enumerate(signal)
    )
    return page.section(title, f'<div class="sounds">{players}</div>', chart, lead=lead)


@section(kinds=("series",), place=200)
def series(shown: Shown) -> str:
    """Lines of test examples, and of samples, on one scale."""
    some = shown.first(_SEEN)
    sets = {"Test examples": some.x}
    if isinstance(shown.model, Samples):
        sets["Samples"] = views.draws(shown.model, len(some.x), some.context, seed=shown.seed)
    figures = []
    for name, x in sets.items():
        lines = pictures.series_of(x, shown.model.event)
        assert lines is not None
        chart = plots.waves(lines, width=4.9, height=0.7)
        figures.append(page.figure(plots.svg(chart), name=name))
    return page.section("Samples", f'<div class="pair">{"".join(figures)}</div>')

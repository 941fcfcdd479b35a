"""The pictures of a report for sequences: texts, sounds, and series of real numbers."""

from html import escape

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import EventError
from phosphene.core.model import Model
from phosphene.core.protocols import Inpaints, Samples
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.data.sound import signal_of, wav_bytes
from phosphene.evaluate import page, pictures, plots, views

__all__ = ["Series", "Sounds", "Texts"]

_HEARD = 4
_READ = 3
_HOT = 6.0
"""Nats at which a character is shown as surprising as can be."""


class _Sequences:
    """What the pictures of all sequences share: some test examples, and draws beside them."""

    shown = 4

    def __init__(self, model: Model, test: Dataset, train: Dataset, seed: int) -> None:
        self.model, self.test, self.seed = model, test, seed
        order = torch.randperm(len(test), generator=generator(seed, 41))
        index = order[: min(self.shown, len(test))]
        self.x, context = test.take(index)
        self.context: Context | None = context if model.context else None

    def _drawn(self) -> Tensor | None:
        if not isinstance(self.model, Samples):
            return None
        return views.draws(self.model, len(self.x), self.context, seed=self.seed)

    def _continued(self, known: int) -> Tensor | None:
        """The test examples, drawn anew from some place on; None where the model cannot."""
        if not isinstance(self.model, Inpaints):
            return None
        mask = torch.arange(self.x.shape[1]) < known
        try:
            return views.filled(self.model, self.x, mask, self.context, seed=self.seed)
        except EventError:  # another order than the sequence's
            return None


class Texts(_Sequences):
    """Samples as text, continuations of a test passage, and how surprising each character was."""

    shown = _READ

    def sections(self) -> list[str]:
        """Those sections that are true for this model."""
        assert self.test.tokenizer is not None
        return [part for part in (self._samples(), self._continuations(), self._heat()) if part]

    def _read(self, codes: Tensor) -> str:
        assert self.test.tokenizer is not None
        return legible(self.test.tokenizer.decode(codes))

    def _samples(self) -> str:
        drawn = self._drawn()
        if drawn is None:
            return ""
        columns = [
            "".join(page.text(self._read(x), f"{name} {k + 1}") for k, x in enumerate(codes))
            for name, codes in (("Test passage", self.x), ("Sample", drawn))
        ]
        body = "".join(f'<div class="rows">{column}</div>' for column in columns)
        lead = "Passages of the held-out text, and draws from the model, not chosen."
        return page.section("Samples", f'<div class="pair">{body}</div>', lead=lead)

    def _continuations(self) -> str:
        known = self.x.shape[1] // 2
        drawn = self._continued(known)
        if drawn is None:
            return ""
        body = [page.text(self._read(self.x[0, :known]), "Given")]
        body.append(page.text(self._read(self.x[0, known:]), "What the text goes on with"))
        again = self.x[:1].expand(len(self.x), -1)
        mask = torch.arange(self.x.shape[1]) < known
        context = None if self.context is None else self.context[slice(0, 1)].repeat(len(self.x))
        drawn = views.filled(self.model, again, mask, context, seed=self.seed + 1)
        body += [page.text(self._read(x[known:]), f"Draw {k + 1}") for k, x in enumerate(drawn)]
        lead = "The first half of a test passage is given; the model draws the rest."
        return page.section("Continuations", f'<div class="rows">{"".join(body)}</div>', lead=lead)

    def _heat(self) -> str:
        context = None if self.context is None else self.context[slice(0, 1)]
        nats = views.surprise(self.model, self.x[:1], context)
        if nats is None:
            return ""
        spans = []
        for code, value in zip(self.x[0], nats[0].tolist(), strict=True):
            mark = min(1.0, value / _HOT) * 0.75
            letter = self._read(code.reshape(1))
            shown = "↵\n" if letter == "\n" else letter
            spans.append(
                f'<span style="background:rgba(217,130,43,{mark:.2f})" '
                f'title="{value:.2f} nats">{escape(shown)}</span>'
            )
        lead = (
            "A test passage; the darker a character's ground, the less the model expected it. "
            f"{float(nats.mean()):.2f} nats a character on average here."
        )
        text = f'<pre class="text">{"".join(spans)}</pre>'
        return page.section("Surprise", page.figure(text), lead=lead)


class Sounds(_Sequences):
    """Waveforms, and players of test windows, samples and continuations."""

    shown = _HEARD

    def sections(self) -> list[str]:
        """Those sections that are true for this model."""
        parts = [self._set("Test windows", self.x, "Held out, not trained on.")]
        drawn = self._drawn()
        if drawn is not None:
            parts.append(self._set("Samples", drawn, "Drawn from the model, not chosen."))
        known = self.x.shape[1] // 2
        continued = self._continued(known)
        if continued is not None:
            lead = "The first half of each test window is given; the model draws the second."
            parts.append(self._set("Continuations", continued, lead))
        return parts

    def _set(self, title: str, x: Tensor, lead: str) -> str:
        assert self.model.event.levels is not None
        rate = self.test.sample_rate or 8000
        signal = signal_of(x, self.model.event.levels)
        chart = page.figure(plots.svg(plots.waves(signal, rate=rate)))
        players = "".join(
            page.audio(wav_bytes(one, rate), f"{title[:-1]} {k + 1}")
            for k, one in enumerate(signal)
        )
        return page.section(title, f'<div class="sounds">{players}</div>', chart, lead=lead)


class Series(_Sequences):
    """Lines of test examples, and of samples, on one scale."""

    shown = 8

    def sections(self) -> list[str]:
        """Those sections that are true for this model."""
        sets = {"Test examples": self.x}
        drawn = self._drawn()
        if drawn is not None:
            sets["Samples"] = drawn
        figures = []
        for name, x in sets.items():
            lines = pictures.series_of(x, self.model.event)
            assert lines is not None
            chart = plots.waves(lines, width=4.9, height=0.7)
            figures.append(page.figure(plots.svg(chart), name=name))
        return [page.section("Samples", f'<div class="pair">{"".join(figures)}</div>')]


def legible(text: str) -> str:
    r"""Text without characters that steer a terminal or a browser.

    Example:
        >>> legible("a\x1b[31m\n")
        'a�[31m\n'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)

"""Text: samples, continuations of a test passage, and how surprising each character was."""

from html import escape

import torch
from torch import Tensor

from phosphene.core.errors import EventError
from phosphene.core.protocols import Inpaints, Samples
from phosphene.evaluate import page, views
from phosphene.evaluate.formatting import legible
from phosphene.evaluate.section import Examples, Shown, section

__all__ = ["continuations", "samples", "surprise"]

_READ = 3
_HOT = 6.0
"""Nats at which a character is shown as surprising as can be."""


def _read(shown: Shown, codes: Tensor) -> str:
    tokenizer = shown.test.tokenizer
    assert tokenizer
    return legible(tokenizer.decode(codes))


@section(needs=(Samples,), kinds=("text",), place=200)
def samples(shown: Shown) -> str:
    """Test passages beside samples."""
    some = shown.first(_READ)
    drawn = views.draws(shown.model, len(some.x), some.context, seed=shown.seed)
    columns = [
        "".join(page.text(_read(shown, x), f"{name} {k + 1}") for k, x in enumerate(codes))
        for name, codes in (("Test passage", some.x), ("Sample", drawn))
    ]
    body = "".join(f'<div class="rows">{column}</div>' for column in columns)
    lead = "Passages of the held-out text, and draws from the model, not chosen."
    return page.section("Samples", f'<div class="pair">{body}</div>', lead=lead)


@section(needs=(Inpaints,), kinds=("text",), place=210)
def continuations(shown: Shown) -> str:
    """One passage, gone on with several times."""
    some = shown.first(_READ)
    one, known = some.upto(1), some.x.shape[1] // 2
    context = None if one.context is None else one.context.repeat(len(some.x))
    again = Examples(one.index, one.x.expand(len(some.x), -1), context)
    drawn = continued(shown, again, seed=shown.seed + 1)
    if drawn is None:
        return ""
    body = [page.text(_read(shown, one.x[0, :known]), "Given")]
    body.append(page.text(_read(shown, one.x[0, known:]), "What the text goes on with"))
    body += [page.text(_read(shown, x[known:]), f"Draw {k + 1}") for k, x in enumerate(drawn)]
    lead = "The first half of a test passage is given; the model draws the rest."
    return page.section("Continuations", f'<div class="rows">{"".join(body)}</div>', lead=lead)


def continued(shown: Shown, some: Examples, seed: int) -> Tensor | None:
    """Examples whose second halves are drawn anew; None where the model cannot."""
    length = some.x.shape[1]
    mask = torch.arange(length) < length // 2
    try:
        return views.filled(shown.model, some.x, mask, some.context, seed=seed)
    except EventError:  # another order than the sequence's
        return None


@section(kinds=("text",), place=220)
def surprise(shown: Shown) -> str:
    """Each character of a passage on a ground as dark as it was unexpected."""
    one = shown.first(_READ).upto(1)
    nats = views.surprise(shown.model, one.x, one.context)
    if nats is None:
        return ""
    spans = []
    for code, value in zip(one.x[0], nats[0].tolist(), strict=True):
        mark = min(1.0, value / _HOT) * 0.75
        letter = _read(shown, code.reshape(1))
        said = "↵\n" if letter == "\n" else letter
        spans.append(
            f'<span style="background:rgba(217,130,43,{mark:.2f})" '
            f'title="{value:.2f} nats">{escape(said)}</span>'
        )
    lead = (
        "A test passage; the darker a character's ground, the less the model expected it. "
        f"{float(nats.mean()):.2f} nats a character on average here."
    )
    text = f'<pre class="text">{"".join(spans)}</pre>'
    return page.section("Surprise", page.figure(text), lead=lead)

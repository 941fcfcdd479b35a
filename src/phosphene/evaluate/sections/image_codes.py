"""Images through their codes: back again, between two of them, along one direction."""

from typing import Any

import torch

from phosphene.core.protocols import Decodes, Encodes, Reconstructs, Transfers
from phosphene.evaluate import page, pictures, transfers, views
from phosphene.evaluate.batches import evaluating
from phosphene.evaluate.section import Shown, section
from phosphene.evaluate.sections.image_samples import SHOWN, sheet

__all__ = ["fitted", "interpolations", "reconstructions", "transferred", "traversals"]


@section(needs=(Encodes, Decodes), kinds=("images",), place=100)
def fitted(shown: Shown) -> str:
    """Decoded draws from a density that was fitted to the training codes."""
    some = shown.first(SHOWN)
    made = views.fitted_draws(shown.model, shown.train, len(some.x), some.context, seed=shown.seed)
    pair = [
        page.figure(sheet(shown, some.x, 8), "held out, not trained on", "Test examples"),
        page.figure(sheet(shown, made, 8), "decoded, not chosen", "Draws of a fitted prior"),
    ]
    lead = (
        "A mixture of Gaussians was fitted to the training examples' codes after training; "
        "these codes are drawn from it, not from N(0, I). The scores do not use it."
    )
    body = f'<div class="pair">{"".join(pair)}</div>'
    return page.section("Draws where the codes lie", body, lead=lead)


@section(needs=(Transfers,), kinds=("images",), place=110)
def transferred(shown: Shown) -> str:
    """Test examples as they would be for one another's conditions."""
    index = shown.first(SHOWN).index[:8]
    table, columns = transfers.transferred(shown.model, shown.test, index)
    lead = (
        "Test examples, on the left, as they would be for the conditions above: what the "
        "condition does not say is kept. On the diagonal stand the examples' own conditions, "
        "which give them back."
    )
    figure = page.figure(pictures.grid(table, columns))
    return page.section("Transfers", figure, lead=lead)


@section(needs=(Reconstructs,), kinds=("images",), place=160)
def reconstructions(shown: Shown) -> str:
    """Test examples above what comes back."""
    model, some = shown.model, shown.first(SHOWN).upto(24)
    assert isinstance(model, Reconstructs)
    given = () if some.context is None else (some.context.to(model.device),)
    with evaluating(model):
        back = model.reconstruct(some.x.to(model.device), *given).cpu()
    rows: list[Any] = []
    for start in range(0, len(some.x), 12):
        part = slice(start, start + 12)
        rows += [("test", sheet(shown, some.x[part], 12)), ("model", sheet(shown, back[part], 12))]
        rows.append(None)
    lead = "Test examples, and what is left of them after encoder and decoder."
    return page.section("Reconstructions", page.strips(rows[:-1]), lead=lead)


@section(needs=(Encodes, Decodes), kinds=("images",), place=170)
def interpolations(shown: Shown) -> str:
    """Straight lines between codes."""
    some = shown.first(SHOWN)
    n = min(5, len(some.x) // 2)
    a, b = some.x[:n], some.x[n : 2 * n]
    paths = views.interpolations(shown.model, a, b, 10, some.upto(n).context)
    rows = [torch.cat([a[k : k + 1], paths[k], b[k : k + 1]]) for k in range(n)]
    strips = "".join(page.figure(sheet(shown, row, 12)) for row in rows)
    strips = f'<div class="rows">{strips}</div>'
    lead = (
        "Straight lines between the codes of two test examples, decoded. The first and the "
        "last image of each row are the examples themselves."
    )
    return page.section("Interpolations", strips, lead=lead)


@section(needs=(Encodes, Decodes), kinds=("images",), place=180)
def traversals(shown: Shown) -> str:
    """One latent dimension at a time."""
    model, one = shown.model, shown.first(SHOWN).upto(1)
    whole = shown.at(torch.arange(min(1000, len(shown.test))))
    moments = views.spread(model, whole.x, whole.context)
    moved, order = views.traversals(model, one.x, moments, steps=11, context=one.context)
    rows = [
        (f"z{d}, spread {float(moments[1][d]):.2f}", sheet(shown, x, 11))
        for d, x in zip(order, moved, strict=True)
    ]
    lead = (
        "One latent dimension at a time, over 2.5 standard deviations of the data's codes to "
        "either side; those that vary most come first."
    )
    return page.section("Latent directions", page.strips(rows), lead=lead)

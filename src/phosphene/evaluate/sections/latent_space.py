"""Where the codes of test examples lie, by their labels."""

import torch

from phosphene.core.protocols import Encodes
from phosphene.evaluate import page, plots, views
from phosphene.evaluate.latents import encode
from phosphene.evaluate.section import Shown, section

__all__ = ["latent_space"]


@section(needs=(Encodes,), place=300)
def latent_space(shown: Shown) -> str:
    """Codes on their two directions of largest variance."""
    model, test = shown.model, shown.test
    if test.y is None:
        return ""
    some = shown.at(torch.arange(min(3000, len(test))))
    codes = encode(model, some.x, some.context)
    if codes.shape[1] < 2:
        return ""
    points, share = views.project(codes)
    labels = test.y[some.index]
    chart = plots.scatter({"codes": points}, labels, test.classes, size=(10.2, 6.2))
    lead = (
        f"Codes of {len(codes):,} test examples on the two directions of largest variance, which "
        f"hold {share:.0%} of it. Colors are the labels, which training "
        + ("was given." if model.context.label else "did not see.")
    )
    return page.section("Latent space", page.figure(plots.svg(chart)), lead=lead)

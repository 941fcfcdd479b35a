"""Errors of reconstructions."""

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.model import Model
from phosphene.core.protocols import Reconstructs
from phosphene.evaluate.batches import batches, evaluating
from phosphene.evaluate.image_similarity import SSIM_WINDOW, psnr, ssim
from phosphene.evaluate.metric import Metric
from phosphene.evaluate.missing_capability import lacking
from phosphene.evaluate.score import Score, mean_score
from phosphene.evaluate.scorer import Held, How, scorer

__all__ = ["reconstruction", "reconstructions"]


@scorer(
    place=40,
    needs=(Reconstructs,),
    when=lambda model, held, how: held.kind.ordered or how.features is not None,
    metrics=(
        Metric(
            "mse",
            "Squared error of reconstructions",
            about="Codes scaled to 0..1; lower is better.",
            better="lower",
            card=20,
            ranks=5,
        ),
        Metric(
            "psnr",
            "PSNR",
            unit="dB",
            about="Of reconstructions, or of images made of their low resolution; higher is "
            "better.",
            better="higher",
            card=16,
            column=5,
        ),
        Metric(
            "ssim",
            "Structural similarity",
            about="Of reconstructions; 1 is identity.",
            better="higher",
            card=19,
        ),
    ),
)
def reconstructions(model: Model, held: Held, how: How) -> dict[str, Score]:
    """Of all held-out examples."""
    return reconstruction(model, *held.examples)


def reconstruction(model: Model, x: Tensor, context: Context | None = None) -> dict[str, Score]:
    """Error of reconstructions: ``mse`` and, on discrete events, ``psnr``; ``ssim`` of images.

    Codes are scaled to [0, 1] first, so that the peak is 1 and data of any number of levels
    compare; real events keep their units. Images below 11 pixels have no SSIM.
    """
    if not isinstance(model, Reconstructs):
        raise lacking(model, Reconstructs)
    event = model.event
    top = 1.0 if event.levels is None else event.levels - 1.0
    similar = event.has_image_shape and event.discrete and min(event.shape[1:]) >= SSIM_WINDOW
    errors, similarities = [], []
    with evaluating(model):
        for given, c in batches(model, x, context):
            # Given only where there is one: many reconstruct(x) take no context.
            back = model.reconstruct(given) if c is None else model.reconstruct(given, c)
            decoded, part = back.double().cpu() / top, given.double().cpu() / top
            errors.append((decoded - part).square().flatten(1).mean(1))
            if similar:
                similarities.append(ssim(decoded, part))
    squared = torch.cat(errors)
    scores = {"mse": mean_score(squared, "reconstruction")}
    if event.discrete:
        scores["psnr"] = mean_score(psnr(squared), "reconstruction", "dB, peak 1")
    if similar:
        scores["ssim"] = mean_score(torch.cat(similarities), "reconstruction")
    return scores

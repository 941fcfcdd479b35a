"""How a codebook is used."""

import torch

from phosphene.core.model import Model
from phosphene.core.protocols import Tokenizes
from phosphene.evaluate.batches import ROWS, evaluating
from phosphene.evaluate.metric import Metric
from phosphene.evaluate.score import Score
from phosphene.evaluate.scorer import Held, How, scorer
from phosphene.generative.autoencoder.layers.quantize import perplexity

__all__ = ["codebook"]


@scorer(
    place=60,
    needs=(Tokenizes,),
    when=lambda model, held, how: held.kind.ordered or how.features is not None,
    metrics=(
        Metric(
            "codebook_perplexity",
            "Codes in use",
            about="exp(entropy) of how often each code is used.",
        ),
    ),
)
def codebook(model: Model, held: Held, how: How) -> dict[str, Score]:
    """How many codes are used alike: exp(entropy of their use)."""
    assert isinstance(model, Tokenizes)
    x, _ = held.examples
    with evaluating(model):
        used = torch.cat([model.tokens(part.to(model.device)).cpu() for part in x.split(ROWS)])
    size = model.code_event.levels
    assert size is not None
    value = float(perplexity(used, size))
    return {"codebook_perplexity": Score(value, "count", note=f"of {size} codes")}

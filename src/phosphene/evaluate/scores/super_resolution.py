"""Super-resolution: closeness to the truth, consistency with the input, diversity."""

from phosphene.core.model import Model
from phosphene.core.protocols import Samples
from phosphene.evaluate.metric import Metric
from phosphene.evaluate.score import Score
from phosphene.evaluate.scorer import Held, How, scorer
from phosphene.evaluate.super_resolution import super_resolution, super_resolves

__all__ = ["enlarged"]


@scorer(
    place=90,
    says="super-resolution",
    needs=(Samples,),
    when=lambda model, held, how: super_resolves(model, held.test),
    metrics=(
        Metric(
            "psnr_gain",
            "Gain over bicubic interpolation",
            unit="dB",
            about="Higher is better.",
            better="higher",
            card=15,
        ),
        Metric(
            "psnr_bicubic",
            "PSNR of bicubic interpolation, for comparison",
            unit="dB",
            about="What smooth interpolation of the same inputs reaches.",
        ),
        Metric(
            "lr_consistency",
            "Consistency with the input",
            unit="dB",
            about="PSNR of drawn images, lowered in resolution, against what they were made of.",
            better="higher",
            card=17,
        ),
        Metric(
            "solution_diversity",
            "Diversity of solutions",
            unit="of 255",
            about="Standard deviation of a pixel over several images of one input.",
        ),
    ),
)
def enlarged(model: Model, held: Held, how: How) -> dict[str, Score]:
    """PSNR, its gain over interpolation, consistency and diversity."""
    return super_resolution(model, held.test, seed=how.seed)

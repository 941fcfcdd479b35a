"""Settings that diffusion models share."""

from typing import Annotated, Literal

from phosphene.core.config import Configured
from phosphene.core.ranges import Fraction, Positive, Within
from phosphene.core.settings import setting
from phosphene.generative.diffusion.layers.networks import NetworkSettings

__all__ = ["DensitySettings", "LossSettings"]


class LossSettings(NetworkSettings):
    """What the network is trained to give, and how its errors count."""

    target_name: Literal["auto", "noise", "data", "v", "velocity", "edm"] = setting(
        alias="target",
        default="auto",
        help="What the network gives: ``noise``, ``data``, ``v``, ``velocity``, ``edm`` "
        "(preconditioned), or ``auto``, the usual one.",
    )
    weighting_name: Literal["auto", "simple", "min-snr", "variational", "edm"] = setting(
        alias="weighting",
        default="auto",
        help="How errors at each level count: ``simple`` (those of the target), ``min-snr``, "
        "``variational`` (the bound itself), ``edm``, or ``auto``: simple, but where the levels "
        "are learned.",
    )
    drop: Fraction = setting(
        default=0.1,
        help="How often training withholds the condition, so that samples can be guided toward it.",
    )
    weight: Annotated[float, Within(-1, above=True)] = setting(
        alias="guidance",
        default=0.0,
        help="Weight of the guidance of samples that are not told another; 0 for none.",
    )


class DensitySettings(Configured):
    """The likelihood by the probability flow."""

    trace: Literal["auto", "exact", "hutchinson"] = setting(
        default="auto",
        help="Of the flow's likelihood: ``exact`` (a product for each dimension), ``hutchinson`` "
        "(one for each probe), or ``auto``: exact for up to 32 dimensions.",
    )
    tolerance: Positive = setting(
        default=1e-4, help="Relative and absolute tolerance of the likelihood's solver."
    )

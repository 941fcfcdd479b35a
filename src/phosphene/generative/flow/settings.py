"""Groups of settings that flows share."""

from collections.abc import Sequence
from typing import Literal

from phosphene.core.config import Configured
from phosphene.core.ranges import Count, NotNegative, Positive
from phosphene.core.settings import pinned, setting

__all__ = [
    "BaseSettings",
    "BinSettings",
    "BoundedSettings",
    "CenteredSettings",
    "CodecSettings",
    "ConditionerSettings",
    "LimitSettings",
    "MaskedFlowSettings",
    "SplineSettings",
    "StackSettings",
    "VectorSettings",
]


class BaseSettings(Configured):
    """The base distribution."""

    base_name: str = setting(
        alias="base",
        default="normal",
        help="The base distribution: ``normal``, ``mixture``, ``student-t``, ``uniform``, "
        "``logistic`` or ``learned``.",
    )
    components: Count = setting(default=8, help="Components of a mixture base.")
    whiten: bool = setting(
        default=False,
        help="Begin with the linear map that makes of the covariance of vectors, found in closed "
        "form, the identity.",
    )


class CodecSettings(Configured):
    """How codes become reals."""

    codec_name: str = setting(
        alias="codec",
        default="logit",
        help="How codes become reals: ``logit`` (the unit interval to the line, RealNVP), "
        "``centered`` (to [-1/2, 1/2), Glow), or ``equalized`` (to numbers that are normal at each "
        "pixel, by learned histograms).",
    )
    alpha: float = setting(default=0.05, help="alpha, the margin of the logit codec.")
    dequantization: str = setting(
        default="uniform",
        help="Where in its bin a code lies: ``uniform``, or ``variational``, a learned q(u | x) "
        "that is trained with the flow and tightens the bound (Ho et al., 2019).",
    )


class CenteredSettings(Configured):
    """How codes become reals, in flows that do without the ends of the line."""

    codec_name: str = setting(
        alias="codec", default="centered", help="How codes become reals: ``centered`` or ``logit``."
    )


class VectorSettings(Configured):
    """Flows of real vectors; settings that only codes or mixtures need are pinned."""

    components: Count = pinned(default=8)
    codec_name: str = pinned(default="logit")
    alpha: float = pinned(default=0.05)
    dequantization: str = pinned(default="uniform")


class StackSettings(VectorSettings):
    """Stacks of many thin layers."""

    layers: Count = setting(default=16, help="Number of layers.")
    slope: float = setting(
        default=0.01, help="The least slope of a layer along its direction: how far it may press."
    )
    direction: str = setting(
        default="density",
        help="``density`` if x to z is the closed direction, as for fitting data, or ``sampling`` "
        "if z to x is, as for variational inference; the other one is found numerically.",
    )


class BoundedSettings(Configured):
    """The activation of conditioners."""

    activation_name: str = setting(
        alias="activation",
        default="tanh",
        help="Of the networks; a bounded one, as ``tanh``, keeps scales and shifts bounded however "
        "far an example is from the data.",
    )


class ConditionerSettings(BoundedSettings):
    """The networks that give the parameters of each transform."""

    hidden: Sequence[int] = setting(
        default=(128, 128), help="Widths of the hidden layers of each layer's network."
    )


class LimitSettings(Configured):
    """Affine maps of bounded scale."""

    limit: NotNegative = setting(
        default=2.0,
        help="The largest |s| of the scale exp(s) of affine functions, s = r / (1 + |r| / limit) "
        "of what the network gives; 0 for none.",
    )


class BinSettings(Configured):
    """Rational-quadratic splines."""

    bins: Count = setting(default=8, help="Bins of each spline.")


class SplineSettings(BinSettings):
    """Rational-quadratic splines on a bounded interval."""

    bound: Positive = setting(
        default=5.0,
        help="Beyond this |x|, in units of the data's deviation, splines are the identity.",
    )


class MaskedFlowSettings(ConditionerSettings, LimitSettings, SplineSettings):
    """Masked autoregressive layers."""

    layers: Count = setting(default=5, help="Number of masked autoregressive layers.")
    monotone: Literal["affine", "spline"] = setting(
        default="affine",
        help="Transform of each dimension: ``affine``, or ``spline``, a rational-quadratic one.",
    )
    residual: bool = setting(default=False, help="Add each hidden layer's input to its output.")
    order: Literal["reversed", "random", "raster"] = setting(
        default="reversed",
        help="``reversed`` from layer to layer, after raster order, ``random`` in each layer, or "
        "``raster`` in all of them.",
    )

"""Groups of settings that autoencoders share."""

from typing import Literal

from phosphene.core.config import Configured
from phosphene.core.ranges import Count, Fraction, Natural, NotNegative, Positive
from phosphene.core.settings import pinned, setting
from phosphene.generative.autoencoder.layers.likelihoods import OutputName, Variance
from phosphene.generative.autoencoder.layers.networks import NetworkName
from phosphene.nn.settings import ActivationSettings, DropoutSettings

__all__ = [
    "GridSettings",
    "LabelSettings",
    "NetworkSettings",
    "OneSampleSettings",
    "OutputSettings",
    "WidthSettings",
]


class WidthSettings(ActivationSettings):
    """A network from example to latent and its mirror image, by kind and widths."""

    network: NetworkName = setting(
        default="mlp", help="``mlp``, ``conv`` or ``resnet`` (the latter two for images)."
    )
    hidden: tuple[int, ...] | None = setting(
        default=None,
        help="Widths of the layers, or channels of the stages, from example to latent; None for "
        "the network's small default. The decoder mirrors them.",
    )


class NetworkSettings(WidthSettings, DropoutSettings):
    """All options of these networks."""

    blocks: Natural = setting(default=1, help="Residual blocks a stage, for ``resnet``.")
    norm: Literal["none", "group"] = setting(
        default="none", help="``none`` or ``group`` normalization in residual blocks."
    )


class OutputSettings(Configured):
    """The distribution p(x|z) of an example given its latent."""

    output_name: OutputName = setting(
        alias="decoder",
        default="auto",
        help="p(x|z): ``auto`` (Bernoulli for two levels, discretized logistic for more, Gaussian "
        "for reals), or its name.",
    )
    variance: Variance = setting(
        default="predicted",
        help="Who knows the scale of a Gaussian or logistic p(x|z): ``predicted`` from z, one "
        "learned number ``per-dimension``, one ``shared``, or ``fixed``.",
    )
    sigma: Positive = setting(
        default=0.1, help="Standard deviation or scale of p(x|z) where it is fixed."
    )


class OneSampleSettings(Configured):
    """For a VAE whose loss takes one sample of z and the whole KL."""

    particles: Count = pinned(default=1)
    free_bits: NotNegative = pinned(default=0.0)


class LabelSettings(Configured):
    """A classifier of labels that are mostly unknown."""

    classifier_dropout: Fraction = setting(
        default=0.5,
        help="Probability that a hidden unit (or channel) of the classifier is dropped.",
    )
    alpha: NotNegative = setting(
        default=50.0, help="Weight of -log q(y|.) of a labelled example, in nats against its bound."
    )
    shift: Natural = setting(
        default=0, help="Training images are moved by up to this many pixels either way."
    )


class GridSettings(Configured):
    """Convolutions to a grid of latents and back."""

    downsample: Count = setting(default=4, help="How many times coarser the grid is, a power of 2.")
    hidden: Count = setting(default=64, help="Channels of the residual blocks.")
    blocks: Natural = setting(default=1, help="Residual blocks at each size.")
    activation_name: str = setting(
        alias="activation", default="silu", help="``silu``, ``relu``, ..."
    )
    output_name: OutputName = setting(
        alias="decoder", default="auto", help="p(x|z): ``auto``, or its name as for the VAE."
    )

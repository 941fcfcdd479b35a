"""Groups of settings that families of models share."""

from phosphene.core.config import Configured
from phosphene.core.ranges import Count, Fraction, NotNegative
from phosphene.core.settings import setting

__all__ = ["ActivationSettings", "AttentionSettings", "DistortionSettings", "DropoutSettings"]


class ActivationSettings(Configured):
    """What stands between the layers of a network."""

    activation_name: str = setting(
        alias="activation",
        default="relu",
        help="``relu``, ``tanh``, ``silu``, ``elu``, ``gelu``, ...",
    )


class AttentionSettings(Configured):
    """Attention of several heads."""

    heads: Count = setting(default=4, help="Heads of attention; divides the width.")


class DropoutSettings(Configured):
    """Units that are dropped at random."""

    dropout: Fraction = setting(
        default=0.0, help="Probability that a hidden unit (or channel) is dropped in training."
    )


class DistortionSettings(Configured):
    """Distortions of training images, which the networks are told."""

    shift: NotNegative = setting(
        default=0.0,
        help="Training images are moved by up to this many pixels either way; the networks are "
        "given the distortion, which is 0 after training.",
    )
    warp: NotNegative = setting(
        default=0.0,
        help="Training images are rotated by up to this many radians and stretched by up to its "
        "exponential.",
    )

"""The importance-weighted autoencoder: a VAE trained with several particles."""

from typing import Literal

from phosphene.core.context import ContextSpec
from phosphene.core.event import Event
from phosphene.core.ranges import Count, Natural, Positive
from phosphene.generative.autoencoder.layers.likelihoods import OutputName, Variance
from phosphene.generative.autoencoder.layers.networks import NetworkName
from phosphene.generative.autoencoder.vae import VAE

__all__ = ["ImportanceWeightedAutoencoder"]


class ImportanceWeightedAutoencoder(VAE):
    """VAE trained on the K-sample bound E log (1/K) sum_k p(x, z_k) / q(z_k|x).

    The bound rises with K towards log p(x), and the encoder needs to be right only where its
    samples count, so the posterior may be richer than the Gaussian that proposes them. A step
    costs K decoder passes and one encoder pass.

    Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders" (2016).

    Args:
        event: What one example is.
        context: ``ContextSpec(label=...)`` or ``vector=...``.
        particles: Samples of z an example in training.
        latent_dim: Size of z.
        network: ``mlp``, ``conv`` or ``resnet``.
        hidden: Widths or channels from example to latent; None for the network's default.
        blocks: Residual blocks a stage, for ``resnet``.
        norm: ``none`` or ``group`` normalisation in residual blocks.
        activation: Its name.
        dropout: Probability that a hidden unit is dropped in training.
        decoder: p(x|z), ``auto`` or its name.
        variance: Who knows the scale of a Gaussian or logistic p(x|z).
        sigma: That scale where it is fixed.
        warmup: Steps over which log p(z) - log q(z|x) gains its full weight.
        shift: Training images are moved by up to this many pixels (see ``vae``).
        warp: They are turned and stretched by up to this much.
        patch: Side of the squares of pixels that ``conv`` and ``resnet`` fold into channels.

    Raises:
        EventError: The event or context cannot be modeled.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> ImportanceWeightedAutoencoder(Event.binary(9), hidden=(16,)).particles
        5
    """

    def __init__(
        self,
        event: Event,
        *,
        context: ContextSpec | None = None,
        particles: int = 5,
        latent_dim: int = 16,
        network: NetworkName = "mlp",
        hidden: tuple[int, ...] | None = None,
        blocks: Natural = 1,
        norm: Literal["none", "group"] = "none",
        activation: str = "relu",
        dropout: float = 0.0,
        decoder: OutputName = "auto",
        variance: Variance = "predicted",
        sigma: Positive = 0.1,
        warmup: int = 0,
        shift: float = 0.0,
        warp: float = 0.0,
        patch: Count = 1,
    ) -> None:
        super().__init__(
            event, context=context, particles=particles, latent_dim=latent_dim, network=network,
            hidden=hidden, blocks=blocks, norm=norm, activation=activation, dropout=dropout,
            decoder=decoder, variance=variance, sigma=sigma, warmup=warmup, shift=shift, warp=warp,
            patch=patch,
        )  # fmt: skip

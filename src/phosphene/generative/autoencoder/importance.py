"""The importance-weighted autoencoder: a VAE trained with several particles."""

from phosphene.core.ranges import Count, NotNegative
from phosphene.core.settings import pinned, setting
from phosphene.generative.autoencoder.vae import VAE

__all__ = ["ImportanceWeightedAutoencoder"]


class ImportanceWeightedAutoencoder(VAE):
    """VAE trained on the K-sample bound E log (1/K) sum_k p(x, z_k) / q(z_k|x).

    The bound rises with K towards log p(x), and the encoder needs to be right only where its
    samples count, so the posterior may be richer than the Gaussian that proposes them. A step
    costs K decoder passes and one encoder pass.

    Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders" (2016).

    Example:
        >>> from phosphene.core.event import Event
        >>> ImportanceWeightedAutoencoder(Event.binary(9), hidden=(16,)).particles
        5
    """

    particles: Count = setting(default=5, help="Samples of z an example in training.")
    free_bits: NotNegative = pinned(default=0.0)

"""The beta-VAE: a weight on the KL."""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.ranges import Count, Natural, NotNegative, Positive
from phosphene.generative.autoencoder.layers.likelihoods import OutputName, Variance
from phosphene.generative.autoencoder.layers.networks import NetworkName
from phosphene.generative.autoencoder.vae import VAE

__all__ = ["BetaVAE"]


class BetaVAE(VAE):
    """VAE with a weight on the KL: maximizes E_q[log p(x|z)] - beta KL(q(z|x) || p(z)).

    Above 1 the latents carry less, and the dimensions that stay are pushed to be independent of
    each other; below 1 reconstructions are sharper and the averaged posterior leaves the prior.
    Only training is weighted: the reported ``elbo`` has weight 1, and so remains a bound. For a
    linear decoder with noise sigma^2 a direction of variance lambda is used only where lambda >
    beta sigma^2 (see ``linear-vae``).

    Higgins et al., "beta-VAE: learning basic visual concepts with a constrained variational
    framework" (2017).

    Args:
        event: What one example is.
        context: ``ContextSpec(label=...)`` or ``vector=...``.
        beta: Weight of the KL, 0 or more.
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
        warmup: Steps over which the KL's weight rises from 0 to beta.
        shift: Training images are moved by up to this many pixels (see ``vae``).
        warp: They are turned and stretched by up to this much.
        patch: Side of the squares of pixels that ``conv`` and ``resnet`` fold into channels.

    Raises:
        EventError: The event or context cannot be modeled.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> BetaVAE(Event.binary(9), beta=2.0, hidden=(16,)).beta
        2.0
    """

    def __init__(
        self,
        event: Event,
        *,
        context: ContextSpec | None = None,
        beta: NotNegative = 4.0,
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
            event, context=context, latent_dim=latent_dim, network=network, hidden=hidden,
            blocks=blocks, norm=norm, activation=activation, dropout=dropout, decoder=decoder,
            variance=variance, sigma=sigma, warmup=warmup, shift=shift, warp=warp,
            patch=patch,
        )  # fmt: skip
        if not beta >= 0:
            raise ConfigError(f"beta must be 0 or more, got {beta}")
        self.beta = beta

    def objective(self, reconstruction: Tensor, kl: Tensor) -> Tensor:
        """E log p(x|z) - beta KL for each example."""
        return reconstruction - self.beta * self.kl_weight * kl.sum(1)

    def aim(self, terms: Mapping[str, Tensor]) -> Tensor:
        """E log p(x|z) - beta KL (n,), at the KL's full weight."""
        return terms["reconstruction"] - self.beta * terms["kl"]

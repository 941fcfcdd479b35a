"""The beta-VAE: a weight on the KL."""

from collections.abc import Mapping

from torch import Tensor

from phosphene.core.ranges import NotNegative
from phosphene.core.settings import setting
from phosphene.generative.autoencoder.settings import OneSampleSettings
from phosphene.generative.autoencoder.vae import VAE

__all__ = ["BetaVAE"]


class BetaVAE(OneSampleSettings, VAE):
    """VAE with a weight on the KL: maximizes E_q[log p(x|z)] - beta KL(q(z|x) || p(z)).

    Above 1 the latents carry less, and the dimensions that stay are pushed to be independent of
    each other; below 1 reconstructions are sharper and the averaged posterior leaves the prior.
    Only training is weighted: the reported ``elbo`` has weight 1, and so remains a bound. For a
    linear decoder with noise sigma^2 a direction of variance lambda is used only where lambda >
    beta sigma^2 (see ``linear-vae``).

    Higgins et al., "beta-VAE: learning basic visual concepts with a constrained variational
    framework" (2017).

    Raises:
        EventError: The event or context cannot be modeled.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> from phosphene.core.event import Event
        >>> BetaVAE(Event.binary(9), beta=2.0, hidden=(16,)).beta
        2.0
    """

    beta: NotNegative = setting(default=4.0, help="Weight of the KL.")

    def objective(self, reconstruction: Tensor, kl: Tensor) -> Tensor:
        """E log p(x|z) - beta KL for each example."""
        return reconstruction - self.beta * self.kl_weight * kl.sum(1)

    def aim(self, terms: Mapping[str, Tensor]) -> Tensor:
        """E log p(x|z) - beta KL (n,), at the KL's full weight."""
        return terms["reconstruction"] - self.beta * terms["kl"]

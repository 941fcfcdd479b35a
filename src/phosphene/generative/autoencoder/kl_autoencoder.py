"""An autoencoder whose latents are a small image: the first half of latent diffusion."""

from typing import Any

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.errors import EventError
from phosphene.core.model import Model
from phosphene.core.phase import Loss
from phosphene.core.ranges import Count, NotNegative
from phosphene.core.settings import setting
from phosphene.generative.autoencoder.layers.grid import GridDecoder, GridEncoder, grid_of
from phosphene.generative.autoencoder.layers.likelihoods import (
    build_output,
    soft_clamp,
)
from phosphene.generative.autoencoder.settings import GridSettings
from phosphene.nn.gaussian import kl_to_standard
from phosphene.nn.settings import DropoutSettings

__all__ = ["KLAutoencoder"]

_LOGVAR_LIMIT = 14.0


class KLAutoencoder(GridSettings, DropoutSettings, Model):
    """Latents on a grid, kept near N(0, I) by a KL divergence of small weight.

        L = -E_q log p(x | z) + w KL(q(z | x) || N(0, I)),    q(z | x) = N(mu(x), diag s(x)^2)

    by Rombach, Blattmann, Lorenz, Esser and Ommer (2022), without their adversarial and perceptual
    losses: p(x|z) is a distribution of codes, as for the VAE. A latent z is (h', w', d): an image
    f times smaller, of d channels. The weight w only keeps latents within reach of one another, so
    that N(0, I) is no good prior of them: a diffusion of the latents is (``latent-diffusion``).

    Args:
        event: Images of any number of levels.
        context: None.

    Raises:
        EventError: The event is not an image, or there is a context.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = KLAutoencoder(Event.image(1, 8, levels=2), code_dim=3, hidden=8)
        >>> x = torch.zeros(5, 1, 8, 8)
        >>> model.encode(x).shape, model.reconstruct(x).shape
        (torch.Size([5, 2, 2, 3]), torch.Size([5, 1, 8, 8]))
    """

    code_dim: Count = setting(default=4, help="d, the channels of the latents.")
    kl_weight: NotNegative = setting(default=0.01, help="w, the weight of the KL divergence.")

    def setup(self) -> None:
        """Make the networks."""
        super().setup()
        if self.event.kind != "image":
            self.refuse("its latents are images, and so are its examples")
        if self.context:
            raise EventError(
                f"KLAutoencoder takes no context, got {', '.join(self.context.names)}: "
                "it belongs to what is learned of its latents (latent-diffusion)"
            )
        self.grid = grid_of(self.event.shape, self.downsample)
        self.output = build_output(self.output_name, self.event)
        size: dict[str, Any] = {
            "downsample": self.downsample, "blocks": self.blocks,
            "activation": self.activation_name, "dropout": self.dropout,
        }  # fmt: skip
        shape, parameters = self.event.shape, self.output.parameters_per_dimension
        self.encoder = GridEncoder(shape, self.hidden, 2 * self.code_dim, **size)
        self.decoder = GridDecoder(shape, self.hidden, self.code_dim, parameters, **size)

    def prepare(self, batch: Batch) -> None:
        """Start the decoder at the marginals."""
        with torch.no_grad():
            self.decoder.start_at(self.output.fit(batch.x, batch.moments))

    def loss(self, batch: Batch) -> Loss:
        """See the class: in nats, summed over pixels and over the grid."""
        uniform = batch.uniform if self.training else None
        mu, logvar = self._posterior(self.event.check(batch.x), uniform)
        eps = batch.normal((*self.grid, self.code_dim)).to(mu.dtype)
        params = self.decoder(mu + torch.exp(0.5 * logvar) * eps, uniform)
        reconstruction = self.output.log_prob(params, batch.x)
        kl = kl_to_standard(mu, logvar).flatten(1).sum(1)
        total = (self.kl_weight * kl - reconstruction).mean()
        terms = {"reconstruction": reconstruction, "kl": kl}
        return Loss(total, {k: v.detach() for k, v in terms.items()})

    def _posterior(self, x: Tensor, uniform: Any = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (n, h', w', d) of q(z|x)."""
        h = self.encoder(self.output.normalize(x, self.dtype), uniform)
        mu, logvar = h.chunk(2, dim=-1)
        return mu, soft_clamp(logvar, _LOGVAR_LIMIT)

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The mean of q(z|x), (n, h', w', d)."""
        return self._posterior(self.event.check(x))[0]

    def decode_params(self, z: Tensor) -> Tensor:
        """Parameters (n, parameters, *event.shape) of p(x|z)."""
        out: Tensor = self.decoder(z)
        return out

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The mean of p(x|z) on the scale of the codes, (n, *event.shape) floats."""
        return self.output.mean(self.decode_params(z))

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        """``decode(encode(x))``: both means, no noise."""
        return self.decode(self.encode(x))

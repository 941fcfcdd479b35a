"""The autoencoder: a code through a bottleneck, by squared error."""

from typing import Literal

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.draws_per_context import each_row
from phosphene.core.errors import ConfigError
from phosphene.core.model import Model
from phosphene.core.phase import Loss
from phosphene.core.protocols import available_if
from phosphene.core.ranges import Count
from phosphene.core.settings import setting
from phosphene.generative.autoencoder.layers.networks import build_decoder, build_encoder
from phosphene.generative.autoencoder.layers.scaling import Scaling
from phosphene.generative.autoencoder.prior import LatentPrior
from phosphene.generative.autoencoder.settings import NetworkSettings
from phosphene.nn.noise import Uniform

__all__ = ["Autoencoder"]

HIDDEN = {"mlp": (256, 128), "conv": (32, 64), "resnet": (32, 64)}
"""Widths (or channels) of the small default of each network."""


class Autoencoder(NetworkSettings, Model):
    """Autoencoder: x^ = g(f(x)) through a code z = f(x) of few numbers.

        min_f,g  E |x - g(f(x))|^2

    Rumelhart, Hinton and Williams (1986); Hinton and Salakhutdinov (2006). A linear f and g can do
    no better than PCA (:class:`LinearAutoencoder`); networks can. Squared errors are summed over
    the D dimensions, with codes on the scale [0, 1] and reals in their own unit.

    An autoencoder has no density, and a code drawn at random decodes to nothing in particular:
    ``sample`` exists only once a prior has been fitted to the codes of the data.

    Args:
        event: What one example is: binary, image, audio or real.
        context: Refused: the model is not conditioned on anything.

    Raises:
        EventError: The event is of tokens, or a context was given.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = Autoencoder(Event.image(1, 8, levels=17), latent_dim=2)
        >>> x = torch.zeros(4, 1, 8, 8)
        >>> hasattr(model, "sample")
        False
        >>> z = model.encode(torch.randint(17, (200, 1, 8, 8)))
        >>> model.fit_prior(z, kind="normal")
        >>> model.sample(3).shape, model.reconstruct(x).shape
        (torch.Size([3, 1, 8, 8]), torch.Size([4, 1, 8, 8]))
    """

    latent_dim: Count = setting(
        default=8, help="Size of the code z; a bottleneck where it is below D."
    )
    prior_components: Count = setting(
        default=10, help="Largest number of Gaussians in the prior fitted after training."
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.prior_fitted: Tensor
        self.prior_weights: Tensor
        self.prior_means: Tensor
        self.prior_covariances: Tensor
        if self.context:
            self.refuse(f"it takes no context, got {', '.join(self.context.names)}")
        if self.event.kind == "tokens":
            self.refuse("token codes have no order, so squared errors of them mean nothing")
        self.scaling = Scaling(self.event)
        widths = self._widths() if self.hidden is None else tuple(self.hidden)
        self.encoder = build_encoder(
            self.network, self.event, widths, self.latent_dim,
            blocks=self.blocks, activation=self.activation_name, dropout=self.dropout,
            norm=self.norm,
        )  # fmt: skip
        self.decoder = build_decoder(
            self.network, self.latent_dim, widths[::-1], self.event,
            blocks=self.blocks, activation=self.activation_name, dropout=self.dropout,
            norm=self.norm,
        )  # fmt: skip
        k, d = self.prior_components, self.latent_dim
        self.register_buffer("prior_fitted", torch.tensor(False))
        self.register_buffer("prior_weights", torch.zeros(k, dtype=torch.float64))
        self.register_buffer("prior_means", torch.zeros(k, d, dtype=torch.float64))
        eye = torch.eye(d, dtype=torch.float64)
        self.register_buffer("prior_covariances", eye.repeat(k, 1, 1))

    def _widths(self) -> tuple[int, ...]:
        return HIDDEN.get(self.network, ())

    # -- training ---------------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> None:
        """Center and scale reals, and let the decoder start at the mean of the data."""
        self.decoder.start_at(self.scaling.fit(batch.x, batch.moments)[None])

    def loss(self, batch: Batch) -> Loss:
        """Squared error summed over dimensions, mean over examples."""
        y = self.scaling.normalize(batch.x, self.dtype)
        error = self._error(self._through(y, batch.uniform), y)
        return Loss(error.mean(), {"squared_error": error})

    # -- inference --------------------------------------------------------------------------------

    def squared_error(self, x: Tensor) -> Tensor:
        """|x - g(f(x))|^2 of each example (n,): codes on the scale [0, 1], reals in their unit."""
        y = self.scaling.normalize(self.event.check(x), self.dtype)
        return self._error(self._through(y), y)

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The code (n, latent_dim)."""
        z: Tensor = self.encoder(self.scaling.normalize(self.event.check(x), self.dtype))
        return z

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The example of a code, (n, *event.shape) floats on the scale of the event's codes."""
        return self._codes(self.decoder(z.to(self.dtype)).squeeze(1))

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        """``decode(encode(x))``."""
        return self.decode(self.encode(x))

    # -- sampling ---------------------------------------------------------------------------------

    def fit_prior(
        self,
        z: Tensor,
        *,
        kind: Literal["normal", "mixture"] = "mixture",
        components: int | None = None,
        seed: int = 0,
    ) -> None:
        """Fit a density to the codes of the training data; it is saved with the weights.

        Args:
            z: Codes (n, latent_dim) of training examples, from :meth:`encode`.
            kind: ``normal`` for one Gaussian, or ``mixture``.
            components: Gaussians in the mixture; ``prior_components`` at most, which is the
                default.
            seed: Seeds the start of the mixture.

        Raises:
            ConfigError: There are more components than ``prior_components``.
            DataError: There are fewer codes than components.
        """
        most = self.prior_components
        components = most if components is None else components
        if components > most:
            raise ConfigError(f"components must be at most prior_components={most}: {components}")
        prior = LatentPrior.fit(z, kind, components, seed)
        k = len(prior.weights)
        # Weights of unused components stay at zero: they are never drawn.
        self.prior_weights.zero_()[:k] = prior.weights
        self.prior_means[:k] = prior.means
        self.prior_covariances[:k] = prior.covariances
        self.prior_fitted.fill_(True)

    @property
    def prior(self) -> LatentPrior:
        """The fitted prior, without its unused components."""
        used = self.prior_weights > 0
        return LatentPrior(
            self.prior_weights[used], self.prior_means[used], self.prior_covariances[used]
        )

    @available_if(
        lambda self: bool(self.prior_fitted),
        "an autoencoder has no distribution of codes until one is fitted: "
        "call fit_prior(model.encode(x)) first",
    )
    @torch.no_grad()
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw codes from the fitted prior and decode them: (n, *event.shape), valid codes."""
        x = self.decode(self.prior.sample(n, generator).to(self.device))
        if self.event.levels is None:
            return x
        return x.round().to(torch.uint8 if self.event.levels <= 256 else torch.int64)

    # -- pieces -----------------------------------------------------------------------------------

    def _through(self, y: Tensor, uniform: Uniform | None = None) -> Tensor:
        """g(f(y)) on the network's scale."""
        out: Tensor = self.decoder(self.encoder(y, None, uniform), None, uniform)
        return out.squeeze(1)

    def _error(self, output: Tensor, y: Tensor) -> Tensor:
        return (output - y).flatten(1).square().sum(1) * self.scaling.unit.square()

    def _codes(self, y: Tensor) -> Tensor:
        """From the network's scale to the event's; codes are held in their range."""
        x = self.scaling.denormalize(y)
        return x if self.event.levels is None else x.clamp(0, self.event.levels - 1)

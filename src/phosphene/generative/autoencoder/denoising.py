"""The denoising autoencoder: what it learns is a conditional mean, and with it the score."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.errors import EventError
from phosphene.core.event import Event
from phosphene.core.phase import Loss
from phosphene.core.protocols import available_if
from phosphene.core.ranges import COUNT, Count, Positive, Within
from phosphene.core.settings import pinned, setting
from phosphene.generative.autoencoder.autoencoder import Autoencoder

__all__ = ["DenoisingAutoencoder"]

HIDDEN = {"mlp": (512,), "conv": (32, 64), "resnet": (32, 64)}
"""Widths (or channels) of the small default of each network."""


class DenoisingAutoencoder(Autoencoder):
    """Denoising autoencoder: reconstruct x from a corrupted x~, through a code of any size.

        min_r  E |x - r(x~)|^2,    so that    r*(x~) = E[x | x~]

    Vincent, Larochelle, Bengio and Manzagol (2008); Vincent et al. (2010). The corruption keeps a
    code larger than x from learning the identity. With Gaussian noise the reconstruction points
    uphill in the density of the noisy data p_sigma (Alain and Bengio, 2014; the formula is exact
    for the optimal r at every sigma, by Tweedie's):

        (r*(x~) - x~) / sigma^2 = grad log p_sigma(x~)

    Units: ``sigma`` and squared errors are on the scale [0, 1] for codes (code / (levels - 1)) and
    in the data's unit for reals. Corrupted examples are floats on the scale of the event's codes.

    Args:
        event: What one example is: binary, image, audio or real.
        context: Refused: the model is not conditioned on anything.

    Raises:
        EventError: The event is of tokens, or a context was given.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> model = DenoisingAutoencoder(Event.image(1, 8, levels=17), sigma=0.3)
        >>> noisy = model.corrupt(torch.zeros(2, 1, 8, 8), torch.Generator().manual_seed(0))
        >>> model.denoise(noisy).shape, model.latent_dim
        (torch.Size([2, 1, 8, 8]), 128)
    """

    noise: Literal["gaussian", "masking"] = setting(
        default="gaussian",
        help="``gaussian``: x~ = x + sigma eps; ``masking``: each dimension is lost with "
        "probability ``masked`` and replaced by the middle of the scale (the mean, for "
        "reals).",
    )
    sigma: Positive = setting(default=0.25, help="Standard deviation of Gaussian noise.")
    masked: Annotated[float, Within(0, 1, above=True, below=True)] = setting(
        default=0.3, help="Probability that masking noise hides a dimension."
    )
    code_dim: Annotated[int | None, COUNT] = setting(
        alias="latent_dim",
        default=None,
        help="Size of the code; None for twice the event's dimensions, at most 1024.",
    )

    latent_dim: Count = pinned()

    def setup(self) -> None:
        """Make the parts."""
        dimensions = self.event.dimensions
        self.latent_dim = min(2 * dimensions, 1024) if self.code_dim is None else self.code_dim
        super().setup()

    def _widths(self) -> tuple[int, ...]:
        return HIDDEN.get(self.network, ())

    # -- training ---------------------------------------------------------------------------------

    def loss(self, batch: Batch) -> Loss:
        """Squared error of the reconstruction from corrupted examples."""
        y = self.scaling.normalize(batch.x, self.dtype)
        if self.noise == "gaussian":
            corrupted = self._add(y, batch.normal(self.event.shape))
        else:
            corrupted = self._hide(y, batch.uniform(self.event.shape))
        error = self._error(self._through(corrupted, batch.uniform), y)
        return Loss(error.mean(), {"squared_error": error})

    # -- inference --------------------------------------------------------------------------------

    def corrupt(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Examples with the training's noise, as floats on the scale of the event's codes."""
        y = self.scaling.normalize(self.event.check(x), self.dtype)
        if self.noise == "gaussian":
            eps = torch.randn(y.shape, generator=generator, dtype=y.dtype, device=y.device)
            return self.scaling.denormalize(self._add(y, eps))
        uniform = torch.rand(y.shape, generator=generator, dtype=y.dtype, device=y.device)
        return self.scaling.denormalize(self._hide(y, uniform))

    def denoise(self, x: Tensor) -> Tensor:
        """The mean of x given a corrupted x~ (n, *event.shape): floats on the codes' scale.

        Args:
            x: Corrupted examples; floats, which may lie beyond the range of the codes.

        Raises:
            EventError: The shape is another, or values are not finite.
        """
        self._check_floats(x)
        return self._codes(self._through(self.scaling.normalize(x, self.dtype)))

    @available_if(
        lambda self: self.event.levels is None and self.noise == "gaussian",
        "the score is that of a density: it needs a real event and noise='gaussian'",
    )
    def score(self, x: Tensor) -> Tensor:
        """(r(x) - x) / sigma^2, the gradient of the log-density of data plus noise, (n, *shape)."""
        self._check_floats(x)
        return (self.denoise(x) - x.to(self.dtype)) / self.sigma**2

    @torch.no_grad()
    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        steps: int | None = None,
    ) -> Tensor:
        """Keep x where the mask is True, and fill the rest by iterated projection.

            x <- mask x + (1 - mask) r(x)

        starting with the middle of the scale (the mean, for reals), as masking noise does. A model
        of masking noise sees the holes and gives E[x | what is known] in one turn; more would feed
        it its own guesses as if they were known. With Gaussian noise every turn moves the missing
        part uphill in the density, given the part that is known. Nothing is drawn, so
        ``generator`` is not used.

        Args:
            x: Examples (n, *event.shape); what they hold where the mask is False is ignored.
            mask: Booleans (n, *event.shape), or of a shape that broadcasts to it.
            context: Not used.
            generator: Not used.
            steps: Turns; None for 1 with masking noise and 50 with Gaussian noise.

        Returns:
            (n, *event.shape): valid codes, or floats for reals.

        Raises:
            EventError: The mask is not boolean, or does not fit x.
        """
        given = self._mask(x, mask)
        y = self.scaling.normalize(self.event.check(torch.where(given, x, 0)), self.dtype)
        filled = torch.where(given, y, torch.zeros_like(y))
        turns = {"masking": 1, "gaussian": 50}[self.noise] if steps is None else steps
        for _ in range(turns):
            filled = torch.where(given, y, self._through(filled))
        out = self._codes(filled)
        if self.event.levels is None:
            return torch.where(given, x.to(out.dtype), out)
        out = out.round().to(torch.uint8 if self.event.levels <= 256 else torch.int64)
        return torch.where(given, x.to(out.dtype), out)

    # -- pieces -----------------------------------------------------------------------------------

    def _add(self, y: Tensor, eps: Tensor) -> Tensor:
        # sigma is in reported units; the network's scale is `unit` times finer or coarser.
        return y + self.sigma / self.scaling.unit.to(y.dtype) * eps.to(y.dtype)

    def _hide(self, y: Tensor, uniform: Tensor) -> Tensor:
        return torch.where(uniform < self.masked, torch.zeros_like(y), y)

    def _check_floats(self, x: Tensor) -> None:
        Event.real(*self.event.shape).check(x)

    def _mask(self, x: Tensor, mask: Tensor) -> Tensor:
        if mask.dtype != torch.bool:
            raise EventError(f"a mask is boolean, True where x is known, got {mask.dtype}")
        try:
            return mask.expand(x.shape)
        except RuntimeError:
            raise EventError(
                f"a mask of shape {tuple(mask.shape)} does not fit examples {tuple(x.shape)}"
            ) from None

"""Diffusion of an autoencoder's latents: fewer numbers to denoise than an image has."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene import catalog
from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.draws_per_context import each_row
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.phase import Loss, Phase
from phosphene.core.protocols import Decodes, Encodes, available_if, may_be
from phosphene.core.ranges import COUNT
from phosphene.core.settings import setting
from phosphene.core.stages import Part
from phosphene.generative.composed.building import build_denoiser, build_part

__all__ = ["LatentDiffusion"]


class LatentDiffusion(Model):
    """x = decode(z), z ~ a diffusion of encode(x): Rombach, Blattmann, Lorenz, Esser, Ommer (2022).

    The first model makes latents of examples and examples of latents; the second, of the diffusion
    family, is trained on latents alone. Latents are a vector, or a grid (h', w', d) that the
    denoiser sees as an image of d channels. It standardizes them (each channel to mean 0 and
    variance 1), since noise of variance 1 says nothing to latents of another scale. A label belongs
    to the denoiser; the autoencoder is told nothing.

    Trained by ``phosphene train`` it has two stages: the autoencoder, then the denoiser, with the
    latents computed once. ``--from RUN`` begins with an autoencoder of one's own. As one model it
    trains both side by side. Samples are means of p(x|z), rounded to codes. It has no density: the
    latents have one, and what is lost between them and the examples is not measured.

    Args:
        event: What the autoencoder takes.
        context: What the denoiser is conditioned on.

    Raises:
        ConfigError: The first system has no codes to decode, or the second is no diffusion.

    Example:
        >>> model = LatentDiffusion(
        ...     Event.image(1, 8, levels=17),
        ...     autoencoder={"code_dim": 2, "hidden": 8},
        ...     denoiser={"widths": (8,)},
        ... )
        >>> model.latent_event, model.sample(3, steps=2).shape
        (Event(kind='real', shape=(2, 2, 2), levels=None), torch.Size([3, 1, 8, 8]))
    """

    autoencoder_system: str = setting(
        default="kl-autoencoder", help="Name of the system that makes the latents."
    )
    autoencoder_settings: Mapping[str, Any] | None = setting(
        alias="autoencoder", default=None, help="Its settings."
    )
    denoiser_system: str = setting(
        default="score-sde", help="``ddpm``, ``score-sde`` or ``flow-matching``."
    )
    denoiser_settings: Mapping[str, Any] | None = setting(
        alias="denoiser", default=None, help="Its settings."
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.systems = (self.autoencoder_system, self.denoiser_system)
        self.settings = (dict(self.autoencoder_settings or {}), dict(self.denoiser_settings or {}))
        if not may_be(catalog.find(self.systems[0]).load(), Encodes, Decodes):
            raise ConfigError(
                f"autoencoder_system {self.systems[0]!r} does not encode and decode; "
                "'kl-autoencoder', 'vq-vae' and 'vae' do"
            )
        self.autoencoder = build_part(self.systems[0], self.event, None, self.settings[0])
        self.latent_event = self._measured()
        self.denoiser = build_denoiser(
            self.systems[1], self.latent_event, self.context_spec, self.settings[1]
        )

    def _measured(self) -> Event:
        """What the latents of one example are, as the denoiser sees them."""
        codec = cast(Any, self.autoencoder)
        training = self.autoencoder.training
        with torch.no_grad():
            z = codec.eval().encode(torch.zeros((1, *self.event.shape)))
        self.autoencoder.train(training)
        shape = tuple(z.shape[1:])
        if len(shape) not in (1, 3):
            raise ConfigError(
                f"latents are a vector or a grid (h, w, d); those of {self.systems[0]!r} have the "
                f"shape {shape}"
            )
        return Event.real(*(shape if len(shape) == 1 else (shape[2], *shape[:2])))

    # -- training in stages -----------------------------------------------------------------------

    stages = ("autoencoder", "denoiser")

    def part(self, stage: str) -> Part:
        """The autoencoder, which is told nothing, or the denoiser."""
        if stage == "autoencoder":
            return Part(self.systems[0], self.settings[0], self.autoencoder)
        return Part(self.systems[1], self.settings[1], self.denoiser, self.context.names)

    def outputs(self, stage: str, x: Tensor) -> Tensor:
        """The latents of examples, which the denoiser is trained on."""
        return self.latents(x)

    @classmethod
    def beginning_with(
        cls, system: str, config: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Settings for a diffusion of the latents of a model that exists."""
        return {**settings, "autoencoder_system": system, "autoencoder": dict(config)}

    # -- training side by side --------------------------------------------------------------------

    def prepare(self, batch: Batch) -> None:
        """Prepare both, the denoiser on the latents of the first batch."""
        self.autoencoder.prepare(batch)
        self.denoiser.prepare(self._latent(batch))

    def phases(self) -> Sequence[Phase]:
        """The autoencoder's phases, then the denoiser's, on latents as they are at that step."""
        own = [
            Phase(
                f"autoencoder-{p.name}",
                p.parameters, p.loss, p.optimizer, p.every, p.repeat, p.update,
            )
            for p in self.autoencoder.phases()
        ]  # fmt: skip
        return [*own, Phase("denoiser", list(self.denoiser.parameters()), self._denoising)]

    def loss(self, batch: Batch) -> Loss:
        """What validation judges, side by side: the sum of what it judges of each part."""
        first, second = self.autoencoder.judged(batch), self.denoiser.judged(self._latent(batch))
        return Loss(first.total + second.total, {**first.terms, **second.terms})

    def _latent(self, batch: Batch) -> Batch:
        with torch.no_grad():
            z = self.latents(batch.x)
        return Batch(z, batch.index, batch.context, batch.noise)

    def _denoising(self, batch: Batch) -> Loss:
        return self.denoiser.loss(self._latent(batch))

    # -- latents ----------------------------------------------------------------------------------

    @property
    def _codec(self) -> Any:
        return cast(Any, self.autoencoder)

    @property
    def _denoiser(self) -> Any:
        return cast(Any, self.denoiser)

    @property
    def on_a_grid(self) -> bool:
        """Whether latents have a height and a width."""
        return len(self.latent_event.shape) == 3

    def latents(self, x: Tensor) -> Tensor:
        """Latents (n, *latent_event.shape) as the denoiser is trained on them, channels first."""
        z: Tensor = self._codec.encode(x)
        return z.movedim(-1, 1).contiguous() if self.on_a_grid else z

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The autoencoder's code (n, d) or (n, h', w', d)."""
        self.given(context, len(x))
        return cast(Tensor, self._codec.encode(x))

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The mean example of a code, on the scale of the codes, as floats."""
        self.given(context, len(z))
        return cast(Tensor, self._codec.decode(z))

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        """``decode(encode(x))``: the most that samples can hold of an example."""
        return self.decode(self.encode(x, context), context)

    def _means(self, z: Tensor) -> Tensor:
        """Means of p(x|z), of latents as the denoiser has them."""
        z = z.to(self.autoencoder.dtype)
        return cast(Tensor, self._codec.decode(z.movedim(1, -1) if self.on_a_grid else z))

    def _examples(self, z: Tensor) -> Tensor:
        """The same as examples of the event."""
        x = self._means(z)
        if self.event.levels is None:
            return x
        kind = torch.uint8 if self.event.levels <= 256 else torch.int64
        return x.round().clamp(0, self.event.levels - 1).to(kind)

    # -- samples ----------------------------------------------------------------------------------

    @torch.no_grad()
    @each_row
    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        steps: Annotated[int | None, COUNT] = None,
        sampler: str = "auto",
        guidance: float | None = None,
        rescale: float = 0.0,
        eta: float | None = None,
    ) -> Tensor:
        """Draw latents, and decode them: (n, *event.shape).

        Args:
            n: How many.
            context: What they are conditioned on.
            generator: Draws the noise.
            steps: Of the sampler; None for the denoiser's usual number.
            sampler: Its name; ``auto`` for the denoiser's usual one.
            guidance: w of classifier-free guidance, above -1; 0 is the conditional model itself,
                and None the weight that is the model's own.
            rescale: Of guidance, from 0 to 1.
            eta: Noise of the sampler ``ddim``, from 0 to 1.
        """
        how = _told(steps, sampler, guidance, rescale, eta)
        z = self._denoiser.sample(n, context, generator=generator, **how)
        return self._examples(z)

    @torch.no_grad()
    def sample_path(
        self,
        n: int,
        context: Context | None = None,
        *,
        frames: int = 8,
        generator: torch.Generator | None = None,
        steps: int | None = None,
        sampler: str = "auto",
        guidance: float | None = None,
        rescale: float = 0.0,
        eta: float | None = None,
    ) -> Tensor:
        """Samples and how they came about (frames, n, *event.shape): latents on the way, decoded.

        Args:
            n: How many.
            context: As in :meth:`sample`.
            frames: How many states, 2 or more.
            generator: As in :meth:`sample`.
            steps: As in :meth:`sample`.
            sampler: As in :meth:`sample`.
            guidance: As in :meth:`sample`.
            rescale: As in :meth:`sample`.
            eta: As in :meth:`sample`.
        """
        how = _told(steps, sampler, guidance, rescale, eta)
        states: Tensor = self._denoiser.sample_path(
            n, context, frames=frames, generator=generator, **how
        )
        drawn: Tensor = self._means(states.flatten(0, 1)).unflatten(0, (len(states), n))
        return drawn

    @torch.no_grad()
    def refine(
        self,
        x: Tensor,
        strength: float = 0.6,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        steps: int | None = None,
        sampler: str = "auto",
        guidance: float | None = None,
        rescale: float = 0.0,
        eta: float | None = None,
    ) -> Tensor:
        """Noise the latents of examples part of the way, and draw anew what the noise has covered.

        Args:
            x: Examples (n, *event.shape).
            strength: From near 0, where the reconstruction of x comes back, to 1.
            context: What the results are conditioned on.
            generator: Draws the noise.
            steps: Of the whole sampler.
            sampler: As in :meth:`sample`.
            guidance: As in :meth:`sample`.
            rescale: As in :meth:`sample`.
            eta: As in :meth:`sample`.
        """
        how = _told(steps, sampler, guidance, rescale, eta)
        z = self._denoiser.refine(self.latents(x), strength, context, generator=generator, **how)
        return self._examples(z)

    @available_if(lambda self: self.on_a_grid, "its latents have no places to fill in")
    @torch.no_grad()
    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        steps: int | None = None,
        jump: int = 5,
        resample: int = 3,
        guidance: float | None = None,
        rescale: float = 0.0,
    ) -> Tensor:
        """Keep x where the mask is True and draw the rest, in the latents.

        A latent is kept where the whole block of pixels that it stands for is; the others are
        drawn, and what the decoder makes of them is taken where the mask is False. So a border
        that runs through blocks is drawn wider than it was asked for, and pixels on its two sides
        come from two images that agree as far as the reconstruction does. An encoder looks beyond
        the block: what it sees of the missing pixels is the mean of those that are kept.

        Args:
            x: Examples (n, *event.shape).
            mask: Booleans, of x's shape or of one that stands for all; True is kept.
            context: What the results are conditioned on.
            generator: Draws the noise.
            steps: Levels from noise to latents; None for the usual number.
            jump: Levels of a stretch, each of which is sampled ``resample`` times.
            resample: How often; 1 for plain replacement.
            guidance: As in :meth:`sample`.
            rescale: As in :meth:`sample`.

        Raises:
            ConfigError: The mask keeps everything.
        """
        kept = torch.broadcast_to(mask.bool(), x.shape)
        if bool(kept.all()):
            raise ConfigError("the mask keeps every value: there is nothing to fill in")
        blocks = self._blocks(kept).expand(len(x), *self.latent_event.shape)
        z = self._denoiser.inpaint(
            self.latents(_filled(x, kept)), blocks, context, generator=generator,
            steps=steps, jump=jump, resample=resample, guidance=guidance, rescale=rescale,
        )  # fmt: skip
        drawn = self._examples(z)
        return torch.where(kept, x.to(drawn.dtype), drawn)

    def _blocks(self, kept: Tensor) -> Tensor:
        """Which latents (n, 1, h', w') stand for pixels that are all kept."""
        _, rows, columns = self.latent_event.shape
        height, width = self.event.shape[1:]
        f = max(-(-height // rows), -(-width // columns))
        lost = (~kept).any(1, keepdim=True).to(torch.float32)
        lost = F.pad(lost, (0, columns * f - width, 0, rows * f - height))
        return F.max_pool2d(lost, f) == 0

    @torch.no_grad()
    def interpolate(
        self,
        a: Tensor,
        b: Tensor,
        count: int,
        context: Context | None = None,
        *,
        steps: int | None = None,
    ) -> Tensor:
        """Examples between two (n, count, *event.shape), by the noises of their latents.

        Args:
            a: Examples at one end.
            b: Examples at the other.
            count: How many in each row, the ends included.
            context: One row for each pair.
            steps: Of the way to the noise and back; more steps, less error.
        """
        z: Tensor = self._denoiser.interpolate(
            self.latents(a), self.latents(b), count, context, steps=steps
        )
        between: Tensor = self._means(z.flatten(0, 1)).unflatten(0, (len(a), count))
        return between


def _told(
    steps: int | None, sampler: str, guidance: float | None, rescale: float, eta: float | None
) -> dict[str, Any]:
    return {
        "steps": steps, "sampler": sampler, "guidance": guidance, "rescale": rescale, "eta": eta,
    }  # fmt: skip


def _filled(x: Tensor, kept: Tensor) -> Tensor:
    """Images whose missing pixels have the mean of the kept ones of their channel, or are 0."""
    value = x.double()
    known = kept.sum((2, 3), keepdim=True)
    mean = (value * kept).sum((2, 3), keepdim=True) / known.clamp(min=1)
    if not x.is_floating_point():
        mean = mean.round()
    return torch.where(kept, x, mean.to(x.dtype))

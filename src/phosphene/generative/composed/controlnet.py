"""ControlNet: a trained diffusion that obeys an image, and is not changed by learning to."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, cast

import torch
from torch import Tensor, nn

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.draws_per_context import each_row
from phosphene.core.errors import ConfigError
from phosphene.core.model import Model
from phosphene.core.phase import Loss, Phase
from phosphene.core.ranges import COUNT
from phosphene.core.settings import setting
from phosphene.core.stages import Part
from phosphene.generative.composed.building import build_denoiser
from phosphene.generative.composed.control import Control, Controlled

__all__ = ["ControlNet"]


class ControlNet(Model):
    """m(x, t, c, image) = D(E(x, t, c) + Z E'(x + Z_0 f(image), t, c)), by Zhang, Rao and Agrawala.

    "Adding conditional control to text-to-image diffusion models" (2023). E and D are the halves of
    a trained U-Net, which stay as they are; E' is a copy of E that learns, and Z are convolutions
    that are 0 at the start, so that the model begins as the base, to the bit. Then the copy's
    gradient is 0 and that of Z is not; once Z has moved, both learn. The image may be edges, a
    foreground or a sketch (data sets such as ``digits-edges`` and ``edges:folder:PATH`` have them).

    Trained by ``phosphene train`` it has two stages: the base, which is told everything but the
    image, then the control. ``--from RUN`` begins with a base of one's own; in Python,
    :meth:`begin_with` does. As one model it trains both side by side. It samples, redraws and
    fills in as the base does, by all samplers; guidance is toward label and image together.

    Args:
        event: Images of codes, which the base models.
        context: An image, and what else the base is told.

    Raises:
        EventError: The event is not an image of codes, or the context has no image.
        ConfigError: The base is no diffusion, or its network is no U-Net.

    Example:
        >>> from phosphene.core.context import ContextSpec
        >>> from phosphene.core.event import Event
        >>> told = ContextSpec(image=Event.image(1, 8, levels=2))
        >>> model = ControlNet(Event.image(1, 8, levels=17), context=told, base={"widths": (8,)})
        >>> model.sample(2, Context(image=torch.ones(1, 1, 8, 8)), steps=2).shape
        torch.Size([2, 1, 8, 8])
    """

    weights_particles = False
    likelihood = "bound"

    """Whether the base was trained before, and stays as it is."""

    base_system: str = setting(
        default="score-sde", help="``ddpm``, ``score-sde`` or ``flow-matching``."
    )
    base_settings: Mapping[str, Any] | None = setting(
        alias="base", default=None, help="Its settings."
    )

    def setup(self) -> None:
        """Make the base and the control."""
        super().setup()
        if self.event.kind != "image":
            self.refuse("it models images of codes")
        if self.context.image is None:
            self.refuse("it needs an image in its context, as 'digits-edges' or 'edges:NAME' have")
        told = replace(self.context, image=None)
        self.base = build_denoiser(self.base_system, self.event, told or None, self.base_settings)
        encoder = getattr(self._base.network, "encoder", None)
        if not hasattr(encoder, "hint_shape"):
            raise ConfigError(
                f"the network of {self.base_system!r} has no half to copy: it must be a U-Net "
                "(network='unet')"
            )
        size = (self.event.shape[1], self.event.shape[2])
        self.control = Control(cast(nn.Module, encoder), self.context.image, size)
        self.bound_note = self.base.bound_note
        self.begun: Tensor
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    @property
    def scoring_particles(self) -> int:
        """Those of the base."""
        return int(getattr(self.base, "scoring_particles", 1))

    @property
    def _base(self) -> Any:
        return cast(Any, self.base)

    @property
    def _whole(self) -> Any:
        """The base under another network and another context: every sampler is its own."""
        whole: Any = copy.copy(self.base)
        network = Controlled(self._base.network, self.control)
        whole.__dict__["_modules"] = {**self._base._modules, "network": network}
        whole.__dict__["context"] = self.context
        return whole

    # -- training in stages -----------------------------------------------------------------------

    stages = ("base", "control")

    def part(self, stage: str) -> Part:
        """The base, which is told everything but the image, or all of it."""
        if stage == "base":
            told = tuple(name for name in self.context.names if name != "image")
            return Part(self.base_system, dict(self.base_settings or {}), self.base, told)
        settings = {k: v for k, v in self.config.items() if k not in ("event", "context")}
        return Part("controlnet", settings, self, self.context.names)

    def outputs(self, stage: str, x: Tensor) -> Tensor:
        """The examples themselves."""
        return x

    def hand_over(self, stage: str, model: Model) -> None:
        """Begin the control with the base as it was trained, and with a copy of its first half."""
        assert isinstance(model, ControlNet)
        model.begin_with(self.base)

    @torch.no_grad()
    def begin_with(self, base: Model) -> None:
        """Take a trained base of the same settings; the copy of its first half begins anew.

        Args:
            base: A model of the base's system, settings, event and context.
        """
        self.base.load_state_dict(base.state_dict())
        self.control.encoder.load_state_dict(self._base.network.encoder.state_dict())
        self.begun.fill_(True)

    @classmethod
    def beginning_with(
        cls, system: str, config: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Settings for control of a model that exists."""
        return {**settings, "base_system": system, "base": dict(config)}

    def phases(self) -> Sequence[Phase]:
        """The control alone, where the base was trained before; else both, side by side."""
        control = Phase("control", list(self.control.parameters()), self.loss)
        if bool(self.begun):
            self.base.requires_grad_(False)
            return [control]
        own = [
            Phase(f"base-{p.name}", p.parameters, p.loss, p.optimizer, p.every, p.repeat, p.update)
            for p in self.base.phases()
        ]
        return [*own, control]

    def loss(self, batch: Batch) -> Loss:
        """The base's loss, of the controlled network."""
        return cast(Loss, self._whole.loss(batch))

    # -- what it is for ---------------------------------------------------------------------------

    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The base's bound (n,) in nats, of the controlled network."""
        bound: Tensor = self._whole.elbo(x, context, particles=particles, generator=generator)
        return bound

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
        """Draw (n, *event.shape) that obey the images of the context.

        Args:
            n: How many.
            context: The images, and what else they are conditioned on.
            generator: Draws the noise.
            steps: Of the sampler; None for the base's usual number.
            sampler: Its name; ``auto`` for the base's usual one.
            guidance: w of classifier-free guidance, above -1; 0 is the conditional model itself,
                and None the weight that is the model's own.
            rescale: Of guidance, from 0 to 1.
            eta: Noise of the sampler ``ddim``, from 0 to 1.
        """
        drawn: Tensor = self._whole.sample(
            n, context, generator=generator, steps=steps, sampler=sampler, guidance=guidance,
            rescale=rescale, eta=eta,
        )  # fmt: skip
        return drawn

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
        """Samples and how they came about (frames, n, *event.shape), from noise to the data.

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
        states: Tensor = self._whole.sample_path(
            n, context, frames=frames, generator=generator, steps=steps, sampler=sampler,
            guidance=guidance, rescale=rescale, eta=eta,
        )  # fmt: skip
        return states

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
        """Noise examples part of the way, and draw anew what the noise has covered.

        Args:
            x: Examples (n, *event.shape).
            strength: From near 0, where x comes back, to 1, where nothing of it stays.
            context: As in :meth:`sample`.
            generator: As in :meth:`sample`.
            steps: Of the whole sampler.
            sampler: As in :meth:`sample`.
            guidance: As in :meth:`sample`.
            rescale: As in :meth:`sample`.
            eta: As in :meth:`sample`.
        """
        drawn: Tensor = self._whole.refine(
            x, strength, context, generator=generator, steps=steps, sampler=sampler,
            guidance=guidance, rescale=rescale, eta=eta,
        )  # fmt: skip
        return drawn

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
        """Keep x where the mask is True and draw the rest, to agree with it and with the image.

        Args:
            x: Examples (n, *event.shape).
            mask: Booleans, of x's shape or of one that stands for all; True is kept.
            context: As in :meth:`sample`.
            generator: As in :meth:`sample`.
            steps: Levels from noise to data; None for the usual number.
            jump: Levels of a stretch, each of which is sampled ``resample`` times.
            resample: How often; 1 for plain replacement.
            guidance: As in :meth:`sample`.
            rescale: As in :meth:`sample`.
        """
        drawn: Tensor = self._whole.inpaint(
            x, mask, context, generator=generator, steps=steps, jump=jump, resample=resample,
            guidance=guidance, rescale=rescale,
        )  # fmt: skip
        return drawn

    def interpolate(
        self,
        a: Tensor,
        b: Tensor,
        count: int,
        context: Context | None = None,
        *,
        steps: int | None = None,
    ) -> Tensor:
        """Examples between two (n, count, *event.shape), by their noises.

        Args:
            a: Examples at one end.
            b: Examples at the other.
            count: How many in each row, the ends included.
            context: One row for each pair.
            steps: Of the way to the noise and back; more steps, less error.
        """
        between: Tensor = self._whole.interpolate(a, b, count, context, steps=steps)
        return between

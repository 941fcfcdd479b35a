"""C-Flow: two flows of paired images, the second conditioned on the states of the first."""

from dataclasses import replace

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.derivatives import transformed
from phosphene.core.event import Event
from phosphene.core.phase import Loss
from phosphene.core.ranges import Count, Positive
from phosphene.core.settings import pinned, setting
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.actnorm import ActNorm
from phosphene.generative.flow.layers.conditioner import ImageConditioner
from phosphene.generative.flow.layers.conv1x1 import InvertibleConv
from phosphene.generative.flow.layers.coupling import ChannelCoupling
from phosphene.generative.flow.layers.multiscale import Level, MultiScale, check_levels
from phosphene.generative.flow.layers.split import Split
from phosphene.generative.flow.layers.steered import (
    Recorded,
    States,
    Steered,
    SteeredSplit,
    recorded,
)
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.generative.flow.settings import LimitSettings
from phosphene.nn.monotone import Affine

__all__ = ["CFlow"]


class CFlow(LimitSettings, Flow):
    """log p(x_B | x_A) = log N(z_B; 0, I) + log |det dz_B/dx_B| with z_B = f(x_B; h_1, ..., h_k).

    h_1, ..., h_k are the states of a second flow g, z_A = g(x_A), after each of its k steps. The
    i-th step of f sees h_i beside its own input, and so does the split after it: f is told of x_A
    at every scale, as g has come to see it. x_A is the context's image. C-Flow, by Pumarola,
    Popov, Moreno-Noguer and Ferrari (2020).

    Both are learned at once, by -log p(x_B | x_A) - w log p(x_A) with w the ``condition_weight``;
    the first term trains g too, through its states. Likelihoods (``elbo``, ``log_prob``) are those
    of x_B given x_A. Codes of x_A are spread over their bins by noise for g's own likelihood; they
    lie in the middle of their bins where f is told of them, so that what f says is a function of
    x_A alone.

    The paper adds a cycle term, lambda |x_B - x'_B|_1 for a draw x'_B given x_A; it is not part of
    the likelihood, and is left out.

    Besides draws of x_B for an x_A (``sample``) there are draws of both (:meth:`sample_pairs`),
    and x_B as it would be for another x_A, its latent kept (:meth:`transfer`).

    Args:
        event: x_B: images (C, h, w) of codes or reals.
        context: ``image``: x_A, of the same height and width. A label or a vector is told to f
            besides.

    Raises:
        EventError: There is no x_A, it has another size, or an image cannot be halved so often.
        ConfigError: A number is out of its range.

    Example:
        >>> spec = ContextSpec(image=Event.image(1, 4, levels=2))
        >>> flow = CFlow(Event.image(3, 4), context=spec, steps=1, hidden=8, condition_hidden=8)
        >>> x, a = torch.zeros(2, 3, 4, 4), Context(image=torch.ones(2, 1, 4, 4))
        >>> flow.elbo(x, a).shape, torch.equal(flow.transfer(x, a, a).float(), x)
        (torch.Size([2]), True)
    """

    levels: Count = setting(default=2, help="Scales; each halves height and width.")
    steps: Count = setting(
        default=4,
        help="Steps (activation normalization, 1x1 convolution, affine coupling) of each scale.",
    )
    hidden: Count = setting(default=64, help="Channels of the networks of f.")
    condition_hidden: Count = setting(default=32, help="Channels of the networks of g.")
    codec_name: str = setting(
        alias="codec",
        default="centered",
        help="How codes become reals: ``centered``, ``logit`` or ``equalized``.",
    )
    condition_weight: Positive = setting(
        default=1.0, help="Weight w of the first flow's likelihood, above 0."
    )
    conditional: bool = setting(
        default=True, help="Condition f on x_A; False gives p(x_A) p(x_B), for comparison."
    )

    base_name: str = pinned(default="normal")
    components: Count = pinned(default=8)
    whiten: bool = pinned(default=False)
    alpha: float = pinned(default=0.05)
    dequantization: str = pinned(default="uniform")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.transform: _Pair
        given = self.context.image
        if given is None:
            self.refuse("it models an image given another one: context=ContextSpec(image=...)")
        for shown in (self.event, given):
            check_levels(shown, self.levels, type(self).__name__)
        if given.shape[1:] != self.event.shape[1:]:
            height, width = given.shape[1:]
            self.refuse(f"its condition is {height}x{width}, and must have the same size")
        g = _Condition(
            given,
            levels=self.levels,
            steps=self.steps,
            hidden=self.condition_hidden,
            limit=self.limit,
            codec=self.codec_name,
        )
        layers = _Layers(self.hidden, self.limit, self.context, given if self.conditional else None)
        self.build(_Pair(layers.flow(self.event, self.levels, self.steps), g))

    @property
    def condition(self) -> "_Condition":
        """The flow g of x_A, a model of its own: ``condition.elbo(a)``, ``condition.sample(n)``."""
        return self.transform.condition

    def loss(self, batch: Batch) -> Loss:
        """The negative bound of x_B given x_A, and w times that of x_A."""
        loss = super().loss(batch)
        own = self.condition.loss(self._conditions(batch)).terms["nll"]
        total = loss.total + self.condition_weight * own.mean()
        return Loss(total, {**loss.terms, "condition_nll": own})

    def judged(self, batch: Batch) -> Loss:
        """The negative bound of x_B given x_A alone."""
        return super().loss(batch)

    def prepare(self, batch: Batch) -> None:
        """First g by the batch's conditions, then f by its examples and g's states."""
        self.condition.prepare(self._conditions(batch))
        super().prepare(batch)

    def _conditions(self, batch: Batch) -> Batch:
        """The batch of x_A, with the same source of noise."""
        context = self.given(batch.context, len(batch))
        assert context.image is not None
        return Batch(context.image, batch.index, noise=batch.noise)

    @torch.no_grad()
    def transfer(self, x: Tensor, given: Context, wanted: Context) -> Tensor:
        """f^-1(f(x | x_A^1) | x_A^2): what x would be, were its condition another.

        The latent keeps what the condition does not say, such as color and ground where the
        condition is a map of the shapes. With ``wanted`` equal to ``given`` x comes back: exactly
        for codes, up to rounding for reals.

        Args:
            x: Examples x_B^1 (n, *event.shape).
            given: Their conditions x_A^1.
            wanted: The new conditions x_A^2.

        Raises:
            EventError: There is no image in a context, or it has another shape.
        """
        y, _ = self.codec.encode(self.event.check(x).to(self.dtype), None)
        z, _ = self.transform.forward_and_log_det(y, self.given(given, len(x)))
        return self.codec.decode(self.transform.inverse(z, self.given(wanted, len(x))))

    @torch.no_grad()
    def sample_pairs(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Draw x_A, and x_B given it: (n, *context.image.shape) and (n, *event.shape).

        Args:
            n: How many.
            context: The other parts of the context, where there are any.
            generator: Source of the noise.
            temperature: Multiplies the spread of both latents.
        """
        a = self.condition.sample(n, generator=generator, temperature=temperature)
        told = replace(context or Context(), image=a)
        return a, self.sample(n, told, generator=generator, temperature=temperature)


class _Condition(Flow):
    """The flow g of x_A, whose steps can be listened to."""

    transform: MultiScale

    def __init__(
        self, event: Event, *, levels: int, steps: int, hidden: int, limit: float, codec: str
    ) -> None:
        super().__init__(event, codec=codec)
        self.build(_Layers(hidden, limit, ContextSpec(), None).flow(event, levels, steps))

    def states(self, image: Tensor) -> list[Tensor]:
        """What becomes of images after each step: h_1, ..., h_k."""
        y, _ = self.codec.encode(image.to(self.dtype), None)
        if torch.is_grad_enabled() or transformed() or len(y) < 2:
            return recorded(self.transform, y)
        # Many draws for one condition stand in a row: its states are computed once.
        first = torch.ones(len(y), dtype=torch.bool, device=y.device)
        first[1:] = (y[1:] != y[:-1]).flatten(1).any(1)
        if bool(first.all()):
            return recorded(self.transform, y)
        row = first.cumsum(0) - 1
        return [h.index_select(0, row) for h in recorded(self.transform, y[first])]


class _Pair(Transform):
    """x_B to z_B, by f told of g's states; x_A is the context's image."""

    def __init__(self, flow: MultiScale, condition: _Condition) -> None:
        super().__init__()
        self.flow, self.condition = flow, condition

    def _told(self, context: Context | None) -> Context:
        assert context is not None
        assert context.image is not None
        return States.of(context, self.condition.states(context.image))

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        return self.flow.forward_and_log_det(x, self._told(context))

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        return self.flow.inverse(z, self._told(context))

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        return self.flow.inverse_and_log_det(z, self._told(context))

    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        return self.flow.prepare(x, self._told(context))


class _Layers:
    """Makes the levels of f and of g, which are alike but for what they are told.

    Args:
        hidden: Channels of the networks.
        limit: Of log-scales.
        context: What couplings are told besides.
        told: The event whose flow steers this one; None where none does.
    """

    def __init__(self, hidden: int, limit: float, context: ContextSpec, told: Event | None) -> None:
        self.hidden, self.limit, self.told = hidden, limit, told
        self.context = replace(context, image=None)

    def flow(self, event: Event, levels: int, steps: int) -> MultiScale:
        """Levels of [squeeze, steps, split]; every step steered, or recorded."""
        made, (channels, height, width) = [], event.shape
        told = 0 if self.told is None else self.told.shape[0]
        for level in range(levels):
            channels, height, width, told = 4 * channels, height // 2, width // 2, 4 * told
            first = level * steps
            image = Event.real(told, height, width) if told else None
            spec = replace(self.context, image=image)
            chain = [self._step(channels, spec, first + i) for i in range(steps)]
            split = None
            if level < levels - 1:
                split = self._split(channels, told, first + steps - 1)
                channels, told = split.sizes[0], told - told // 2
            made.append(Level(Composition(chain), split))
        return MultiScale(made)

    def _step(self, channels: int, spec: ContextSpec, index: int) -> Transform:
        kept, moved = channels - channels // 2, channels // 2
        network = ImageConditioner(kept, self.hidden, 2 * moved, context=spec)
        coupling = ChannelCoupling(channels, Affine(self.limit), network)
        step = Composition([ActNorm(channels), InvertibleConv(channels), coupling])
        return Recorded(step) if spec.image is None else Steered(step, index)

    def _split(self, channels: int, told: int, index: int) -> Split:
        if not told:
            return Split(channels, context=self.context)
        return SteeredSplit(channels, told, index, context=self.context)

"""SRFlow: super-resolution as a conditional flow."""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.ranges import Count, Natural, Within
from phosphene.core.settings import pinned, setting
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.actnorm import ActNorm
from phosphene.generative.flow.layers.conv1x1 import InvertibleConv
from phosphene.generative.flow.layers.coupling import ChannelCoupling
from phosphene.generative.flow.layers.injector import AffineInjector
from phosphene.generative.flow.layers.mean_pyramid import MeansAndShares
from phosphene.generative.flow.layers.pyramid import ImageEncoder, Pyramid, PyramidLevel
from phosphene.generative.flow.layers.squeeze import Squeeze
from phosphene.generative.flow.layers.transform import Composition, Transform, total
from phosphene.generative.flow.settings import LimitSettings
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.mlp import check_widths
from phosphene.nn.monotone import Affine

__all__ = ["SRFlow"]


class SRFlow(LimitSettings, Flow):
    r"""p(x | y): high-resolution images x of a low-resolution image y, by a flow conditioned on y.

    By Lugmayr, Danelljan, Van Gool and Timofte (2020). An encoder turns y into features u, once.
    Every flow step is an ActNorm, a 1x1 convolution, an affine injector
    h' = exp(s(u)) h + b(u), and an affine coupling whose network is told u. Latents leave at
    every level. Temperature 0 gives one sharp image; a temperature near 1 many.

    With ``consistent`` (the default) the levels split an image into the means of its blocks and the
    shares of their pixels (``MeansAndShares``), from fine to coarse;
    the steps move the shares, told the means, and the means of the coarsest blocks are modeled as
    y, in units of a code of y:

    .. math::
        p(x \mid y) = p(m \mid y) \prod_l p(\text{shares}_l \mid \text{means}_l, y), \qquad
        m = y + \mu(u) + \sigma(u) z .

    Whatever the shares are, the means of the blocks stay as they were drawn. So the block means of
    an image are y, but for the rounding of codes and for sigma, which training makes as small as
    the rounding of y was: the consistency that the paper obtains by training holds here from
    the first step, and no pixel leaves its range. Without it, levels squeeze, transition steps
    (ActNorm and 1x1 convolution) follow, and half of the channels split off: the published design.

    Args:
        event: Images of codes (c, H, W).
        context: ``image``, codes (c, H / f, W / f) for f = 2, 4, 8 ...; labels and vectors besides,
            if there are any.

    Raises:
        EventError: The event is not an image of codes, or the context holds no image, or one whose
            size is not the event's divided by a power of two; with ``consistent``, or one of
            another number of channels.
        ConfigError: A number is out of range.

    Example:
        >>> from phosphene.core.event import Event
        >>> small = ContextSpec(image=Event.image(1, 2))
        >>> flow = SRFlow(Event.image(1, 8), context=small, steps=1, features=8, hidden=8)
        >>> flow.sample(3, Context(image=torch.full((3, 1, 2, 2), 200)), temperature=0.8).shape
        torch.Size([3, 1, 8, 8])
    """

    steps: Count = setting(default=6, help="Conditional flow steps at each level.")
    features: Count = setting(default=48, help="Channels of the encoder's features.")
    blocks: Natural = setting(default=4, help="Residual blocks of the encoder.")
    hidden: Count = setting(default=48, help="Channels of the couplings' and injectors' networks.")
    consistent: bool = setting(
        default=True, help="Model block means as the low-resolution image, and their shares."
    )
    transitions: Natural = setting(
        default=2, help="Transition steps after each squeeze, in the published design."
    )
    alpha: Annotated[float, Within(0, 0.5, above=True, below=True)] = setting(
        default=1e-3, help="alpha, the margin of the logit codec."
    )

    base_name: str = pinned(default="normal")
    components: Count = pinned(default=8)
    whiten: bool = pinned(default=False)
    codec_name: str = pinned(default="logit")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.factor = self._factor(self.consistent)
        self.build(self._consistent(self.alpha) if self.consistent else self._published())
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _factor(self, consistent: bool) -> int:
        """How many times smaller the context's image is."""
        event, image = self.event, self.context.image
        if event.kind != "image":
            self.refuse("it makes images of codes")
        if image is None:
            self.refuse(
                "it needs the image at a lower resolution as context, which data such as "
                "'mnist-x4' or 'x4:folder:PATH' hold"
            )
        if image.kind != "image":
            self.refuse(f"its context must be an image of codes, got {image}")
        channels, height, width = image.shape
        factor = max(1, event.shape[1] // height)
        if (
            factor < 2
            or factor & (factor - 1)
            or event.shape[1:]
            != (
                factor * height,
                factor * width,
            )
        ):
            self.refuse(
                f"the image of its context must be smaller by 2, 4, 8 or another power of two on "
                f"both sides, got {height} x {width}"
            )
        if consistent and channels != event.shape[0]:
            self.refuse(
                f"images of {event.shape[0]} channels have means of as many, and the context's "
                f"has {channels}: set consistent to false"
            )
        return factor

    # -- the two designs --------------------------------------------------------------------------

    def _consistent(self, alpha: float) -> Pyramid:
        c, levels = self.event.shape[0], int(math.log2(self.factor))
        off = [Composition([*self._steps(3 * c), self._injector(3 * c)]) for _ in range(levels)]
        parts = [PyramidLevel(MeansAndShares(), c, o, self.features) for o in off]
        image = self.context.image
        assert image is not None
        anchor = _Anchor(self.event.levels or 2, image.levels or 2, self.factor, alpha)
        sizes = [self._size(k + 1) for k in range(levels)]
        encoder = self._encoder([*sizes, sizes[-1]])
        return Pyramid(encoder, parts, self._injector(c), anchor)

    def _published(self) -> Pyramid:
        c, levels = self.event.shape[0], int(math.log2(self.factor)) + 1
        most = min(_halvings(n) for n in self.event.shape[1:])
        levels = min(levels, most)
        parts, sizes = [], [self._size(k + 1) for k in range(levels)]
        for k in range(levels):
            c *= 4
            moves: list[Transform] = [Squeeze()]
            for _ in range(self.transitions):
                moves += [ActNorm(c), InvertibleConv(c)]
            moves += self._steps(c)
            if k < levels - 1:
                keep = c - c // 2
                prior = self._injector(c // 2)
                parts.append(PyramidLevel(Composition(moves), keep, prior, self.features))
                c = keep
        rest = Composition([*moves, _Unsqueeze()])
        return Pyramid(self._encoder(sizes), parts, rest)

    def _size(self, halvings: int) -> tuple[int, int]:
        return self.event.shape[1] >> halvings, self.event.shape[2] >> halvings

    def _encoder(self, sizes: list[tuple[int, int]]) -> ImageEncoder:
        spec, image = self.context, self.context.image
        assert image is not None
        told = ContextSpec(label=spec.label, vector=spec.vector)
        bias = ConditionBias(told, self.features) if told else None
        return ImageEncoder(image, self.features, self.blocks, sizes, bias)

    def _steps(self, c: int) -> list[Transform]:
        """ActNorm, 1x1 convolution, affine injector and conditional affine coupling, each time."""
        moves: list[Transform] = []
        for k in range(self.steps):
            moves += [ActNorm(c), InvertibleConv(c), self._injector(c)]
            if c > 1:
                network = _Network(c - c // 2, self.features, self.hidden, 2 * (c // 2))
                moves.append(ChannelCoupling(c, Affine(self.limit), network, swap=k % 2 == 1))
        return moves

    def _injector(self, c: int) -> AffineInjector:
        return AffineInjector(_Network(0, self.features, self.hidden, 2 * c), Affine(self.limit))


class _Network(nn.Module):
    """Of x (3x3) and features of the context (1x1), through a hidden layer to a 3x3 convolution.

    Features have seen their neighborhood, so that every step need only look at one of them.
    """

    def __init__(self, inputs: int, features: int, hidden: int, outputs: int) -> None:
        super().__init__()
        check_widths((hidden,))
        self.told = nn.Conv2d(features, hidden, 1)
        self.first = nn.Conv2d(inputs, hidden, 3, padding=1, bias=False) if inputs else None
        self.second = nn.Conv2d(hidden, hidden, 1) if inputs else None
        self.head = nn.Conv2d(hidden, outputs, 3 if inputs else 1, padding=1 if inputs else 0)
        nn.init.zeros_(self.head.weight)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, context: Context | None = None) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h, w)."""
        assert context is not None
        assert context.image is not None
        h = self.told(context.image)
        if self.first is not None:
            assert self.second is not None
            h = F.relu(self.second(F.relu(h + self.first(x))))
        out: Tensor = self.head(F.relu(h))
        return out


class _Anchor(Transform):
    r"""Logits of block means to their distance from the low-resolution image, in deviations.

    .. math::
        z = (\operatorname{logit} m - \operatorname{logit} y) \, y (1 - y) K / d, \qquad
        d^2 = \tfrac{1}{12} \left(k^2 + f^{-2}\right)

    with y the image's codes on the scale of m, K codes of x to the unit, and d the deviation that
    the mean has in these codes by the rounding of y (k codes of x to one of y) and by the
    dequantization of f x f pixels. So z is about normal before anything is learned.
    """

    def __init__(self, levels: int, low_levels: int, factor: int, alpha: float) -> None:
        super().__init__()
        self.levels, self.alpha = levels, alpha
        self.step = (levels - 1) / (low_levels - 1)
        self.deviation = math.sqrt((self.step**2 + factor**-2) / 12)

    def _center(self, context: Context | None, like: Tensor) -> tuple[Tensor, Tensor]:
        assert context is not None
        assert context.image is not None
        code = context.image.to(like.dtype) * self.step
        y = self.alpha + (1 - 2 * self.alpha) * (code + 0.5) / self.levels
        return torch.logit(y), y * (1 - y) * (self.levels / self.deviation)

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """From logits of means to distances."""
        center, scale = self._center(context, x)
        return (x - center) * scale, total(scale.log())

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """From distances to logits of means."""
        center, scale = self._center(context, z)
        return z / scale + center


class _Unsqueeze(Squeeze):
    """The inverse of a squeeze."""

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Channels become space."""
        return super().inverse_and_log_det(x, context)

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Space becomes channels."""
        return super().forward_and_log_det(z, context)


def _halvings(n: int) -> int:
    return (n & -n).bit_length() - 1

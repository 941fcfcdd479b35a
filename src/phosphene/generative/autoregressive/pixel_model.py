"""What the convolutional models of images share: order, places, conditions, augmentation."""

import torch
from torch import Tensor, nn

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import EventError
from phosphene.core.event import Event
from phosphene.core.phase import Loss
from phosphene.core.settings import setting
from phosphene.generative.autoregressive.autoregressive import Autoregressive, Stepper
from phosphene.generative.autoregressive.pixel_windows import Unrolled
from phosphene.nn.augment import DISTORTIONS, distort_images, random_distortions
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.noise import Uniform
from phosphene.nn.settings import DistortionSettings, DropoutSettings

__all__ = ["Given", "PixelModel", "image_of_codes", "spread"]


def image_of_codes(system: str, event: Event) -> Event:
    """The event, if it is an image of codes."""
    if not event.has_image_shape or not event.discrete:
        raise EventError(
            f"{system} cannot model {event}: it generates the codes of an image (channels, height, "
            "width), pixel by pixel; 'made' takes vectors"
        )
    return event


def spread(given: Tensor | None) -> Tensor | float:
    """What is added to every pixel, as (n, channels, 1, 1)."""
    return 0.0 if given is None else given[:, :, None, None]


class Given(nn.Module):
    """What a layer is told: the condition, and in training the distortion of its image.

    Args:
        spec: The condition that is declared.
        told: Numbers that describe a distortion, or 0.
        outputs: Channels of the layer.
    """

    def __init__(self, spec: ContextSpec, told: int, outputs: int) -> None:
        super().__init__()
        self.condition = ConditionBias(spec, outputs)
        self.distortion = nn.Linear(told, outputs, bias=False) if told else None

    def forward(self, context: Context | None, told: Tensor | None = None) -> Tensor | None:
        """What is added to every pixel (n, outputs), or None for nothing."""
        given: Tensor | None = self.condition(context)
        if self.distortion is None or told is None:
            return given
        added: Tensor = self.distortion(told)
        return added if given is None else given + added


class PixelModel(DropoutSettings, DistortionSettings, Autoregressive):
    """p(x) = prod over pixels, in raster order, of p(x_R | <) p(x_G | x_R, <) p(x_B | x_R, x_G, <).

    With ``shift`` or ``warp``, training images are distorted at random and the network is told
    how, so that its likelihoods remain those of undistorted images (distribution augmentation; Jun
    et al., 2020).

    Args:
        event: An image of codes.
        context: A label or a vector, or nothing.
    """

    position_bias: bool = setting(
        default=True,
        help="Whether places have biases of their own, before the first layer's activation and in "
        "the output; without, the network cannot tell places but by the border.",
    )

    def setup(self) -> None:
        """Find the order."""
        super().setup()
        self.raster: Tensor
        self.output_bias: nn.Parameter
        self.told = DISTORTIONS if self.shift or self.warp else 0
        self.colors, height, width = self.event.shape
        self.places = (height, width) if self.position_bias else (1, 1)
        order = torch.arange(self.event.dimensions).view(self.colors, -1).T.flatten()
        self.register_buffer("raster", order, persistent=False)

    # -- to be written ------------------------------------------------------------------------

    def network(
        self, x: Tensor, context: Context | None, told: Tensor | None, uniform: Uniform | None
    ) -> Tensor:
        """Parameters (n, colors * size, h, w) from normalized images (n, colors, h, w)."""
        raise NotImplementedError

    def unroll(self, n: int, context: Context | None) -> Unrolled:
        """The same network, laid out for one pixel after another."""
        raise NotImplementedError

    # -- what follows from it -----------------------------------------------------------------

    def order_of(self, member: int = 0) -> Tensor:
        """Pixel by pixel in raster order, and the colors of a pixel one after another."""
        return self.raster

    def conditionals(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        member: int = 0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Parameters (n, D, size) of all conditionals."""
        return self.parameters_given(x, context, None, uniform)

    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        """One window for each layer at a time: the arithmetic of one pass in total."""
        with torch.no_grad():
            return self.unroll(n, context).step

    def loss(self, batch: Batch) -> Loss:
        """The negative log-likelihood, of distorted images where these are asked for."""
        if not self.told or not self.training:
            return super().loss(batch)
        by = random_distortions(batch.uniform((DISTORTIONS + 1,))).to(self.dtype)
        x = distort_images(batch.x, by, shift=self.shift, warp=self.warp)

        def score(x: Tensor, context: Context) -> Tensor:
            params = self.parameters_given(x, context, by, batch.uniform)
            return self.conditional.log_prob(params, x.flatten(1)).sum(-1)

        nll = -self._over_labels(x, self._checked(x, batch.context), score)
        return Loss(nll.mean(), {"nll": nll})

    def start_at(self, start: Tensor) -> None:
        """Start at each place's marginals, or at their mean where places share a bias."""
        whole = start.view(self.colors, *self.event.shape[1:], -1).permute(0, 3, 1, 2).flatten(0, 1)
        if self.places == (1, 1):
            whole = whole.mean((1, 2), keepdim=True)
        self.output_bias.copy_(whole)

    # -- details ------------------------------------------------------------------------------

    def parameters_given(
        self, x: Tensor, context: Context | None, told: Tensor | None, uniform: Uniform | None
    ) -> Tensor:
        """Parameters (n, D, size) of all conditionals, of images distorted as told."""
        flat = self.conditional.normalize(x.flatten(1), self.dtype)
        images = flat.view(x.shape).contiguous(memory_format=torch.channels_last)
        out = self.network(images, context, told, uniform) + self.output_bias
        params: Tensor = out.unflatten(1, (self.colors, -1)).permute(0, 1, 3, 4, 2)
        return params.flatten(1, 3)

    def _unrolled(self, n: int, turns: int) -> Unrolled:
        """An empty layout for n examples."""
        levels = self.event.levels or 2
        scale = 1.0 if levels == 2 else 2.0 / (levels - 1)
        shift = 0.0 if levels == 2 else -1.0
        return Unrolled(self.event, n, self.output_bias, turns, (scale, shift))

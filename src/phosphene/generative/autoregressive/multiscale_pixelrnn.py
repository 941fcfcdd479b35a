"""Multi-scale PixelRNN: a small image first, then the whole image given the small one."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.settings import setting
from phosphene.generative.autoregressive.autoregressive import Stepper
from phosphene.generative.autoregressive.pixel_model import PixelModel, image_of_codes
from phosphene.generative.autoregressive.pixelrnn import PixelWalk, RecurrentPixels
from phosphene.generative.autoregressive.settings import RecurrentSettings
from phosphene.nn.noise import Uniform

__all__ = ["MultiscalePixelRNN"]


class _Upsample(nn.Module):
    """Features of every pixel of the whole image from the small one, by a strided deconvolution.

    A pixel sees ``kernel`` x ``kernel`` pixels of the small image about its own place.
    """

    def __init__(
        self, colors: int, features: int, kernel: int, stride: int, size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.size = size
        self.conv = nn.Conv2d(colors, features, kernel, padding=kernel // 2)
        self.up = nn.ConvTranspose2d(features, features, stride, stride)

    def forward(self, small: Tensor) -> Tensor:
        """Features (P, n, features) of a normalized small image (n, colors, h, w)."""
        height, width = self.size
        whole = self.up(F.relu(self.conv(small)))[:, :, :height, :width]
        features: Tensor = F.relu(whole).flatten(2).permute(2, 0, 1)
        return features


class MultiscalePixelRNN(RecurrentSettings, PixelModel):
    """p(x) = prod_{i in S} p(x_i | x_j, j < i, j in S) prod_{i not in S} p(x_i | x_j, j < i; x_S).

    Van den Oord, Kalchbrenner and Kavukcuoglu (2016): S are the pixels of every ``stride``-th row
    and column. A PixelRNN generates this small image; another one generates the whole image given
    the small one, whose features, upsampled by a deconvolution, are added to the input of every
    layer. The small image's pixels are pixels of the whole image: the second network passes over
    them, and its product is over the others alone. So the order of generation is S in raster order,
    then all others in raster order (each after all of S and its predecessors), and the likelihood
    is exact.

    Args:
        event: An image of codes (c, h, w).
        context: A label or a vector, which every layer of both networks sees; or nothing.

    Raises:
        EventError: The event is not an image of codes.
        UnknownNameError: There is no layer of that name.
        ConfigError: A setting out of range.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = MultiscalePixelRNN(Event.image(1, 3, levels=2), hidden=4)
        >>> model.order.tolist()
        [0, 2, 6, 8, 1, 3, 4, 5, 7]
        >>> model.log_prob(torch.zeros(2, 1, 3, 3)).shape
        torch.Size([2])
    """

    stride: int = setting(
        default=2, help="Rows and columns from one pixel of the small image to the next, 2 or more."
    )

    def setup(self) -> None:
        """Make the parts."""
        image_of_codes("multiscale-pixelrnn", self.event)
        super().setup()
        self.in_small: Tensor
        self.order_in_two: Tensor
        _, height, width = self.event.shape
        most = max(height, width) - 1
        if not 2 <= self.stride <= most:
            raise ConfigError(
                f"stride must lie in 2..{most} for an image of {height} x {width}, "
                f"got {self.stride}"
            )
        in_small = torch.zeros(height, width, dtype=torch.bool)
        stride, hidden = self.stride, self.hidden
        in_small[::stride, ::stride] = True
        self.register_buffer("in_small", in_small, persistent=False)
        pixels = torch.arange(height * width).view(height, width)
        order = torch.cat([pixels[in_small], pixels[~in_small]])[:, None]
        order = order + torch.arange(self.colors) * height * width
        self.register_buffer("order_in_two", order.flatten(), persistent=False)

        def network(size: tuple[int, ...], features: int) -> RecurrentPixels:
            return RecurrentPixels(
                (self.colors, *size),
                self.conditional.size,
                layer=self.layer,
                hidden=self.hidden,
                layers=self.layers,
                kernel=self.kernel,
                dropout=self.dropout,
                position_bias=self.position_bias,
                given=(self.context, self.told),
                features=features,
            )

        self.small = network(in_small[::stride, ::stride].shape, 0)
        self.upsample = _Upsample(self.colors, hidden, self.kernel, stride, (height, width))
        self.whole = network((height, width), hidden)
        size = self.colors * self.conditional.size
        self.output_bias = nn.Parameter(torch.zeros(size, *self.places))

    def order_of(self, member: int = 0) -> Tensor:
        """The small image's pixels in raster order, then the others; a pixel's colors together."""
        return self.order_in_two

    def network(
        self, x: Tensor, context: Context | None, told: Tensor | None, uniform: Uniform | None
    ) -> Tensor:
        """Parameters (n, colors size, h, w) from normalized images."""
        small = x[:, :, :: self.stride, :: self.stride]
        out = self.whole(x, context, told, uniform, self.upsample(small))
        first = torch.zeros_like(out)
        first[:, :, :: self.stride, :: self.stride] = self.small(small, context, told, uniform)
        return torch.where(self.in_small, first, out)

    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        """The small image's states, then the whole image's, each computed once."""
        return _TwoWalks(self, n, context)


class _TwoWalks:
    """One conditional after another through both networks.

    The second network passes over the small image's pixels: it computes their states, which later
    pixels need, and no parameters.
    """

    def __init__(self, model: MultiscalePixelRNN, n: int, context: Context | None) -> None:
        self.model, self.n, self.context = model, n, context
        self.order = model.order.tolist()
        pixels = model.in_small.numel()
        self.small_size = int(model.in_small.sum())
        self.pixels = [i % pixels for i in self.order]
        bias = model.output_bias.unflatten(0, (model.colors, -1))
        self.bias = bias.expand(-1, -1, *model.event.shape[1:]).flatten(2)
        self.walk = PixelWalk(model.small, n, context)
        self.at = -1

    def __call__(self, k: int, x: Tensor) -> Tensor:
        """The parameters (n, size) of the value at rank k."""
        colors = self.model.colors
        color, first = k % colors, self.small_size * colors
        if k == first:
            self._begin_whole(x)
        elif k:
            before = k - 1
            place = self.pixels[before] if k > first else before // colors
            self.walk.put((k - 1) % colors, place, self._normal(x, before))
        pixel = self.pixels[k] if k >= first else k // colors
        while self.at < pixel - 1:
            self.at += 1
            self.walk.features(self.at)
        self.at = pixel
        params: Tensor = self.bias[color, :, self.pixels[k]]
        return params + self.walk.params(self.walk.features(pixel), color)

    def _begin_whole(self, x: Tensor) -> None:
        model, first = self.model, self.small_size * self.model.colors
        small = torch.stack([self._normal(x, k) for k in range(first)], 1)
        shape = model.in_small[:: model.stride, :: model.stride].shape
        image = small.view(self.n, *shape, model.colors).permute(0, 3, 1, 2)
        self.walk = PixelWalk(model.whole, self.n, self.context, model.upsample(image))
        self.at = -1
        for k in range(first):
            self.walk.put(k % model.colors, self.pixels[k], small[:, k])

    def _normal(self, x: Tensor, k: int) -> Tensor:
        """The value at rank k on the scale of the networks."""
        return self.model.conditional.normalize(x[:, self.order[k]], self.model.dtype)

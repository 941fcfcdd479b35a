"""PixelRNN: images pixel by pixel, by LSTMs over rows or diagonals."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.generative.autoregressive.autoregressive import Stepper
from phosphene.generative.autoregressive.layers.image_lstm import (
    ColorLinear,
    DiagonalBiLSTM,
    RowLSTM,
)
from phosphene.generative.autoregressive.layers.masked_conv import MaskedConv2d
from phosphene.generative.autoregressive.pixel_model import (
    Given,
    PixelModel,
    image_of_codes,
)
from phosphene.generative.autoregressive.settings import RecurrentSettings
from phosphene.nn.noise import Uniform, dropout

__all__ = ["LayerName", "PixelRNN", "PixelWalk", "RecurrentPixels"]

LayerName = Literal["row", "diagonal"]


class _Block(nn.Module):
    """A residual layer: y + B(LSTM(y + U c + V s)), see :class:`RecurrentPixels`."""

    def __init__(
        self,
        recurrent: RowLSTM | DiagonalBiLSTM,
        maps: int,
        colors: int,
        given: tuple[ContextSpec, int],
        features: int,
    ) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.out = ColorLinear(recurrent.hidden, maps, colors)
        self.given = Given(*given, maps)
        self.at_pixels = nn.Linear(features, maps, bias=False) if features else None


class RecurrentPixels(nn.Module):
    """The network of a PixelRNN: a masked convolution, residual LSTM layers, a masked head.

    y_0 = A(x) + position,  y_l = y_{l-1} + B_l(LSTM_l(y_{l-1} + U_l c + V_l s)),
    parameters = B(relu(B(relu(y_L)))), where A is a convolution under mask A, every B a 1 x 1
    convolution under mask B, c the condition, and s features of a small image at each pixel. The
    maps y have 2 h features, the states h.

    Args:
        shape: Channels, height and width of the image.
        size: Parameters of one value's conditional.
        layer: ``row`` or ``diagonal``.
        hidden: Features h of a state; rounded up to a multiple of the channels.
        layers: How many LSTM layers.
        kernel: Size of the first convolution, odd, 3 or more.
        dropout: Probability that a feature of a map is withheld from a layer, at all pixels.
        position_bias: Whether every pixel has biases of its own.
        given: What is declared of the condition, and how many numbers describe a distortion.
        features: Size of s; 0 for nothing.

    Raises:
        UnknownNameError: There is no layer of that name.
        ConfigError: A number out of range.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        size: int,
        *,
        layer: str,
        hidden: int,
        layers: int,
        kernel: int,
        dropout: float,
        position_bias: bool,
        given: tuple[ContextSpec, int],
        features: int = 0,
    ) -> None:
        super().__init__()
        _check(layer, hidden, layers, kernel)
        colors, height, width = shape
        hidden = -(-hidden // colors) * colors
        self.shape, self.size, self.dropout = (colors, height, width), size, dropout
        maps, reach = 2 * hidden, kernel // 2
        self.first = MaskedConv2d(
            colors, maps, "A", above=reach, left=reach, right=reach, groups=colors, bias=False
        )
        pixels = height * width if position_bias else 1
        self.position = nn.Parameter(torch.zeros(pixels, 1, maps))
        self.blocks = nn.ModuleList()
        for k in range(layers):
            beside = colors if k == 0 else 0
            recurrent = (
                RowLSTM((height, width), maps, hidden, colors)
                if layer == "row"
                else DiagonalBiLSTM((height, width), maps, hidden, colors, beside)
            )
            self.blocks.append(_Block(recurrent, maps, colors, given, features))
        self.head = ColorLinear(maps, maps, colors)
        self.last = ColorLinear(maps, colors * size, colors, bias=False)
        nn.init.zeros_(self.last.weight)  # the model's own biases are where it starts

    def stack(self) -> list[_Block]:
        """The layers in order."""
        return [block for block in self.blocks if isinstance(block, _Block)]

    def forward(
        self,
        x: Tensor,
        context: Context | None = None,
        told: Tensor | None = None,
        uniform: Uniform | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        """Parameters (n, colors size, h, w) of normalized images (n, colors, h, w).

        Args:
            x: Images on the scale of the network.
            context: The condition.
            told: The distortion, in training.
            uniform: The source of noise for dropout.
            features: What each pixel is told (P, n, features).
        """
        pixels = x.flatten(2).permute(2, 0, 1)
        y = self.first(x).flatten(2).permute(2, 0, 1) + self.position
        for block in self.stack():
            seen, given = self._withheld(y, uniform), block.given(context, told)
            if given is not None:
                seen = seen + given
            if block.at_pixels is not None:
                seen = seen + block.at_pixels(features)
            if block.recurrent.beside:
                seen = torch.cat([seen, pixels], -1)
            y = y + block.out(block.recurrent(seen))
        y = self.head(F.relu(self._withheld(y, uniform)))
        params: Tensor = self.last(F.relu(y)).permute(1, 2, 0).unflatten(2, self.shape[1:])
        return params

    def _withheld(self, y: Tensor, uniform: Uniform | None) -> Tensor:
        if self.dropout == 0.0 or uniform is None:
            return y
        kept: Tensor = y * dropout(y.new_ones(y.shape[1:]), self.dropout, uniform)
        return kept


def _check(layer: str, hidden: int, layers: int, kernel: int) -> None:
    if layer not in get_args(LayerName):
        raise UnknownNameError("layer", layer, get_args(LayerName))
    if kernel < 3 or kernel % 2 == 0:
        near = max(3, kernel - 1)
        raise ConfigError(f"kernel must be odd and 3 or more, got {kernel}; the nearest is {near}")


class PixelWalk:
    """The network's parameters one value after another; every state is computed once.

    Args:
        network: Which.
        n: How many images.
        context: The condition.
        features: As in the network's forward pass.
    """

    def __init__(
        self,
        network: RecurrentPixels,
        n: int,
        context: Context | None = None,
        features: Tensor | None = None,
    ) -> None:
        self.network = network
        colors, height, width = network.shape
        self.reach = reach = network.first.above
        # Windows are cut from an image with room around it; what is not yet known is masked.
        self.image = network.position.new_zeros(n, colors, height + reach, width + 2 * reach)
        self.first = network.first.masked.flatten(1).t()
        self.walks = [block.recurrent.walk() for block in network.stack()]
        self.outs = [(block.out.masked().t(), block.out.bias) for block in network.stack()]
        self.given = [block.given(context) for block in network.stack()]
        self.at_pixels = [
            None if block.at_pixels is None else block.at_pixels(features)
            for block in network.stack()
        ]
        self.head, self.last = network.head.masked().t(), network.last.masked().t()

    def put(self, color: int, pixel: int, value: Tensor) -> None:
        """Make a value (n,) known, on the scale of the network."""
        i, j = divmod(pixel, self.network.shape[2])
        self.image[:, color, self.reach + i, self.reach + j] = value

    def features(self, pixel: int) -> Tensor:
        """The last map (n, 2 h) at a pixel; pixels come in raster order, none left out.

        A pixel may come again when more of its colors are known.
        """
        i, j = divmod(pixel, self.network.shape[2])
        window = self.image[:, :, i : i + self.reach + 1, j : j + 2 * self.reach + 1]
        position = self.network.position
        y = window.flatten(1) @ self.first + position[pixel if len(position) > 1 else 0]
        for k, (walk, out) in enumerate(zip(self.walks, self.outs, strict=True)):
            seen, given, at_pixels = y, self.given[k], self.at_pixels[k]
            if given is not None:
                seen = seen + given
            if at_pixels is not None:
                seen = seen + at_pixels[pixel]
            y = y + F.linear(walk(i, j, seen, self._row(i - 1) if j == k == 0 else None), *out)
        return y

    def params(self, features: Tensor, color: int) -> Tensor:
        """The parameters (n, size) of a color, without bias, given the features of its pixel."""
        size = self.network.size
        y = F.relu(F.linear(F.relu(features), self.head, self.network.head.bias))
        return F.linear(y, self.last[color * size : (color + 1) * size])

    def _row(self, i: int) -> Tensor | None:
        if i < 0:
            return None
        inside = slice(self.reach, self.reach + self.network.shape[2])
        return self.image[:, :, self.reach + i, inside].permute(2, 0, 1)


class PixelRNN(RecurrentSettings, PixelModel):
    """p(x) = prod_i p(x_i,R | x_<i) p(x_i,G | x_<i, x_i,R) p(x_i,B | x_<i, x_i,R, x_i,G).

    Van den Oord, Kalchbrenner and Kavukcuoglu (2016): pixels in raster order, what came before
    summed up by LSTMs that run over rows (``row``: from each pixel a triangle above it is seen) or
    over diagonals in both directions (``diagonal``: everything before it is seen). In training all
    states of a row or diagonal, of all images, are computed at once; in sampling every state is
    computed once.

    Args:
        event: An image of codes (c, h, w).
        context: A label or a vector, which every layer sees; or nothing.

    Raises:
        EventError: The event is not an image of codes.
        UnknownNameError: There is no layer of that name.
        ConfigError: A setting out of range.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = PixelRNN(Event.image(3, 4, levels=8), hidden=6, layers=1)
        >>> x = torch.zeros(2, 3, 4, 4)
        >>> model.conditionals(x).shape, model.log_prob(x).shape
        (torch.Size([2, 48, 8]), torch.Size([2]))
        >>> model.order[:4].tolist()
        [0, 16, 32, 1]
    """

    def setup(self) -> None:
        """Make the parts."""
        image_of_codes("pixelrnn", self.event)
        super().setup()
        self.net = RecurrentPixels(
            self.event.shape,
            self.conditional.size,
            layer=self.layer,
            hidden=self.hidden,
            layers=self.layers,
            kernel=self.kernel,
            dropout=self.dropout,
            position_bias=self.position_bias,
            given=(self.context, self.told),
        )
        size = self.colors * self.conditional.size
        self.output_bias = nn.Parameter(torch.zeros(size, *self.places))

    def network(
        self, x: Tensor, context: Context | None, told: Tensor | None, uniform: Uniform | None
    ) -> Tensor:
        """Parameters (n, colors size, h, w) from normalized images."""
        out: Tensor = self.net(x, context, told, uniform)
        return out

    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        """One state for each pixel, layer and direction."""
        order, colors = self.order.tolist(), self.colors
        bias = self.output_bias.unflatten(0, (self.colors, -1)).expand(
            -1, -1, *self.event.shape[1:]
        )
        bias = bias.flatten(2)
        walk = PixelWalk(self.net, n, context)

        def step(k: int, x: Tensor) -> Tensor:
            if k:
                known = self.conditional.normalize(x[:, order[k - 1]], self.dtype)
                walk.put((k - 1) % colors, (k - 1) // colors, known)
            pixel, color = divmod(k, colors)
            params: Tensor = walk.params(walk.features(pixel), color) + bias[color, :, pixel]
            return params

        return step

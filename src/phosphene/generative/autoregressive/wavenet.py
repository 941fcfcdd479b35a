"""WaveNet: gated causal convolutions whose dilations double from layer to layer."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.core.ranges import Count, Several
from phosphene.core.settings import setting
from phosphene.generative.autoregressive.layers.causal import (
    Window,
    causal_conv,
    gate,
    receptive_field,
)
from phosphene.generative.autoregressive.sequence import CausalSequence, Steps
from phosphene.kernels.wavenet import WavenetArrays, wavenet_sample, wavenet_usable
from phosphene.nn.choosing import Choosing
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.noise import Uniform
from phosphene.nn.scalar_distributions import Categorical

__all__ = ["WaveNet"]


class WaveNet(CausalSequence):
    """z_l = tanh(W_l * h_l + V_l c) sigmoid(W'_l * h_l + V'_l c), h_{l+1} = h_l + R_l z_l.

    By van den Oord et al. (2016c). The convolutions * look back in steps of d = 1, 2, 4, ...,
    2^(layers-1), and again in each stack, so that a value is predicted from the

        RF = 1 + (kernel - 1) stacks (2^layers - 1)

    values before it. Skip connections sum all layers, and two more maps follow:
    params = O relu(H relu(b + sum_l S_l z_l)).

    How the weights lie, each a plain contiguous tensor, for L = layers * stacks and C = channels:
    ``taps`` (L, kernel, C, 2 C), the oldest tap first and the present last; ``bias`` (L, 2 C);
    ``residual`` (L - 1, C, C); ``skip`` (L C, skip), layer by layer; ``skip_bias`` (skip,). All
    map rows: y = x @ W. Of the 2 C outputs of a tap the first C are the tanh's, *doubled*
    (``layers.causal.gate``: z = (2 sigmoid(a) - 1) sigmoid(b)), the others the
    sigmoid's. What stands for the value before is ``past.table[code]`` (for reals the standardized
    value times ``past.table[0]``), and ``past.start`` for the first.

    Args:
        event: Audio in mu-law codes, tokens, binary codes or reals.
        context: A label or a vector, added in every layer (global conditioning), or nothing.

    Raises:
        EventError: The event is an image.
        ConfigError: A number below 1, or a kernel below 2.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = WaveNet(Event.audio(100), layers=10, stacks=1)
        >>> model.receptive_field
        1024
        >>> model.log_prob(torch.zeros(2, 100)).shape
        torch.Size([2])
    """

    layers: Count = setting(
        default=8, help="Layers in a stack; the dilation doubles from each to the next."
    )
    stacks: Count = setting(default=1, help="How often the dilations start again at 1.")
    channels: Count = setting(default=32, help="C, the residual channels and gates.")
    skip_channels: Count = setting(
        alias="skip", default=64, help="Channels of the skip connections and of the hidden map H."
    )
    kernel: Several = setting(default=2, help="Taps of a convolution.")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.event.has_image_shape:
            self.refuse("it runs along one sequence; pixelcnn and gated-pixelcnn are for images")
        self.dilations = [2**i for i in range(self.layers)] * self.stacks
        self.receptive_field = receptive_field(self.kernel, self.dilations)
        depth, channels = len(self.dilations), self.channels
        kernel, skip = self.kernel, self.skip_channels
        taps = torch.randn(depth, kernel, channels, 2 * channels) / math.sqrt(kernel * channels)
        taps[..., :channels] *= 2.0
        self.taps = nn.Parameter(taps)
        self.bias = nn.Parameter(torch.zeros(depth, 2 * channels))
        # The last layer's residual would lead nowhere.
        residual = torch.randn(depth - 1, channels, channels) / math.sqrt(channels)
        self.residual = nn.Parameter(residual) if depth > 1 else None
        self.skip = nn.Parameter(
            torch.randn(depth * channels, skip) * 2 / math.sqrt(len(taps) * channels)
        )
        self.skip_bias = nn.Parameter(torch.zeros(skip))
        self.hidden = nn.Linear(skip, skip)
        self.condition = ConditionBias(self.context, depth * 2 * channels)

    def sizes(self) -> tuple[int, int]:
        """Channels, and those of the skip connections."""
        return self.channels, self.skip_channels

    def features(self, rows: Tensor, n: int, context: Context | None, u: Uniform | None) -> Tensor:
        """The sum of skips and the hidden map, (D n, skip)."""
        h, gated = rows, []
        given = self._given(n, context)
        residual = () if self.residual is None else self.residual.unbind(0)
        layers = zip(self.taps.unbind(0), self.bias.unbind(0), self.dilations, strict=True)
        for i, (taps, bias, d) in enumerate(layers):
            a = causal_conv(h, taps, bias, d * n)
            if given is not None:
                a = (a.view(-1, n, a.shape[1]) + given[i]).view_as(a)
            gated.append(gate(a))
            if i < len(residual):
                h = h + gated[-1] @ residual[i]
        # One product with all layers side by side is faster than a sum of thin ones.
        s = torch.cat(gated, 1) @ self.skip + self.skip_bias
        out: Tensor = F.relu(self.hidden(F.relu(s)))
        return out

    def _given(self, n: int, context: Context | None) -> tuple[Tensor, ...] | None:
        """What the condition adds to each layer, (n, 2 C)."""
        given = self.condition(context)
        return None if given is None else given.view(n, len(self.dilations), -1).unbind(1)

    def generate_member(
        self,
        u: Tensor,
        context: Context,
        how: Choosing,
        member: int,
        given: tuple[Tensor, Tensor] | None,
        naive: bool,
    ) -> Tensor:
        """Flat samples (n, D); of codes by the native kernel, where it is there."""
        plain = how.top_k is None and how.top_p is None
        if not naive and plain and isinstance(self.conditional, Categorical):
            net = self._arrays(len(u), context)
            if wavenet_usable(net, u):
                return wavenet_sample(net, u[..., 0], temperature=how.temperature, given=given)
        return super().generate_member(u, context, how, member, given, naive)

    def _arrays(self, n: int, context: Context) -> WavenetArrays:
        """The weights as the kernel takes them."""
        added = self.condition(context)
        bias = self.bias if added is None else self.bias + added.view(n, *self.bias.shape)
        none = self.taps.new_zeros(0, self.channels, self.channels)
        return WavenetArrays(
            tuple(self.dilations),
            self.taps,
            bias,
            none if self.residual is None else self.residual,
            self.skip,
            self.skip_bias,
            self.hidden.weight.T,
            self.hidden.bias,
            self.output.weight.T,
            self.output.bias,
            self.past.table,
            self.past.start[0],
        )

    def steps(self, n: int, context: Context | None) -> Steps:
        """Four operations a layer on static buffers, and one product for all skips."""
        length, channels, depth = self.event.dimensions, self.channels, len(self.dilations)
        weights = zip(self.taps.unbind(0), self.dilations, strict=True)
        windows = [Window(taps, d, n, length) for taps, d in weights]
        every = self.bias.detach()[:, None].expand(-1, n, -1)
        given = self._given(n, context)
        if given is not None:
            every = every + torch.stack(given).detach()
        bias = every.contiguous().unbind(0)
        u = self.bias.new_zeros(n, 2 * channels)
        a, b = u.chunk(2, 1)
        # b - 2 a b = -(2 a - 1) b in one operation: the maps after it take the sign.
        gated = u.new_zeros(n, depth * channels)
        z = gated.split(channels, 1)
        residual = () if self.residual is None else (-self.residual.detach()).unbind(0)
        skip, skip_bias = -self.skip.detach(), self.skip_bias.detach()

        def features(t: int) -> Tensor:
            present, inputs, taps = windows[0][t]
            for i in range(depth):
                torch.addmm(bias[i], inputs, taps, out=u)
                u.sigmoid_()
                torch.addcmul(b, a, b, value=-2, out=z[i])
                if i + 1 < depth:
                    h = present
                    present, inputs, taps = windows[i + 1][t]
                    torch.addmm(h, z[i], residual[i], out=present)
            s = torch.addmm(skip_bias, gated, skip)
            out: Tensor = self.hidden(s.relu_()).relu_()
            return out

        return lambda t: windows[0][t][0], features

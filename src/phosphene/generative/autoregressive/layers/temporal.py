"""The temporal convolutional network: residual blocks of causal dilated convolutions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.generative.autoregressive.layers.causal import (
    CausalConv,
    Window,
    check_counts,
    receptive_field,
)
from phosphene.nn.noise import Uniform, check_probability, dropout

__all__ = ["TemporalBlock", "TemporalNetwork", "TemporalSteps"]


class TemporalBlock(nn.Module):
    """relu(S x + relu(C2 relu(C1 x + c))), both convolutions causal, dilated, weight-normalized.

    S is the identity, or a linear map where the numbers of channels differ. Each inner relu is
    followed by spatial dropout: a channel is dropped at all times of an example together.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Taps of the convolutions.
        dilation: Steps between the taps.
        dropout: Probability that a channel is dropped where noise is given.
    """

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, dilation: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        settings = {"kernel": kernel, "dilation": dilation}
        self.conv1 = CausalConv(inputs, outputs, **settings, weight_norm=True)
        self.conv2 = CausalConv(outputs, outputs, **settings, weight_norm=True)
        assert self.conv2.length is not None
        with torch.no_grad():  # or the sum would grow from block to block
            self.conv2.length.mul_(0.5)
        self.shortcut = nn.Linear(inputs, outputs) if inputs != outputs else None
        self.dropout = check_probability("dropout", dropout)

    def forward(
        self,
        x: Tensor,
        n: int,
        *,
        given: Tensor | None = None,
        uniform: Uniform | None = None,
        every: int = 1,
    ) -> Tensor:
        """Map rows (T n, inputs) to (T n, outputs); ``given`` (n, outputs) is the condition c."""
        h = self.conv1(x, n, every=every)
        if given is not None:
            h = (h.view(-1, n, h.shape[1]) + given).view_as(h)
        h = self._dropped(F.relu(h), n, uniform)
        h = self._dropped(F.relu(self.conv2(h, n, every=every)), n, uniform)
        return F.relu(h + (x if self.shortcut is None else self.shortcut(x)))

    def _dropped(self, h: Tensor, n: int, uniform: Uniform | None) -> Tensor:
        if self.dropout == 0.0 or uniform is None:
            return h
        kept = dropout(h.new_ones(n, h.shape[1]), self.dropout, uniform)
        return (h.view(-1, n, h.shape[1]) * kept).view_as(h)


class TemporalNetwork(nn.Module):
    """Temporal blocks of dilation 1, 2, 4, ... (Bai, Kolter and Koltun, 2018).

    With B blocks of kernel k, an output sees RF = 1 + 2 (k - 1) (2^B - 1) inputs.

    Args:
        inputs: Channels in.
        channels: Channels of every block.
        blocks: B.
        kernel: k.
        dropout: Probability that a channel is dropped where noise is given.

    Raises:
        ConfigError: A number below 1, a kernel below 2, or a probability outside [0, 1).

    Example:
        >>> network = TemporalNetwork(2, 8, blocks=3, kernel=3)
        >>> network(torch.zeros(10 * 4, 2), 4).shape, network.receptive_field
        (torch.Size([40, 8]), 29)
    """

    def __init__(
        self, inputs: int, channels: int, *, blocks: int, kernel: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_counts(channels=channels, blocks=blocks, kernel=kernel)
        dilations = [2**i for i in range(blocks)]
        self.receptive_field = receptive_field(kernel, [d for d in dilations for _ in range(2)])
        self.blocks = nn.ModuleList(
            TemporalBlock(
                inputs if i == 0 else channels,
                channels,
                kernel=kernel,
                dilation=d,
                dropout=dropout,
            )
            for i, d in enumerate(dilations)
        )

    def forward(
        self,
        x: Tensor,
        n: int,
        *,
        given: list[Tensor] | None = None,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Map time-major rows (T n, inputs) to (T n, channels); one condition for each block."""
        for i, block in enumerate(self.blocks):
            x = block(x, n, given=None if given is None else given[i], uniform=uniform)
        return x

    def last(self, x: Tensor, n: int) -> Tensor:
        """The output (n, channels) of the last step alone, from rows (T n, inputs).

        It needs every 2nd output of the first block, every 4th of the second, ...: all blocks
        together cost as much as two.
        """
        for i, block in enumerate(self.blocks):
            x = block(x, n, every=2**i)
            x = x.view(-1, n, x.shape[1])
            x = x[(len(x) - 1) % 2 :: 2].flatten(0, 1)
        return x[-n:]


class TemporalSteps:
    """A temporal network evaluated value by value, on static buffers: six operations a block.

    Write the input of step t to ``slot(t)``, then ask for the output by calling with t; steps come
    in turn from 0.

    Args:
        network: Its weights are read once, here.
        n: Examples.
        steps: The length of the sequences.
        given: The condition of each block (n, channels), or None.
    """

    def __init__(
        self, network: TemporalNetwork, n: int, steps: int, given: list[Tensor] | None = None
    ) -> None:
        self._blocks: list[tuple[Window, Window, Tensor, Tensor, Tensor, nn.Linear | None]] = []
        for i, block in enumerate(network.blocks):
            assert isinstance(block, TemporalBlock)
            windows = [Window(c.weight, c.dilation, n, steps) for c in (block.conv1, block.conv2)]
            bias1, bias2 = (c.bias.detach().expand(n, -1) for c in (block.conv1, block.conv2))
            if given is not None:
                bias1 = bias1 + given[i].detach()
            h = torch.zeros_like(bias2, memory_format=torch.contiguous_format)
            one, two = bias1.contiguous(), bias2.contiguous()
            self._blocks.append((windows[0], windows[1], one, two, h, block.shortcut))

    def slot(self, t: int) -> Tensor:
        """Where the input (n, inputs) of step t is to be written."""
        return self._blocks[0][0][t][0]

    def __call__(self, t: int) -> Tensor:
        """The output (n, channels) of step t; the next step overwrites it."""
        y = self.slot(t)
        for one, two, bias1, bias2, h, shortcut in self._blocks:
            x, inputs, taps = one[t]
            if x is not y:
                torch.clamp_min(y, 0.0, out=x)
            torch.addmm(bias1, inputs, taps, out=h)
            middle, inputs, taps = two[t]
            torch.clamp_min(h, 0.0, out=middle)
            torch.addmm(bias2, inputs, taps, out=h)
            y = h.relu_().add_(x if shortcut is None else shortcut(x))
        return y.relu_()

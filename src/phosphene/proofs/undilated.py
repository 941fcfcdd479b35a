"""A temporal convolutional network whose dilations do not grow: what two proofs are broken with."""

from torch import Tensor

from phosphene.generative.autoregressive.layers.causal import receptive_field
from phosphene.generative.autoregressive.layers.temporal import TemporalBlock, TemporalNetwork

__all__ = ["Undilated"]


class Undilated(TemporalNetwork):
    """Every block has dilation 1, so that B blocks of kernel k see 1 + 2 (k - 1) B inputs."""

    def __init__(self, inputs: int, channels: int, *, blocks: int, kernel: int) -> None:
        super().__init__(inputs, channels, blocks=blocks, kernel=kernel)
        for block in self.blocks:
            assert isinstance(block, TemporalBlock)
            block.conv1.dilation = block.conv2.dilation = 1
        self.receptive_field = receptive_field(kernel, [1] * (2 * blocks))

    def last(self, x: Tensor, n: int) -> Tensor:
        """The output (n, channels) of the last step; it needs no more inputs than it sees."""
        seen: Tensor = self(x[-self.receptive_field * n :], n)
        return seen[-n:]

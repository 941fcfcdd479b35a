"""The residual network that gives the parameters of RealNVP's couplings of images."""

import torch
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import EventError
from phosphene.generative.flow.layers.conditioner import channels_last, resized
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.conv import ResidualBlock
from phosphene.nn.mlp import check_widths

__all__ = ["ResidualConditioner"]


class ResidualConditioner(nn.Module):
    """A 3x3 convolution, residual blocks, and a 3x3 convolution that starts at zero.

    Takes a context as :class:`~.conditioner.ImageConditioner` does; labels and vectors are added
    before the blocks. Dinh, Sohl-Dickstein and Bengio (2017) normalize by batches in the blocks;
    here nothing does, as it would tie the examples of a batch together.

    Args:
        inputs: Channels it sees of the example.
        hidden: Channels of the blocks.
        outputs: Channels it gives.
        blocks: How many.
        activation: Its name.
        context: What it is conditioned on.

    Example:
        >>> ResidualConditioner(2, 8, 4)(torch.zeros(3, 2, 4, 4)).shape
        torch.Size([3, 4, 4, 4])
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        *,
        blocks: int = 2,
        activation: str = "relu",
        context: ContextSpec | None = None,
    ) -> None:
        super().__init__()
        check_widths((hidden,))
        spec = context or ContextSpec()
        self.image = spec.image
        if spec.image is not None and len(spec.image.shape) != 3:
            raise EventError(f"a context image is (channels, height, width), got {spec.image}")
        more = 0 if spec.image is None else spec.image.shape[0]
        self.stem = nn.Conv2d(inputs + more, hidden, 3, padding=1)
        self.condition = ConditionBias(spec, hidden)
        self.blocks = nn.Sequential(
            *(ResidualBlock(hidden, activation=activation) for _ in range(blocks))
        )
        self.head = nn.Conv2d(hidden, outputs, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, context: Context | None = None) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h, w), in x's type."""
        if self.image is not None:
            assert context is not None
            assert context.image is not None
            x = torch.cat((x, resized(context.image, self.image.levels, x)), 1)
        h = self.stem(channels_last(x))
        more = self.condition(context)
        h = self.blocks(h if more is None else h + more[:, :, None, None])
        out: Tensor = self.head(h)
        return out.to(x.dtype).contiguous()

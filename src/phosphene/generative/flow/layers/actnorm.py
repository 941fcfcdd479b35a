"""Activation normalization: a scale and a shift whose start is taken from data."""

import torch
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.generative.flow.layers.transform import Transform

__all__ = ["ActNorm"]

_CONSTANT = 1e-6
"""A channel whose deviation is below this part of its largest value never varies."""


class ActNorm(Transform):
    """z = exp(s) x + b, by channel of images (n, C, h, w) or dimension of vectors (n, C).

    log |det dz/dx| = h w sum_c s_c. The first batch sets s and b so that each channel of z has
    mean 0 and deviation 1 on it; from then on they are parameters (Glow; Kingma and Dhariwal,
    2018). That happens in :meth:`prepare`, once: a buffer remembers it, and is saved and loaded
    with the weights. A channel that never varies, or a single vector, is only shifted.

    Args:
        channels: C.

    Example:
        >>> layer = ActNorm(2)
        >>> z = layer.prepare(torch.tensor([[0.0, 5.0], [2.0, 5.0]]))
        >>> z
        tensor([[-1.,  0.],
                [ 1.,  0.]])
    """

    initialized: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.register_buffer("initialized", torch.tensor(False))

    def _shaped(self, x: Tensor) -> tuple[Tensor, Tensor, int]:
        """Log-scale and shift as x broadcasts, and how often each occurs in an example."""
        if x.dim() == 2:
            return self.log_scale, self.shift, 1
        shape = (-1, *[1] * (x.dim() - 2))
        return self.log_scale.view(shape), self.shift.view(shape), x[0, 0].numel()

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scale and shift."""
        s, b, times = self._shaped(x)
        return torch.addcmul(b, x, s.exp()), (s.sum() * times).expand(len(x))

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Shift and scale back."""
        s, b, times = self._shaped(z)
        return (z - b) * (-s).exp(), (s.sum() * -times).expand(len(z))

    @torch.no_grad()
    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Set the scale and the shift by the batch, unless they have been set."""
        if not bool(self.initialized):
            by_channel = x.movedim(1, 0).flatten(1).double()
            mean, std = by_channel.mean(1), by_channel.std(1, correction=0)
            varies = std > _CONSTANT * by_channel.abs().amax(1)
            std = torch.where(varies, std, torch.ones_like(std))
            self.log_scale.copy_(-std.log())
            self.shift.copy_(-mean / std)
            self.initialized.fill_(True)
        return self.forward_and_log_det(x, context)[0]

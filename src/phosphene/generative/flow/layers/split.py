"""Splits channels off, with a prior conditioned on those that remain."""

import torch
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.generative.flow.layers.transform import Transform, total
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.monotone import held

__all__ = ["Split"]


class Split(Transform):
    """(x1, x2) to (x1, z2), z2 = (x2 - mu(x1, c)) exp(-sigma(x1, c)): z2 is then standard normal.

    The prior p(x2 | x1) = N(mu, diag(exp(2 sigma))) of a multi-scale flow's split (Kingma and
    Dhariwal, 2018) is that bijection followed by a standard normal, so that one base serves all
    latents, and one temperature. mu and sigma are a 3x3 convolution of x1 that starts at zero, plus
    a linear map of the label or vector; sigma stays within 8 (:func:`~.monotone.held`), however far
    x1 is from the data. Without a prior z2 = x2 (RealNVP).

    Args:
        channels: C; the first C - C // 2 go on.
        context: What the prior depends on besides x1: label and vector.
        prior: Whether there is one.
    """

    def __init__(
        self, channels: int, *, context: ContextSpec | None = None, prior: bool = True
    ) -> None:
        super().__init__()
        assert channels >= 2, "one channel cannot be split"
        self.sizes = (channels - channels // 2, channels // 2)
        self.network: nn.Conv2d | None = None
        if prior:
            self.network = nn.Conv2d(self.sizes[0], 2 * self.sizes[1], 3, padding=1)
            nn.init.zeros_(self.network.weight)
            assert self.network.bias is not None
            nn.init.zeros_(self.network.bias)
            self.condition = ConditionBias(context or ContextSpec(), 2 * self.sizes[1])
            if self.condition.map is not None:
                nn.init.zeros_(self.condition.map.weight)

    def _moments(self, kept: Tensor, context: Context | None) -> tuple[Tensor, Tensor]:
        assert self.network is not None
        params, more = self.network(kept).to(kept.dtype), self.condition(context)
        if more is not None:
            params = params + more[:, :, None, None]
        mean, log_scale = params.chunk(2, 1)
        return mean, held(log_scale)

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Whiten the second part by the first."""
        if self.network is None:
            return x, x.new_zeros(len(x))
        kept, off = x.split(self.sizes, 1)
        mean, log_scale = self._moments(kept, context)
        return torch.cat((kept, (off - mean) * (-log_scale).exp()), 1), -total(log_scale)

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Color it again."""
        if self.network is None:
            return z, z.new_zeros(len(z))
        kept, off = z.split(self.sizes, 1)
        mean, log_scale = self._moments(kept, context)
        return torch.cat((kept, torch.addcmul(mean, off, log_scale.exp())), 1), total(log_scale)

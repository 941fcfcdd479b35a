"""Elementwise maps that have no parameters."""

import torch.nn.functional as F
from torch import Tensor

from phosphene.core.context import Context
from phosphene.generative.flow.layers.transform import Transform, total

__all__ = ["Sigmoid"]


class Sigmoid(Transform):
    """z = 1 / (1 + exp(-x)): the line to the unit interval, with log dz/dx = log z (1 - z)."""

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """The logistic distribution's function."""
        return x.sigmoid(), -total(F.softplus(x) + F.softplus(-x))

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """logit(z)."""
        return z.log() - (-z).log1p()

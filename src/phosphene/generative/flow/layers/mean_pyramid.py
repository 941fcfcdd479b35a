"""Block means and shares: an image as one of half its size and each pixel's share of its block."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.context import Context
from phosphene.generative.flow.layers.transform import Transform, total

__all__ = ["MeansAndShares"]

_LOG_2 = math.log(2)


class MeansAndShares(Transform):
    r"""Logits of pixels in (0, 1) to logits of means of 2x2 pixels, and the shares of each pixel.

    A pair (a, b) of mean m becomes logit(m) and its share

    .. math::
        v = \log\frac{a}{b} \text{ where } m \le \tfrac12, \qquad
        v = \log\frac{1 - b}{1 - a} \text{ elsewhere,}

    whose inverse is a = 2 m sigmoid(v), b = 2 m sigmoid(-v), and the same of the complements. For
    every m the share is any real number, and every share keeps both pixels in (0, 1): so the open
    cube is mapped onto all of space, and the mean of a block is one coordinate, that no other
    moves. A 2x2 square is two pairs and the pair of their means. In terms of the logits,

    .. math::
        \log\left|\det\right| = \log(1-a) + \log(1-b) - \log(1-m) \text{ where } m \le \tfrac12,

    and that of the complements elsewhere. (n, c, h, w) becomes (n, 4 c, h/2, w/2): c means, then
    the shares of the upper half, of the upper left pixel and of the lower left one.

    Example:
        >>> x = torch.tensor([[[[0.1, 0.3], [0.2, 0.2]]]])
        >>> z, _ = MeansAndShares()(torch.logit(x))
        >>> z.flatten()[0].sigmoid(), z.flatten()[2:].exp()
        (tensor(0.2000), tensor([0.3333, 1.0000]))
    """

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """From the pixels to the square."""
        up, in_up, ld_up = _merge(x[:, :, ::2, ::2], x[:, :, ::2, 1::2])
        low, in_low, ld_low = _merge(x[:, :, 1::2, ::2], x[:, :, 1::2, 1::2])
        mean, share, ld = _merge(up, low)
        return torch.cat((mean, share, in_up, in_low), 1), total(ld + ld_up + ld_low)

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """From the square to the pixels."""
        mean, share, in_up, in_low = z.chunk(4, 1)
        up, low = _part(mean, share)
        rows = (torch.stack(_part(up, in_up), -1), torch.stack(_part(low, in_low), -1))
        return torch.stack(rows, -3).flatten(-2).flatten(-3, -2)


def _merge(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of a pair to the logit of its mean, its share, and the log-determinant."""
    log_a, log_b, dark_a, dark_b = (F.logsigmoid(t) for t in (a, b, -a, -b))
    log_m = torch.logaddexp(log_a, log_b) - _LOG_2
    dark_m = torch.logaddexp(dark_a, dark_b) - _LOG_2
    mean = log_m - dark_m
    dark = mean <= 0
    share = torch.where(dark, log_a - log_b, dark_b - dark_a)
    return mean, share, torch.where(dark, dark_a + dark_b - dark_m, log_a + log_b - log_m)


def _part(mean: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of :func:`_merge`: logits of the pair.

    Of p = 2 m sigmoid(v) both p and 1 - p = (1 - 2 m) + 2 m sigmoid(-v) are sums of positive
    numbers, so that nothing cancels.
    """
    sign = torch.where(mean <= 0, 1.0, -1.0).to(mean.dtype)
    q, v = -mean.abs(), sign * share
    rest, tiny = -torch.tanh(q / 2), torch.finfo(mean.dtype).tiny
    twice = _LOG_2 + F.logsigmoid(q)
    log_p, log_r = twice + F.logsigmoid(v), twice + F.logsigmoid(-v)
    a = log_p - (rest + log_r.exp()).clamp(min=tiny).log()
    b = log_r - (rest + log_p.exp()).clamp(min=tiny).log()
    return sign * a, sign * b

"""Histogram equalization, learned: codes to numbers that are normal at every pixel."""

import math

import torch
from torch import Tensor, nn

from phosphene.core.event import Event
from phosphene.data.codecs import Codec

__all__ = ["Equalize"]

_LOG_2PI = math.log(2 * math.pi)
_GROUPS = 8
"""The codes are told apart at each pixel by groups of about equal mass; within one all agree."""
_PRIOR = 16.0
"""As how many examples the shared histogram counts when those of the pixels are first taken."""


class Equalize(Codec):
    """The unit interval to the line: y = Phi^-1(F_i(x)), F_i the distribution of pixel i.

    F_i is piecewise linear, with a slope for each code k,

        p_i(k) = softmax_k(s_ck + a_i,g(k)),

    where s is the histogram of the channel and a the pixel's own weights for groups g of codes. So
    y is normal at every pixel as far as p_i is right, the log-determinant is the log-probability
    of the code under p_i, and a flow that does nothing else is the model of independent pixels:
    layers after it learn what pixels have to do with each other (Chen and Gopinath, 2001). The
    first batch gives the histograms; they are trained with the flow.

    Args:
        event: An image of codes.

    Example:
        >>> codec = Equalize(Event.image(1, 1, levels=4))
        >>> y, log_det = codec(torch.tensor([0.5]).view(1, 1, 1, 1))
        >>> abs(y.item()) < 1e-6, round(codec.decode(y).item(), 6)
        (True, 0.5)
    """

    group: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__()
        assert event.levels is not None
        self.levels, (c, h, w) = event.levels, event.shape
        groups = min(_GROUPS, self.levels)
        self.shared = nn.Parameter(torch.zeros(c, self.levels))
        self.own = nn.Parameter(torch.zeros(c, h, w, groups))
        start = torch.arange(self.levels) * groups // self.levels
        self.register_buffer("group", start.expand(c, -1).clone())

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Take the histograms of a batch of codes (n, c, h, w)."""
        k = x.long()
        n, c, h, w = k.shape
        counts = torch.stack([k[:, i].flatten().bincount(minlength=self.levels) for i in range(c)])
        p = counts.double() + 0.1 * counts.sum(1, keepdim=True) / len(k[0].flatten()) + 1e-3
        p = p / p.sum(1, keepdim=True)
        groups = self.own.shape[-1]
        middle = p.cumsum(1) - p / 2
        self.group.copy_((middle * groups).long().clamp(max=groups - 1))
        share = torch.zeros(c, groups, dtype=p.dtype, device=p.device)
        share.scatter_add_(1, self.group, p)
        share = share.clamp(min=1e-9)
        where = self.group[
            torch.arange(c, device=k.device)[:, None, None],
            k.movedim(1, 0).flatten(2).movedim(1, 2),
        ]
        own = nn.functional.one_hot(where, groups).sum(2).double()
        own = (own + _PRIOR * share[:, None]) / (n + _PRIOR)
        self.shared.copy_(p.log())
        self.own.copy_((own / share[:, None]).log().view(c, h, w, groups))

    def _table(self) -> Tensor:
        """log p (c, h, w, levels)."""
        index = self.group[:, None, None].expand(-1, *self.own.shape[1:3], -1)
        return (self.shared[:, None, None] + self.own.gather(3, index)).log_softmax(3)

    def encode(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map [0, 1) to the line; takes no noise."""
        log_p = self._table()
        p = log_p.exp()
        before = p.cumsum(3) - p
        v = x * self.levels
        k = v.detach().floor().clamp(0, self.levels - 1)
        index = k.long().movedim(0, -1)
        log_slope = log_p.gather(3, index).movedim(-1, 0)
        f = before.gather(3, index).movedim(-1, 0) + (v - k) * log_slope.exp()
        eps = torch.finfo(f.dtype).eps
        y = torch.special.ndtri(f.clamp(eps, 1 - eps))
        log_det = log_slope + 0.5 * (y.square() + _LOG_2PI) + math.log(self.levels)
        return y, log_det.flatten(1).sum(1)

    def decode(self, y: Tensor) -> Tensor:
        """Map the line to [0, 1)."""
        p = self._table().exp()
        f = torch.special.ndtr(y).movedim(0, -1).contiguous()
        after = p.cumsum(3)
        k = torch.searchsorted(after, f).clamp(max=self.levels - 1)
        inside = (f - (after - p).gather(3, k)) / p.gather(3, k)
        eps = torch.finfo(f.dtype).eps
        x: Tensor = (k + inside.clamp(0, 1 - eps)) / self.levels
        return x.movedim(-1, 0)

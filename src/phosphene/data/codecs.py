"""Codecs between the codes of an event and the reals inside a network, with log-determinants.

A codec belongs to the model that uses it. ``encode`` returns y and log |det dy/dv| (n,), where v is
the code on its own scale (one unit per level), so that

    log p(code) = log p_y(y) + log_det

is in nats of the code's probability: for a dequantised code it is one sample of a lower bound
(Theis, van den Oord and Bethge, 2016). ``decode`` returns an example that is in the event's
support: rounded and clamped codes for discrete events, reals otherwise.
"""

import math

import torch
from torch import Tensor, nn

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.moments import Moments, restore, standardize

__all__ = ["Chain", "Codec", "Dequantize", "Logit", "MuLaw", "Signed", "Standardize"]


def _to_codes(v: Tensor, levels: int) -> Tensor:
    return v.clamp(0, levels - 1).to(torch.uint8 if levels <= 256 else torch.int64)


def _to_reals(x: Tensor) -> Tensor:
    return x if x.is_floating_point() else x.to(torch.get_default_dtype())


def _sum(per_dimension: Tensor) -> Tensor:
    return per_dimension.flatten(1).sum(1)


class Codec(nn.Module):
    """A bijection between an example and what a network sees, applied to each dimension alone."""

    def encode(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map a batch to reals.

        Args:
            x: A batch (n, ...) of the event.
            noise: Uniform numbers in [0, 1) of x's shape, for the codecs that use them.

        Returns:
            y of x's shape, and the log-determinant (n,).
        """
        raise NotImplementedError

    def decode(self, y: Tensor) -> Tensor:
        """Map reals to a batch of the event."""
        raise NotImplementedError

    def forward(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``encode``."""
        return self.encode(x, noise)

    def _constant(self, y: Tensor, log_scale: float) -> Tensor:
        """The log-determinant of a scaling by exp(log_scale) in every dimension."""
        return y.new_full((len(y),), y[:1].numel() * log_scale)


class Signed(Codec):
    """Codes 0..levels-1 to evenly spaced reals: y = 2 x / (levels - 1) - 1, in [-1, 1].

    Args:
        levels: How many values a code may take.

    Example:
        >>> y, log_det = Signed(3).encode(torch.tensor([[0, 1, 2]]))
        >>> y, Signed(3).decode(y + 0.2)
        (tensor([[-1.,  0.,  1.]]), tensor([[0, 1, 2]], dtype=torch.uint8))
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def encode(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map codes to [-1, 1]; takes no noise."""
        y = _to_reals(x) * (2 / (self.levels - 1)) - 1
        return y, self._constant(y, math.log(2 / (self.levels - 1)))

    def decode(self, y: Tensor) -> Tensor:
        """Map reals to the nearest codes."""
        return _to_codes(((y + 1) * (0.5 * (self.levels - 1))).round(), self.levels)


class Dequantize(Codec):
    """Codes to the unit interval: y = (x + u) / levels with u uniform on [0, 1).

    Since log E_u p(x + u) >= E_u log p(x + u), a density of y then bounds the probability of x
    from below. Without noise, u is 1/2: the middle of the code's bin.

    Args:
        levels: How many values a code may take.
        kind: How u is drawn; ``uniform`` is the only fixed one (a learned one is a model).

    Raises:
        UnknownNameError: There is no such kind.

    Example:
        >>> y, log_det = Dequantize(4).encode(torch.tensor([[0, 3]]), torch.tensor([[0.0, 0.5]]))
        >>> y, log_det / math.log(4)
        (tensor([[0.0000, 0.8750]]), tensor([-2.]))
    """

    def __init__(self, levels: int, kind: str = "uniform") -> None:
        super().__init__()
        if kind != "uniform":
            raise UnknownNameError("dequantization", kind, ("uniform",))
        self.levels, self.kind = levels, kind

    def encode(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map codes to [0, 1) by adding the noise to them."""
        y = (_to_reals(x) + (0.5 if noise is None else noise)) / self.levels
        return y, self._constant(y, -math.log(self.levels))

    def decode(self, y: Tensor) -> Tensor:
        """Map reals to the codes whose bins hold them."""
        return _to_codes((y * self.levels).floor(), self.levels)


class Logit(Codec):
    """The unit interval to the real line: y = logit(alpha + (1 - 2 alpha) x).

    The squeeze by alpha keeps y finite at 0 and 1 (Dinh, Sohl-Dickstein and Bengio, 2017).

    Args:
        alpha: The margin, in (0, 1/2).

    Raises:
        ConfigError: alpha is not in (0, 1/2).

    Example:
        >>> y, _ = Logit(0.05).encode(torch.tensor([[0.0, 0.5, 1.0]]))
        >>> Logit(0.05).decode(y)
        tensor([[0.0000, 0.5000, 1.0000]])
    """

    def __init__(self, alpha: float = 0.05) -> None:
        super().__init__()
        if not 0 < alpha < 0.5:
            raise ConfigError(f"alpha must be above 0 and below 0.5, got {alpha}")
        self.alpha = alpha

    def encode(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map [0, 1] to the real line; takes no noise."""
        s = self.alpha + (1 - 2 * self.alpha) * _to_reals(x)
        up, down = s.log(), (-s).log1p()
        return up - down, _sum(math.log(1 - 2 * self.alpha) - up - down)

    def decode(self, y: Tensor) -> Tensor:
        """Map reals to [0, 1], clamped."""
        return ((y.sigmoid() - self.alpha) / (1 - 2 * self.alpha)).clamp(0, 1)


class Standardize(Codec):
    """Reals to zero mean and unit variance: y = (x - mean) / std, by dimension.

    Args:
        mean: Of the shape of one example, or a number.
        std: The same; above 0.

    Example:
        >>> codec = Standardize.fit(torch.tensor([[0.0, 5.0], [2.0, 5.0]]))
        >>> codec.mean.tolist(), codec.std.tolist()
        ([1.0, 5.0], [1.0, 1.0])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor | float, std: Tensor | float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(mean))
        self.register_buffer("std", torch.as_tensor(std))
        if not bool((self.std > 0).all()):
            raise ConfigError(f"std must be above 0, got {float(self.std.min()):g}")

    @classmethod
    def fit(cls, x: Tensor) -> "Standardize":
        """Mean and standard deviation of a batch; dimensions that never vary keep their scale."""
        dtype = _to_reals(x[:0]).dtype
        codec = cls(
            torch.zeros(x.shape[1:], dtype=torch.float64), x.new_ones(x.shape[1:]).to(dtype)
        )
        codec.take(Moments.of(x))
        return codec

    @torch.no_grad()
    def take(self, moments: Moments) -> None:
        """Shift and scale by these."""
        self.mean.copy_(moments.mean)
        self.std.copy_(torch.where(moments.std > 0, moments.std, 1.0))

    def encode(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Shift and scale, to std's type or the wider one of codes' noise; takes no noise."""
        y = standardize(x, self.mean, self.std, self._type(x))
        return y, -_sum(self.std.to(y.dtype).log().expand_as(y))

    def _type(self, x: Tensor) -> torch.dtype:
        return self.std.dtype if x.dtype == self.mean.dtype else _to_reals(x[:0]).dtype

    def decode(self, y: Tensor) -> Tensor:
        """Scale and shift back."""
        return restore(y, self.mean, self.std)


class MuLaw(Codec):
    """Mu-law codes to the signal in [-1, 1] (ITU-T G.711), mu = levels - 1.

    With f = 2 x / mu - 1, the signal is y = sign(f) ((1 + mu)^|f| - 1) / mu: the codes are dense
    where the signal is quiet. ``decode`` compresses a signal to its codes.

    Args:
        levels: How many values a code may take.

    Example:
        >>> MuLaw(256).decode(torch.tensor([[-1.0, 0.0, 0.01, 1.0]]))
        tensor([[  0, 128, 157, 255]], dtype=torch.uint8)
    """

    def __init__(self, levels: int = 256) -> None:
        super().__init__()
        self.levels = levels

    def encode(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Expand codes to the signal; takes no noise."""
        mu = self.levels - 1
        f = _to_reals(x) * (2 / mu) - 1
        grown = math.log1p(mu) * f.abs()
        y = f.sign() * grown.expm1() / mu
        return y, _sum(grown + math.log(2 * math.log1p(mu) / mu**2))

    def decode(self, y: Tensor) -> Tensor:
        """Compress a signal to its nearest codes on the mu-law scale."""
        mu = self.levels - 1
        f = y.sign() * (mu * y.clamp(-1, 1).abs()).log1p() / math.log1p(mu)
        return _to_codes(((f + 1) * (mu / 2)).round(), self.levels)


class Chain(Codec):
    """Codecs one after another; log-determinants add up, and each is offered the noise.

    Example:
        >>> codec = Chain(Dequantize(256), Logit(0.05))
        >>> y, log_det = codec.encode(torch.tensor([[7, 255]]), torch.rand(1, 2))
        >>> codec.decode(y)
        tensor([[  7, 255]], dtype=torch.uint8)
    """

    def __init__(self, *codecs: Codec) -> None:
        super().__init__()
        self.codecs = nn.ModuleList(codecs)

    def encode(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode by each in turn."""
        total: Tensor | None = None
        for codec in self.codecs:
            x, log_det = codec(x, noise)
            total = log_det if total is None else total + log_det
        assert total is not None, "a chain has at least one codec"
        return x, total

    def decode(self, y: Tensor) -> Tensor:
        """Decode by each in turn, from the last."""
        for codec in reversed(self.codecs):
            assert isinstance(codec, Codec)
            y = codec.decode(y)
        return y

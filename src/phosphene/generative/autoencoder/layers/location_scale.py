"""Output distributions with a location and a scale: a density for reals, bins for codes."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.moments import Moments, restore, standardize
from phosphene.nn.gaussian import LOG_TWO_PI, log_code_mass
from phosphene.nn.output import OutputDistribution, soft_clamp, wide

__all__ = ["DiscretizedGaussian", "DiscretizedLogistic", "Gaussian"]

_LOG_SCALE_LIMIT = 8.0


class _LocationScale(OutputDistribution):
    """What Gaussian and logistic outputs share: a location and a scale for each dimension.

    Args:
        event: What one example is.
        variance: Who knows the scale: ``predicted`` by the network for each dimension and example,
            one learned number ``per-dimension``, one learned number ``shared`` by all, or
            ``fixed``.
        sigma: The scale where it is fixed, in the units the network sees: [-1, 1] for codes,
            standardized for reals.
    """

    def __init__(self, event: Event, variance: str = "predicted", sigma: float = 1.0) -> None:
        if variance not in ("predicted", "per-dimension", "shared", "fixed"):
            raise UnknownNameError(
                "variance", variance, ("predicted", "per-dimension", "shared", "fixed")
            )
        if not sigma > 0.0:
            raise ConfigError(f"sigma must be above 0, got {sigma}")
        super().__init__(event, 2 if variance == "predicted" else 1)
        self.variance = variance
        self.sigma = sigma
        if variance == "per-dimension":
            self.log_scale = nn.Parameter(torch.zeros(event.shape))
        elif variance == "shared":
            self.log_scale = nn.Parameter(torch.zeros(()))

    def _spread(self, std: Tensor) -> Tensor:
        """The scale parameter of a distribution of this standard deviation."""
        return std

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Location and log-scale, in the units the network sees."""
        params = wide(params)
        location = params.select(self.axis, 0)
        if self.variance == "predicted":
            return location, soft_clamp(params.select(self.axis, 1), _LOG_SCALE_LIMIT)
        if self.variance == "fixed":
            return location, torch.full_like(location, math.log(self.sigma))
        return location, soft_clamp(self.log_scale, _LOG_SCALE_LIMIT).expand_as(location)

    def _start(self, mean: Tensor, std: Tensor) -> Tensor:
        log_scale = torch.log(self._spread(std))
        if self.variance == "predicted":
            return torch.stack((mean, log_scale))
        if self.variance == "per-dimension":
            self.log_scale.data.copy_(log_scale)
        elif self.variance == "shared":
            self.log_scale.data.copy_(torch.log(self._spread(std.square().mean().sqrt())))
        return mean[None]


class Gaussian(_LocationScale):
    """A density of real events: x = shift + scale y, log p = log N(y; mu, s^2) - log scale.

    Data of any unit are standardized by their mean and standard deviation, dimension by dimension;
    the log-density is that of the data themselves.

    Args:
        event: A real event.
        variance: See ``Variance``: predicted, per-dimension, shared or fixed.
        sigma: The standard deviation where it is fixed, in standardized units.

    Raises:
        EventError: The event is discrete: a density at a code is not the code's probability.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, event: Event, variance: str = "predicted", sigma: float = 1.0) -> None:
        super().__init__(event, variance, sigma)
        if event.levels is not None:
            other = "bernoulli" if event.levels == 2 else "discretized-logistic"
            raise self.refusal(f"a density at a code is not the code's probability, use {other!r}")
        self.register_buffer("shift", torch.zeros(event.shape, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(event.shape))

    def normalize(self, x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standardized reals."""
        return standardize(x, self.shift, self.scale, dtype)

    def fit(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """Set shift and scale to the data's means and standard deviations."""
        moments = moments or Moments.of(x)
        self.shift.copy_(moments.mean)
        self.scale.copy_(moments.units)
        return self._start(torch.zeros_like(self.scale), torch.ones_like(self.scale))

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """See the base class: nats of density."""
        mu, log_sigma = self._split(params)
        y = self.normalize(x, mu.dtype)
        squares = (y - mu).square() * torch.exp(-2.0 * log_sigma)
        return self._sum(-0.5 * squares - log_sigma) - self._constant()

    def _constant(self) -> Tensor:
        return self.scale.log().sum() + 0.5 * LOG_TWO_PI * self.event.dimensions

    def mean(self, params: Tensor) -> Tensor:
        """The mean, in the data's units."""
        return restore(self._split(params)[0], self.shift, self.scale)

    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Reals, in the data's units."""
        mu, log_sigma = self._split(params)
        noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
        return restore(mu + log_sigma.exp() * noise, self.shift, self.scale)


class _Discretized(_LocationScale):
    """A continuous distribution cut into bins around the codes; the edge bins are open.

        p(k) = F((k + 1/2 - mu) / s) - F((k - 1/2 - mu) / s),  F(...) = 0 and 1 beyond the edges

    Its probabilities sum to 1 over the codes whatever mu and s.
    """

    def __init__(self, event: Event, variance: str = "predicted", sigma: float = 0.1) -> None:
        super().__init__(event, variance, sigma)
        if event.levels is None:
            raise self.refusal("it is for codes, use 'gaussian' for real data")
        self.levels = event.levels

    def normalize(self, x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Codes in [-1, 1], for two levels too: the location's units."""
        return x.to(dtype) * (2.0 / (self.levels - 1)) - 1.0

    def fit(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """Means and spreads of the codes, no narrower than one bin."""
        y = self.normalize(x, torch.get_default_dtype())
        return self._start(y.mean(0), y.std(0, correction=0).clamp(min=2.0 / (self.levels - 1)))

    def _on_codes(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Location and inverse scale in units of one code."""
        location, log_scale = self._split(params)
        half = (self.levels - 1) / 2.0
        return (location + 1.0) * half, torch.exp(-log_scale) / half

    def _cdf(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _quantile(self, u: Tensor) -> Tensor:
        raise NotImplementedError

    def mean(self, params: Tensor) -> Tensor:
        """The expected code, E[k] = sum_j P(k > j)."""
        mu, inverse = self._on_codes(params)
        total = torch.zeros_like(mu)
        for j in range(self.levels - 1):
            total += self._cdf((mu - (j + 0.5)) * inverse)
        return total

    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Codes: a continuous draw, rounded, and held at the open edges."""
        mu, inverse = self._on_codes(params)
        u = torch.rand(mu.shape, generator=generator, dtype=torch.float64, device=mu.device)
        draw = mu + self._quantile(u.clamp(1e-12, 1 - 1e-12)).to(mu.dtype) / inverse
        return self._codes(draw.round().clamp(0, self.levels - 1))


class DiscretizedLogistic(_Discretized):
    """Bins of a logistic distribution (Kingma et al., 2016; Salimans et al., 2017).

    With a, b the bin's edges and d = b - a = 1/s, the probability factors without cancellation:

        log p = log sigmoid(b) + log sigmoid(-a) + log(1 - exp(-d))

    where the terms of an open edge drop out.

    Args:
        event: A discrete event.
        variance: See ``Variance``.
        sigma: The logistic scale where it is fixed, with the codes on [-1, 1].

    Raises:
        EventError: The event is real.
    """

    def _spread(self, std: Tensor) -> Tensor:
        return std * (math.sqrt(3.0) / math.pi)

    def _cdf(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def _quantile(self, u: Tensor) -> Tensor:
        return torch.logit(u)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """See the base class: nats of the code's probability."""
        mu, inverse = self._on_codes(params)
        k = x.to(mu.dtype)
        centered = k - mu
        lowest, highest = k == 0, k == self.levels - 1
        below = F.logsigmoid((centered + 0.5) * inverse).masked_fill(highest, 0.0)
        above = F.logsigmoid((0.5 - centered) * inverse).masked_fill(lowest, 0.0)
        width = torch.log(-torch.expm1(-inverse)).masked_fill(lowest | highest, 0.0)
        return self._sum(below + above + width)


class DiscretizedGaussian(_Discretized):
    """Bins of a Gaussian: log p = log(Phi(b) - Phi(a)), taken on the tail where both are small.

    Args:
        event: A discrete event.
        variance: See ``Variance``.
        sigma: The standard deviation where it is fixed, with the codes on [-1, 1].

    Raises:
        EventError: The event is real.
    """

    def _cdf(self, x: Tensor) -> Tensor:
        p: Tensor = torch.special.ndtr(x)
        return p

    def _quantile(self, u: Tensor) -> Tensor:
        x: Tensor = torch.special.ndtri(u)
        return x

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """See the base class: nats of the code's probability."""
        mu, inverse = self._on_codes(params)
        return self._sum(log_code_mass(x, mu, inverse, self.levels))

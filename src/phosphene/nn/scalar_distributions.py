"""Distributions of one dimension given those before it, for autoregressive models.

A network gives each dimension ``size`` numbers, as a tensor (..., D, size); a conditional turns
them into log-probabilities of codes (or densities of reals), and a uniform number into a value.
Discrete conditionals know the logarithm of every code's probability, so that temperature, top-k and
nucleus mean the same to all of them.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.moments import Moments, outgrows, restore, standardize
from phosphene.nn.choosing import Choosing, choose
from phosphene.nn.gaussian import LOG_TWO_PI
from phosphene.nn.output import normalize_codes, soft_clamp, wide

__all__ = [
    "Bernoulli",
    "Categorical",
    "Conditional",
    "ConditionalName",
    "GaussianMixture",
    "LogisticBins",
    "LogisticMixture",
    "build_conditional",
]

ConditionalName = Literal[
    "auto", "bernoulli", "categorical", "logistic-bins", "gaussian-mixture", "logistic-mixture"
]
_TINY = 1e-12
_LOG_SCALE_LIMIT = 8.0


class Conditional(nn.Module):
    """A distribution of each dimension by itself.

    Args:
        event: What one example is; its dimensions are flattened.
        size: How many numbers a network gives for each dimension.
        uniforms: How many uniform numbers one value takes.
    """

    def __init__(self, event: Event, size: int, uniforms: int = 1) -> None:
        super().__init__()
        self.event, self.size, self.uniforms = event, size, uniforms

    def normalize(
        self, x: Tensor, dtype: torch.dtype = torch.float32, dimension: int | None = None
    ) -> Tensor:
        """Flat examples (n, D), or one dimension's values (n, 1), as a network should see them."""
        return normalize_codes(x, self.event, dtype)

    @property
    def wide(self) -> bool:
        """Whether values lie so far from 0 that float32 would round them."""
        return False

    def fit(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """Learn the data's scale; return parameters (D, size) to start at.

        Args:
            x: Examples (n, D).
            moments: Of reals, those of all data; None for those of the examples.
        """
        raise NotImplementedError

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Nats of each dimension (..., D): parameters (..., D, size), codes or reals (..., D)."""
        raise NotImplementedError

    def draw(self, params: Tensor, u: Tensor, how: Choosing, dimension: int | Tensor) -> Tensor:
        """Values (n,) of one dimension, in float and in the data's units.

        Args:
            params: (n, size).
            u: Uniform numbers in [0, 1) of shape (n, uniforms).
            how: Temperature, top-k and nucleus.
            dimension: Which one, as an index of the flat example; or one for each row (n,).
        """
        raise NotImplementedError


class _Discrete(Conditional):
    """A conditional of codes."""

    def log_pmf(self, params: Tensor) -> Tensor:
        """Log-probabilities of all codes (..., D, levels)."""
        raise NotImplementedError

    def draw(self, params: Tensor, u: Tensor, how: Choosing, dimension: int | Tensor) -> Tensor:
        """The code at which the cumulated probability passes u."""
        return choose(self.log_pmf(params), u[..., 0], how).to(params.dtype)


class Bernoulli(_Discrete):
    """log p = x l - softplus(l) of two-level codes, l the logit.

    Example:
        >>> Bernoulli(Event.binary(1)).log_prob(torch.zeros(1, 1, 1), torch.ones(1, 1))
        tensor([[-0.6931]])
    """

    def __init__(self, event: Event) -> None:
        super().__init__(event, 1)
        if event.levels != 2:
            raise EventError(f"Bernoulli cannot model {event}: it is for codes 0 and 1")

    def fit(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """The logits of the dimensions' (smoothed) frequencies."""
        return torch.logit((x.to(torch.get_default_dtype()).sum(0) + 0.5) / (len(x) + 1))[:, None]

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """See the base class."""
        logit = wide(params)[..., 0]
        target = x.to(logit.dtype).expand_as(logit)
        return -F.binary_cross_entropy_with_logits(logit, target, reduction="none")

    def log_pmf(self, params: Tensor) -> Tensor:
        """See the base class."""
        logit = wide(params)
        return torch.cat([-F.softplus(logit), -F.softplus(-logit)], -1)

    def draw(self, params: Tensor, u: Tensor, how: Choosing, dimension: int | Tensor) -> Tensor:
        """1 where u is at least the probability of 0."""
        if how.top_k == 1 or how.top_p is not None:
            return super().draw(params, u, how, dimension)
        logit = params[..., 0]
        if how.temperature == 0.0:
            return (logit > 0).to(params.dtype)
        return (u[..., 0] >= torch.sigmoid(-logit / how.temperature)).to(params.dtype)


class Categorical(_Discrete):
    """A free probability for each code: log p = log softmax(l)[x]."""

    def __init__(self, event: Event) -> None:
        if event.levels is None:
            raise EventError(f"Categorical cannot model {event}: it is for codes")
        super().__init__(event, event.levels)

    def fit(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """Logarithms of the codes' (smoothed) frequencies, dimension by dimension."""
        counts = F.one_hot(x.long(), self.size).sum(0).to(torch.get_default_dtype())
        overall = counts.mean(0, keepdim=True)
        return torch.log((counts + overall / len(x) + 1e-3) / (len(x) + 1))

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """See the base class."""
        log_p = torch.log_softmax(wide(params), -1)
        index = x.long().expand(log_p.shape[:-1])
        return log_p.gather(-1, index.unsqueeze(-1)).squeeze(-1)

    def log_pmf(self, params: Tensor) -> Tensor:
        """See the base class."""
        return torch.log_softmax(wide(params), -1)


def _parts(params: Tensor, components: int) -> tuple[Tensor, Tensor, Tensor]:
    """Log-weights, locations and log-scales of a mixture, each (..., components)."""
    weight, location, log_scale = wide(params).split(components, -1)
    return torch.log_softmax(weight, -1), location, soft_clamp(log_scale, _LOG_SCALE_LIMIT)


def _spread_start(dimensions: int, components: int, scale: float) -> Tensor:
    """Equal weights, locations spread over (-1, 1), one scale: (dimensions, 3 components)."""
    location = (torch.arange(components) + 0.5) / components * 2 - 1
    parts = (torch.zeros(components), location, torch.full((components,), math.log(scale)))
    return torch.cat(parts).repeat(dimensions, 1)


class LogisticBins(_Discrete):
    """A mixture of logistics on [-1, 1], cut into bins of codes (Salimans et al., 2017).

    p(x) = sum_k pi_k [sigmoid((x + 1/2 - mu_k)/s_k) - sigmoid((x - 1/2 - mu_k)/s_k)], the first
    and last bin reaching to infinity, so that the codes' probabilities sum to 1.

    Args:
        event: A discrete event.
        components: How many logistics.
    """

    def __init__(self, event: Event, components: int = 10) -> None:
        if event.levels is None:
            raise EventError(f"LogisticBins cannot model {event}: it is for codes")
        if components < 1:
            raise ConfigError(f"components must be 1 or more, got {components}")
        super().__init__(event, 3 * components)
        self.components = components

    def fit(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """Logistics spread evenly over the range of codes."""
        return _spread_start(x.shape[1], self.components, 1.0 / self.components)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """See the base class."""
        return self._bins(params, x.unsqueeze(-1)).squeeze(-1)

    def log_pmf(self, params: Tensor) -> Tensor:
        """See the base class."""
        assert self.event.levels is not None
        return self._bins(params, torch.arange(self.event.levels, device=params.device))

    def _bins(self, params: Tensor, codes: Tensor) -> Tensor:
        """Log-probabilities of codes (..., m) under parameters (..., size): (..., m)."""
        log_weight = _parts(params, self.components)[0].unsqueeze(-2)
        return torch.logsumexp(log_weight + self.log_components(params, codes), -1)

    def log_components(self, params: Tensor, codes: Tensor) -> Tensor:
        """Log-probabilities of codes (..., m) under each logistic by itself: (..., m, components).

        Args:
            params: (..., size).
            codes: (..., m).
        """
        assert self.event.levels is not None
        _, location, log_scale = (p.unsqueeze(-2) for p in _parts(params, self.components))
        half = 1.0 / (self.event.levels - 1)
        codes = codes.to(location.dtype).unsqueeze(-1)
        centered = (codes * (2.0 * half) - 1.0) - location
        inverse = torch.exp(-log_scale)
        upper, lower = (centered + half) * inverse, (centered - half) * inverse
        # log(sigmoid(b) - sigmoid(a)) = log sigmoid(b) + log sigmoid(-a) + log(1 - exp(a - b))
        width = torch.log(-torch.expm1(-2.0 * half * inverse))
        inner = F.logsigmoid(upper) + F.logsigmoid(-lower) + width
        top = self.event.levels - 1
        edge = torch.where(codes == 0, F.logsigmoid(upper), F.logsigmoid(-lower))
        return torch.where((codes == 0) | (codes == top), edge, inner)


class _Mixture(Conditional):
    """A mixture of location-scale densities of standardized reals.

    Data of any unit are standardized by their mean and standard deviation; log-densities are those
    of the data themselves.

    Args:
        event: A real event.
        components: How many.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, event: Event, components: int = 10) -> None:
        if event.levels is not None:
            raise EventError(
                f"{type(self).__name__} cannot model {event}: a density at a code is not the "
                "code's probability"
            )
        if components < 1:
            raise ConfigError(f"components must be 1 or more, got {components}")
        super().__init__(event, 3 * components, uniforms=2)
        self.components = components
        self.register_buffer("shift", torch.zeros(event.dimensions, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(event.dimensions))

    @property
    def wide(self) -> bool:
        """Whether values lie so far from 0 that float32 would round them."""
        return bool(outgrows(self.shift.abs(), self.scale).any())

    def normalize(
        self, x: Tensor, dtype: torch.dtype = torch.float32, dimension: int | None = None
    ) -> Tensor:
        """Standardized reals."""
        at = slice(None) if dimension is None else slice(dimension, dimension + 1)
        return standardize(x, self.shift[at], self.scale[at], dtype)

    def fit(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """Set shift and scale to the data's means and standard deviations."""
        moments = moments or Moments.of(x)
        self.shift.copy_(moments.mean.flatten())
        self.scale.copy_(moments.units.flatten())
        return _spread_start(x.shape[1], self.components, 1.0 if self.components == 1 else 0.5)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """See the base class: nats of density."""
        log_weight, location, log_scale = _parts(params, self.components)
        y = self.normalize(x, location.dtype).unsqueeze(-1)
        log_p = self._standard((y - location) * torch.exp(-log_scale)) - log_scale
        return torch.logsumexp(log_weight + log_p, -1) - self.scale.log()

    def draw(self, params: Tensor, u: Tensor, how: Choosing, dimension: int | Tensor) -> Tensor:
        """A component by the first number, a value of it by the second, both by inversion.

        The temperature sharpens the choice of the component and multiplies its scale; at 0 it is
        the most probable component's location.
        """
        if how.top_k is not None or how.top_p is not None:
            raise ConfigError("top_k and top_p choose among codes; this event holds real numbers")
        log_weight, location, log_scale = _parts(params, self.components)
        k = choose(log_weight, u[..., 0], how).unsqueeze(-1)
        location, log_scale = location.gather(-1, k), log_scale.gather(-1, k)
        most = 1.0 - torch.finfo(location.dtype).eps
        z = self._quantile(u[..., 1:].to(location.dtype).clamp(_TINY, most))
        y = (location + how.temperature * log_scale.exp() * z).squeeze(-1)
        return restore(y, self.shift[dimension], self.scale[dimension])

    def _standard(self, z: Tensor) -> Tensor:
        raise NotImplementedError

    def _quantile(self, u: Tensor) -> Tensor:
        raise NotImplementedError


class GaussianMixture(_Mixture):
    """p(y) = sum_k pi_k N(y; mu_k, s_k^2) of standardized y."""

    def _standard(self, z: Tensor) -> Tensor:
        return -0.5 * (z.square() + LOG_TWO_PI)

    def _quantile(self, u: Tensor) -> Tensor:
        z: Tensor = torch.special.ndtri(u)
        return z


class LogisticMixture(_Mixture):
    """p(y) = sum_k pi_k sigma'((y - mu_k)/s_k)/s_k of standardized y, sigma the logistic."""

    def _standard(self, z: Tensor) -> Tensor:
        return F.logsigmoid(z) + F.logsigmoid(-z)

    def _quantile(self, u: Tensor) -> Tensor:
        return torch.logit(u)


def build_conditional(name: str, event: Event, components: int = 10) -> Conditional:
    """The conditional of that name for an event.

    Args:
        name: ``bernoulli``, ``categorical``, ``logistic-bins``, ``gaussian-mixture``,
            ``logistic-mixture``, or ``auto``: Bernoulli for two levels, categorical up to 64 and
            for tokens, a mixture of logistics in bins for more, a mixture of Gaussians for reals.
        event: What one example is.
        components: Of a mixture.

    Raises:
        UnknownNameError: There is no conditional of that name.
        EventError: The conditional cannot model the event.

    Example:
        >>> type(build_conditional("auto", Event.image(1, 8, levels=17))).__name__
        'Categorical'
    """
    if name == "auto":
        name = _best(event)
    if name == "bernoulli":
        return Bernoulli(event)
    if name == "categorical":
        return Categorical(event)
    mixtures = {
        "gaussian-mixture": GaussianMixture,
        "logistic-bins": LogisticBins,
        "logistic-mixture": LogisticMixture,
    }
    if name not in mixtures:
        raise UnknownNameError("conditional", name, ("bernoulli", "categorical", *mixtures))
    built: Conditional = mixtures[name](event, components)
    return built


def _best(event: Event) -> str:
    if event.levels is None:
        return "gaussian-mixture"
    if event.levels == 2:
        return "bernoulli"
    return "categorical" if event.levels <= 64 or event.kind != "image" else "logistic-bins"

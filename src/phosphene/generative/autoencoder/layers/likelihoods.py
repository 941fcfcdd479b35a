"""Output distributions p(x | parameters) that score an event in its own units.

Discrete events are scored in nats of the probability of the code, real events in nats of density;
so any two models of one event are comparable. A network gives each dimension ``parameters``
numbers, as a tensor (..., parameters, *event.shape); a distribution turns them into
log-probabilities, means on the scale of the codes, and samples that are valid codes.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.errors import UnknownNameError
from phosphene.core.event import Event
from phosphene.core.moments import Moments
from phosphene.generative.autoencoder.layers.location_scale import (
    DiscretizedGaussian,
    DiscretizedLogistic,
    Gaussian,
)
from phosphene.nn.output import OutputDistribution, normalize_codes, soft_clamp, wide

__all__ = [
    "Bernoulli",
    "Categorical",
    "DiscretizedGaussian",
    "DiscretizedLogistic",
    "Gaussian",
    "OutputDistribution",
    "OutputName",
    "Variance",
    "build_output",
    "normalize_codes",
    "soft_clamp",
]

OutputName = Literal[
    "auto", "bernoulli", "gaussian", "discretized-logistic", "discretized-gaussian", "categorical"
]
Variance = Literal["predicted", "per-dimension", "shared", "fixed"]


class Bernoulli(OutputDistribution):
    """log p = x l - softplus(l) of two-level codes, l the logit.

    Args:
        event: An event of two levels.

    Raises:
        EventError: The event is real or has more than two levels.

    Example:
        >>> Bernoulli(Event.binary(1)).log_prob(torch.zeros(1, 1, 1), torch.ones(1, 1))
        tensor([-0.6931])
    """

    def __init__(self, event: Event) -> None:
        super().__init__(event, 1)
        if event.levels is None:
            raise self.refusal("it is for codes 0 and 1, use 'gaussian' for real data")
        if event.levels != 2:
            raise self.refusal("it is for 2 levels, use 'discretized-logistic' or 'categorical'")

    def fit(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """The logits of the pixels' (smoothed) frequencies."""
        p = (x.to(torch.get_default_dtype()).sum(0) + 0.5) / (len(x) + 1)
        return torch.logit(p)[None]

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """See the base class."""
        logits = wide(params).squeeze(self.axis)
        target = x.to(logits.dtype).expand_as(logits)
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return -self._sum(loss)

    def mean(self, params: Tensor) -> Tensor:
        """The probability of code 1."""
        return torch.sigmoid(wide(params).squeeze(self.axis))

    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Codes 0 and 1."""
        return self._codes(torch.bernoulli(self.mean(params), generator=generator))


class Categorical(OutputDistribution):
    """A free probability for each code: log p = log softmax(l)[x].

    Args:
        event: A discrete event; the network gives ``levels`` numbers a dimension.

    Raises:
        EventError: The event is real.
    """

    def __init__(self, event: Event) -> None:
        super().__init__(event, event.levels or 1)
        if event.levels is None:
            raise self.refusal("it is for codes, use 'gaussian' for real data")

    def fit(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """Logarithms of the codes' (smoothed) frequencies."""
        levels = torch.arange(self.parameters_per_dimension, device=x.device)
        levels = levels.view(-1, 1, *(1,) * len(self.event.shape))
        counts = (x.long()[None] == levels).sum(1).to(torch.get_default_dtype())
        overall = counts.flatten(1).mean(1).view(-1, *(1,) * len(self.event.shape))
        return torch.log((counts + overall / len(x) + 1e-3) / (len(x) + 1))

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """See the base class."""
        log_p = torch.log_softmax(wide(params), self.axis)
        index = x.long().unsqueeze(self.axis)
        shape = list(log_p.shape)
        shape[self.axis] = 1
        return self._sum(log_p.gather(self.axis, index.expand(shape)).squeeze(self.axis))

    def mean(self, params: Tensor) -> Tensor:
        """The expected code."""
        p = torch.softmax(wide(params), self.axis)
        levels = torch.arange(p.shape[self.axis], dtype=p.dtype, device=p.device)
        return (p.movedim(self.axis, -1) * levels).sum(-1)

    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Codes 0..levels-1."""
        p = torch.softmax(wide(params), self.axis).movedim(self.axis, -1)
        codes = torch.multinomial(p.reshape(-1, p.shape[-1]), 1, generator=generator)
        return self._codes(codes.view(p.shape[:-1]))


def build_output(
    name: str, event: Event, *, variance: str = "predicted", sigma: float | None = None
) -> OutputDistribution:
    """The output distribution of that name for an event.

    Args:
        name: ``bernoulli``, ``gaussian``, ``discretized-logistic``, ``discretized-gaussian``,
            ``categorical``, or ``auto``: Bernoulli for two levels, discretized logistic for more,
            Gaussian for reals.
        event: What one example is.
        variance: Who knows the scale of a Gaussian or logistic, see ``Variance``.
        sigma: That scale where it is fixed; None for the default.

    Raises:
        UnknownNameError: There is no distribution of that name.
        EventError: The distribution cannot model the event.

    Example:
        >>> type(build_output("auto", Event.image(1, 8, levels=17))).__name__
        'DiscretizedLogistic'
    """
    if name == "auto":
        name = _best(event)
    if name == "bernoulli":
        return Bernoulli(event)
    if name == "categorical":
        return Categorical(event)
    scaled = {
        "gaussian": Gaussian,
        "discretized-logistic": DiscretizedLogistic,
        "discretized-gaussian": DiscretizedGaussian,
    }
    if name not in scaled:
        raise UnknownNameError("output distribution", name, ("bernoulli", "categorical", *scaled))
    cls = scaled[name]
    return cls(event, variance) if sigma is None else cls(event, variance, sigma)


def _best(event: Event) -> str:
    if event.levels is None:
        return "gaussian"
    return "bernoulli" if event.levels == 2 else "discretized-logistic"

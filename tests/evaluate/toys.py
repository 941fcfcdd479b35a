"""Toy models with known likelihoods, for the evaluation's own tests."""

import math

import torch
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.protocols import available_if


class LinearGaussian(Model):
    """x = W z + m + s e, z ~ N(0, I): exact density, bound by a posterior that is a little off."""

    likelihood = "exact"

    def __init__(self, event: Event, *, latent: int = 2, off: float = 0.3) -> None:
        super().__init__(event)
        d = event.dimensions
        self.W = nn.Parameter(torch.linspace(-1, 1, d * latent).view(d, latent).sin())
        self.m = nn.Parameter(torch.linspace(0, 1, d))
        self.s2, self.off, self.k = 0.5, off, latent

    def _exact(self) -> torch.distributions.MultivariateNormal:
        eye = torch.eye(self.event.dimensions, dtype=self.m.dtype)
        return torch.distributions.MultivariateNormal(
            self.m, self.W @ self.W.T + self.s2 * eye, validate_args=False
        )

    def log_prob(self, x, context=None):
        return self._exact().log_prob(x)

    def _posterior(self, x):
        precision = self.W.T @ self.W / self.s2 + torch.eye(self.k, dtype=x.dtype)
        covariance = torch.linalg.inv(precision)
        return (x - self.m) @ self.W @ covariance / self.s2, covariance

    def elbo(self, x, context=None, *, particles=1, generator=None):
        mean, covariance = self._posterior(x)
        scale = covariance.diagonal().sqrt() * (1 + self.off)
        mean = mean + self.off * scale
        e = torch.randn(particles, len(x), self.k, generator=generator, dtype=x.dtype)
        z = mean + scale * e
        gap = (x - self.m - z @ self.W.T).square().sum(-1) / self.s2
        d = self.event.dimensions
        log_x = -0.5 * (gap + d * math.log(2 * math.pi * self.s2))
        log_p = -0.5 * (z.square().sum(-1) + self.k * math.log(2 * math.pi))
        log_q = -0.5 * (e.square().sum(-1) + self.k * math.log(2 * math.pi)) - scale.log().sum()
        return (log_x + log_p - log_q).logsumexp(0) - math.log(particles)

    def sample(self, n, context=None, *, generator=None):
        z = torch.randn(n, self.k, generator=generator)
        e = torch.randn(n, self.event.dimensions, generator=generator)
        return self.m + z @ self.W.T + self.s2**0.5 * e

    def encode(self, x, context=None):
        return self._posterior(x)[0]

    def decode(self, z, context=None):
        return self.m + z @ self.W.T

    def reconstruct(self, x, context=None):
        return self.decode(self.encode(x))


class Bounded(Model):
    """Only a bound: the linear-Gaussian model without its density."""

    likelihood = "bound"

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.inner = LinearGaussian(event)
        self.calls: list[tuple[int, int]] = []

    def elbo(self, x, context=None, *, particles=1, generator=None):
        self.calls.append((len(x), particles))
        return self.inner.elbo(x, particles=particles, generator=generator)


class Independent(Model):
    """Independent categorical pixels, perhaps one table for each label."""

    likelihood = "exact"

    def __init__(self, event: Event, *, context: ContextSpec | None = None) -> None:
        super().__init__(event, context=context)
        rows = self.context.label or 1
        self.logits = nn.Parameter(torch.zeros(rows, *event.shape, event.levels))

    def _rows(self, n: int, context: Context | None) -> Tensor:
        if self.context:
            assert context is not None
            return context.label
        assert context is None, "an unconditional model is given no context"
        return torch.zeros(n, dtype=torch.long)

    def fit(self, x: Tensor, labels: Tensor | None = None) -> "Independent":
        for row in range(len(self.logits)):
            part = x if labels is None else x[labels == row]
            levels = self.event.levels
            counts = nn.functional.one_hot(part.long(), levels).sum(0) + 0.5
            self.logits.data[row] = counts.float().log()
        return self

    def log_prob(self, x, context=None):
        table = self.logits.log_softmax(-1)[self._rows(len(x), context)]
        return table.gather(-1, x.long()[..., None]).flatten(1).sum(1)

    def sample(self, n, context=None, *, generator=None):
        p = self.logits.softmax(-1)[self._rows(n, context)]
        codes = torch.multinomial(p.flatten(0, -2), 1, generator=generator)
        return codes.view(n, *self.event.shape).to(torch.uint8)


class Implicit(Model):
    """Samples and nothing else; its density is withheld, as a GAN's is."""

    def sample(self, n, context=None, *, generator=None):
        return torch.randn(n, *self.event.shape, generator=generator)

    @available_if(lambda self: False, "an implicit model has no density")
    def log_prob(self, x, context=None):
        raise AssertionError


class Annealed(Model):
    """An estimate with an error shared by all examples."""

    likelihood = "estimate"

    def estimate_log_prob(self, x, context=None):
        return -x.flatten(1).square().sum(1), torch.full((len(x),), 0.25)

"""Small correct models, one of each capability, on which the laws are tried."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.catalog import System
from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.draws_per_context import each_row
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.phase import Loss
from phosphene.core.protocols import Likelihood
from tests.laws import small


class Toy(Model):
    """Checks the event and the label."""

    events: tuple[str, ...] = ("binary",)

    def __init__(self, event: Event, *, context: ContextSpec | None = None) -> None:
        super().__init__(event, context=context)
        kind = small.kind_of(event)
        if kind not in self.events:
            self.refuse(f"it takes {' and '.join(self.events)} events only")
        if set(self.context.names) - {"label"}:
            self.refuse("it is conditioned on labels only")
        self.classes = self.context.label or 1

    def codes(self, x: Tensor) -> Tensor:
        """Checked and flattened, in the parameters' type."""
        return self.event.check(x).flatten(1).to(self.dtype)

    def labels(self, context: Context | None, n: int) -> Tensor:
        """The label of each example, 0 where nothing is declared."""
        label = self.given(context, n).label
        return torch.zeros(n, dtype=torch.long) if label is None else label


def bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """log p(x) of independent bits, summed over the last dimension."""
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def flip(p: Tensor, generator: torch.Generator | None) -> Tensor:
    """Bits that are 1 with probability p."""
    uniform = torch.rand(p.shape, generator=generator, dtype=torch.float64)
    return (uniform < p).to(torch.uint8)


class Coins(Toy):
    """p(x|c) = prod_i Bernoulli(x_i; sigmoid(m_i + a_ci)), by Bernoulli (1713).

    The offset m is measured on the first batch and kept; only a is learned. Nothing here is a
    good model of anything: it is the smallest thing with an exact likelihood and a buffer.

    Args:
        event: A binary event.
        context: Labels, or nothing.
        scale: Standard deviation of the first a.

    Example:
        >>> Coins(Event.binary(3)).sample(2).shape
        torch.Size([2, 3])
    """

    likelihood: Likelihood = "exact"
    events = ("binary", "binary-image")
    remembers = True

    def __init__(
        self, event: Event, *, context: ContextSpec | None = None, scale: float = 0.5
    ) -> None:
        super().__init__(event, context=context)
        self.a = nn.Parameter(scale * torch.randn(self.classes, event.dimensions))
        self.register_buffer("m", torch.zeros(event.dimensions), persistent=self.remembers)

    def prepare(self, batch: Batch) -> None:
        mean = self.codes(batch.x).mean(0).clamp(0.1, 0.9)
        self.m.copy_(torch.logit(mean))

    def logits(self, context: Context | None, n: int) -> Tensor:
        return self.m + self.a[self.labels(context, n)]

    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        return bernoulli(self.logits(context, len(x)), self.codes(x))

    def loss(self, batch: Batch) -> Loss:
        nll = -self.log_prob(batch.x, batch.context)
        return Loss(nll.mean(), {"nll": nll})

    @torch.no_grad()
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        bits = flip(self.logits(context, n).sigmoid(), generator)
        return bits.reshape(n, *self.event.shape)


class Patches(Coins):
    """Coins that fill what is missing, independently of what is known."""

    events = ("binary",)

    @torch.no_grad()
    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        drawn = self.sample(len(x), context, generator=generator)
        return torch.where(mask, self.event.check(x).to(drawn.dtype), drawn)


class Chain(Toy):
    """p(x) = prod_i Bernoulli(x_i; sigmoid(b_i + sum_{j<i} W_ij x_j)), by Frey et al. (1996)."""

    likelihood: Likelihood = "exact"
    diagonal = -1

    def __init__(self, event: Event, *, context: ContextSpec | None = None) -> None:
        super().__init__(event, context=context)
        d = event.dimensions
        self.b = nn.Parameter(torch.zeros(self.classes, d))
        self.W = nn.Parameter(torch.randn(d, d))
        self.register_buffer("mask", torch.ones(d, d).tril(self.diagonal))
        self.register_buffer("order", torch.arange(d))

    def conditionals(self, x: Tensor, context: Context | None = None) -> Tensor:
        return self.b[self.labels(context, len(x))] + self.codes(x) @ (self.W * self.mask).T

    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        return bernoulli(self.conditionals(x, context), self.codes(x))

    def log_prob_sequential(self, x: Tensor, context: Context | None = None) -> Tensor:
        prefix, total = torch.zeros_like(x), torch.zeros(len(x), dtype=self.dtype)
        for i in range(self.event.dimensions):
            logit = self.conditionals(prefix, context)[:, i]
            total = total + bernoulli(logit[:, None], x[:, i : i + 1].to(self.dtype))
            prefix[:, i] = x[:, i]
        return total

    def loss(self, batch: Batch) -> Loss:
        return Loss(-self.log_prob(batch.x, batch.context).mean())

    @torch.no_grad()
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        x = torch.zeros(n, *self.event.shape, dtype=torch.uint8)
        for i in range(self.event.dimensions):
            x[:, i] = flip(self.conditionals(x, context)[:, i].sigmoid(), generator)
        return x


class Shear(Toy):
    """z_1 = (x_1 - m_1) / s_1, z_2 = (x_2 - m_2) / s_2 * exp(a(z_1)) + b(z_1), z normal."""

    likelihood: Likelihood = "exact"
    events = ("real",)

    def __init__(self, event: Event, *, context: ContextSpec | None = None) -> None:
        super().__init__(event, context=context)
        if event.shape != (2,):
            self.refuse("it shears the plane")
        self.first = nn.Parameter(0.5 * torch.randn(self.classes, 8))
        self.W = nn.Parameter(torch.randn(8))
        self.last = nn.Parameter(0.5 * torch.randn(2, 8))
        self.register_buffer("m", torch.zeros(2))
        self.register_buffer("s", torch.ones(2))

    def prepare(self, batch: Batch) -> None:
        x = self.codes(batch.x)
        self.m.copy_(x.mean(0))
        self.s.copy_(x.std(0))

    def coefficients(self, z1: Tensor, context: Context | None) -> tuple[Tensor, Tensor]:
        hidden = torch.tanh(z1[:, None] * self.W + self.first[self.labels(context, len(z1))])
        a, b = (hidden @ self.last.T).unbind(1)
        return torch.tanh(a), b

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        y = (self.event.check_shape(x) - self.m) / self.s
        a, b = self.coefficients(y[:, 0], context)
        z = torch.stack([y[:, 0], y[:, 1] * a.exp() + b], dim=1)
        return z, a - self.s.log().sum()

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        a, b = self.coefficients(self.event.check_shape(z)[:, 0], context)
        return torch.stack([z[:, 0], (z[:, 1] - b) * (-a).exp()], dim=1) * self.s + self.m

    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        z, log_det = self.forward_and_log_det(self.codes(x), context)
        return -0.5 * z.square().sum(1) - math.log(2 * math.pi) + log_det

    def loss(self, batch: Batch) -> Loss:
        return Loss(-self.log_prob(batch.x, batch.context).mean())

    @torch.no_grad()
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        z = torch.randn(n, 2, generator=generator, dtype=torch.float64).to(self.dtype)
        return self.inverse(z, context)


class TinyVAE(Toy):
    """z ~ N(0, I), x|z ~ Bernoulli(V z + c), q(z|x) = N(mu(x), sigma(x)^2), all linear."""

    likelihood: Likelihood = "bound"

    def __init__(self, event: Event, *, context: ContextSpec | None = None) -> None:
        super().__init__(event, context=context)
        d = event.dimensions
        self.encoder = nn.Linear(d, 4)
        self.decoder = nn.Linear(2, d)
        self.c = nn.Parameter(0.1 * torch.randn(self.classes, d))

    def gaussian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_sigma = self.encoder(self.codes(x)).chunk(2, dim=-1)
        return mu, log_sigma

    def logits(self, z: Tensor, context: Context | None, n: int) -> Tensor:
        return self.decoder(z) + self.c[self.labels(context, n)]

    def log_weight(self, x: Tensor, context: Context | None, noise: Tensor) -> Tensor:
        """log p(x, z) - log q(z|x) at z = mu + sigma noise."""
        mu, log_sigma = self.gaussian(x)
        z = mu + log_sigma.exp() * noise
        logits = self.logits(z, context, len(x))
        log_p = bernoulli(logits, self.codes(x).expand_as(logits)) - 0.5 * z.square().sum(-1)
        return log_p + (0.5 * noise.square() + log_sigma).sum(-1)

    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        noise = torch.randn(particles, len(x), 2, generator=generator, dtype=torch.float64)
        weights = self.log_weight(x, context, noise.to(self.dtype))
        return weights.logsumexp(0) - math.log(particles)

    def loss(self, batch: Batch) -> Loss:
        elbo = self.log_weight(batch.x, batch.context, batch.normal((2,)))
        return Loss(-elbo.mean(), {"elbo": elbo})

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        self.given(context, len(x))
        return self.gaussian(x)[0]

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        return self.logits(z, context, len(z)).sigmoid().reshape(-1, *self.event.shape)

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        return self.decode(self.encode(x, context), context)

    @torch.no_grad()
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        z = torch.randn(n, 2, generator=generator, dtype=torch.float64).to(self.dtype)
        return flip(self.decode(z, context), generator)


class Mixture(Toy):
    """p(x) = sum_k pi_k prod_i Bernoulli(x_i; t_ki) exactly, and bounded through q(k|x)."""

    likelihood: Likelihood = "exact"

    def __init__(
        self, event: Event, *, context: ContextSpec | None = None, components: int = 3
    ) -> None:
        super().__init__(event, context=context)
        self.pi = nn.Parameter(torch.zeros(self.classes, components))
        self.t = nn.Parameter(torch.randn(components, event.dimensions))
        self.q = nn.Linear(event.dimensions, components)

    def joint(self, x: Tensor, context: Context | None) -> Tensor:
        """log p(x, k), (n, components)."""
        prior = self.pi.log_softmax(-1)[self.labels(context, len(x))]
        bits = self.codes(x)[:, None].expand(-1, len(self.t), -1)
        return prior + bernoulli(self.t.expand_as(bits), bits)

    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        return self.joint(x, context).logsumexp(1)

    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        log_q = self.q(self.codes(x)).log_softmax(1)
        k = torch.multinomial(log_q.exp(), particles, replacement=True, generator=generator)
        weights = (self.joint(x, context) - log_q).gather(1, k)
        return weights.logsumexp(1) - math.log(particles)

    def loss(self, batch: Batch) -> Loss:
        log_q = self.q(self.codes(batch.x)).log_softmax(1)
        elbo = (log_q.exp() * (self.joint(batch.x, batch.context) - log_q)).sum(1)
        return Loss(-elbo.mean(), {"elbo": elbo})

    @torch.no_grad()
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        prior = self.pi.softmax(-1)[self.labels(context, n)]
        k = torch.multinomial(prior, 1, generator=generator)[:, 0]
        return flip(self.t[k].sigmoid(), generator)


CORRECT: tuple[type[Toy], ...] = (Coins, Patches, Chain, Shear, TinyVAE, Mixture)


def row_of(cls: type[Toy]) -> System:
    """A catalogue row for a toy."""
    return System(
        name=f"toy-{cls.__name__.lower()}",
        family="toys",
        title="A toy",
        kind="model",
        target=f"{cls.__module__}:{cls.__name__}",
        rows=(1,),
        paper="Bernoulli, 1713",
        events=cls.events,
        context="optional",
    )

"""The linear variational autoencoder, which is probabilistic PCA with an encoder."""

import math
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.model import Model
from phosphene.core.moments import Moments, restore
from phosphene.core.phase import Loss
from phosphene.core.ranges import Count, Positive, Within
from phosphene.core.settings import setting
from phosphene.nn.gaussian import LOG_TWO_PI, kl_full, log_standard_normal

__all__ = ["LinearVAE"]


class LinearVAE(Model):
    """p(x|z) = N(W z + b, sigma^2 I), p(z) = N(0, I), q(z|x) = N(V (x - b), S), in closed form.

    Everything about it is known, which makes it the yardstick of every other VAE here:

    - the likelihood is exact, x ~ N(b, W W^T + sigma^2 I), and so is the posterior
      p(z|x) = N(M^-1 W^T (x - b), sigma^2 M^-1) with M = W^T W + sigma^2 I;
    - the ELBO needs no samples, since E_q |x - b - W z|^2 = |x - b - W m|^2 + tr(W S W^T);
    - its optimum is probabilistic PCA: with lambda_i the eigenvalues of the data's covariance, W
      has squared singular values lambda_i - sigma^2, and sigma^2 is the mean of the eigenvalues
      that are left out (Tipping and Bishop, 1999); the ELBO is tight there, and with a diagonal S
      the columns of W are the principal axes themselves (Lucas, Tucker, Grosse and Norouzi, 2019);
    - with a weight ``beta`` on the KL the squared singular values are
      max(lambda_i - beta sigma^2, 0) (for fixed sigma).

    Args:
        event: A real event; other shapes are flattened in raster order.
        context: Not taken.

    Raises:
        EventError: The event is discrete, or a context is declared.
        ConfigError: latent_dim is not in 1..D, or sigma or beta is not positive.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = LinearVAE(Event.real(4), latent_dim=2)
        >>> x = torch.randn(3, 4)
        >>> bool((model.elbo(x) <= model.log_prob(x)).all())
        True
    """

    likelihood = "exact"
    keeps_last = True

    latent_dim: Count = setting(default=2, help="Size k of z, at most D.")
    fixed_sigma: Annotated[float | None, Within(0, above=True)] = setting(
        alias="sigma",
        default=None,
        help="The noise's standard deviation in the data's units; None to learn it.",
    )
    beta: Positive = setting(
        default=1.0, help="Weight of the KL in training; the reported ``elbo`` has weight 1."
    )
    covariance: Literal["diagonal", "full"] = setting(
        default="diagonal", help="S is ``diagonal`` or ``full``; it is the same for every x."
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.unit: Tensor
        self.shift: Tensor
        D = self.event.dimensions
        if self.event.discrete:
            self.refuse("its density is of real data; use 'vae' for codes")
        if self.context:
            self.refuse(f"it takes no context, got {', '.join(self.context.names)}")
        if self.latent_dim > D:
            raise ConfigError(
                f"latent_dim must be in 1..{D} for {self.event}, got {self.latent_dim}"
            )
        # Weights are kept in the data's own unit and offset, so that a learning rate suits any.
        self.weight = nn.Parameter(torch.randn(D, self.latent_dim) / math.sqrt(D))
        start = self.weight.detach().T.clone(memory_format=torch.contiguous_format)
        self.encoding = nn.Parameter(start)
        self.offset = nn.Parameter(torch.zeros(D))
        self.log_std = nn.Parameter(torch.zeros(self.latent_dim))
        if self.fixed_sigma is None:
            self.log_sigma = nn.Parameter(torch.zeros(()))
        if self.covariance == "full":
            self.lower = nn.Parameter(torch.zeros(self.latent_dim, self.latent_dim))
        self.full = self.covariance == "full"
        self.register_buffer("unit", torch.ones(()))
        self.register_buffer("shift", torch.zeros(D, dtype=torch.float64))

    def prepare(self, batch: Batch) -> None:
        """Take the data's offset and unit."""
        moments = batch.moments or Moments.of(batch.x)
        spread = moments.std.square().mean().sqrt()
        self.shift.copy_(moments.mean.flatten())
        if float(spread) > 0:
            self.unit.copy_(spread)

    # -- what the letters of the formulas are ------------------------------------------------------

    @property
    def W(self) -> Tensor:
        """Decoder weights (D, k) in the data's units."""
        return self.unit * self.weight

    @property
    def V(self) -> Tensor:
        """Encoder weights (k, D)."""
        return self.encoding / self.unit

    @property
    def b(self) -> Tensor:
        """The data's mean (D,)."""
        return (self.shift + self.unit * self.offset).to(self.dtype)

    @property
    def sigma2(self) -> Tensor:
        """The noise's variance."""
        if self.fixed_sigma is not None:
            return torch.full_like(self.unit, self.fixed_sigma**2)
        return (self.unit * torch.exp(self.log_sigma)).square()

    @property
    def S(self) -> Tensor:
        """Covariance (k, k) of q(z|x)."""
        root = self._root()
        return root @ root.T

    def _root(self) -> Tensor:
        root = torch.diag(torch.exp(self.log_std))
        return root + self.lower.tril(-1) if self.full else root

    # -- training and likelihood -------------------------------------------------------------------

    def loss(self, batch: Batch) -> Loss:
        """Minus the ELBO with weight ``beta`` on the KL, without any sampling."""
        reconstruction, kl = self._terms(batch.x)
        objective = reconstruction - self.beta * kl
        terms = {"reconstruction": reconstruction, "kl": kl, "elbo": reconstruction - kl}
        return Loss(-objective.mean(), {k: v.detach() for k, v in terms.items()})

    def _terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """E_q log p(x|z) and KL(q(z|x) || p(z)), each (n,)."""
        d = self._centered(x)
        m, root = d @ self.V.T, self._root()
        expected = (d - m @ self.W.T).square().sum(1) + (self.W @ root).square().sum()
        D, k = d.shape[1], self.latent_dim
        reconstruction: Tensor = -0.5 * (
            expected / self.sigma2 + D * (LOG_TWO_PI + self.sigma2.log())
        )
        log_det = 2.0 * self.log_std.sum()
        kl = 0.5 * (m.square().sum(1) + root.square().sum() - k - log_det)
        return reconstruction, kl

    def _centered(self, x: Tensor) -> Tensor:
        centered = (x.flatten(1) - self.shift).to(self.dtype)
        return centered - self.unit * self.offset

    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Exact log-density (n,) in nats, log N(x; b, W W^T + sigma^2 I)."""
        self.event.check(x)
        d = self._centered(x)
        D, k = d.shape[1], self.latent_dim
        M = self.W.T @ self.W + self.sigma2 * torch.eye(k, dtype=d.dtype, device=d.device)
        root = torch.linalg.cholesky(M)
        projected = torch.linalg.solve_triangular(root, self.W.T @ d.T, upper=False)
        # The inverse and determinant of the D x D covariance, through the k x k matrix M.
        quadratic = (d.square().sum(1) - projected.square().sum(0)) / self.sigma2
        log_det = (D - k) * self.sigma2.log() + 2.0 * root.diagonal().log().sum()
        log_p: Tensor = -0.5 * (quadratic + log_det + D * LOG_TWO_PI)
        return log_p

    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The ELBO in closed form, or the importance-weighted bound: (n,) nats."""
        self.event.check(x)
        if particles < 1:
            raise ConfigError(f"particles must be at least 1, got {particles}")
        if particles == 1:
            reconstruction, kl = self._terms(x)
            return reconstruction - kl
        d = self._centered(x)
        D, sigma2 = d.shape[1], self.sigma2
        total = torch.full((len(d),), -math.inf, dtype=d.dtype, device=d.device)
        m, root, W = d @ self.V.T, self._root(), self.W
        most = max(1, 2**20 // max(1, d.numel()))
        for first in range(0, particles, most):
            size = (min(most, particles - first), *m.shape)
            eps = torch.randn(size, generator=generator, dtype=d.dtype, device=d.device)
            z = m + eps @ root.T
            squares = (d - z @ W.T).square().sum(-1) / sigma2
            log_w = -0.5 * (squares + D * (LOG_TWO_PI + sigma2.log()))
            log_w = log_w + log_standard_normal(z) - log_standard_normal(eps) + self.log_std.sum()
            total = torch.logaddexp(total, torch.logsumexp(log_w, 0))
        return total - math.log(particles)

    # -- posterior, codes, samples -----------------------------------------------------------------

    def posterior(self, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (n, k) of q(z|x)."""
        m = self.encode(x, context)
        return m, self.S.diagonal().log().expand_as(m)

    def true_posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (n, k) and covariance (k, k) of p(z|x) by Bayes' rule."""
        eye = torch.eye(self.latent_dim, dtype=self.dtype, device=self.device)
        inverse = torch.linalg.inv(self.W.T @ self.W + self.sigma2 * eye)
        return self._centered(x) @ self.W @ inverse, self.sigma2 * inverse

    def gap(self, x: Tensor) -> Tensor:
        """KL(q(z|x) || p(z|x)) in nats (n,): what the ELBO lacks to the exact log-density."""
        mean, covariance = self.true_posterior(x)
        return kl_full(self.encode(x), self.S, mean, covariance)

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The mean of q(z|x), (n, k)."""
        self.event.check(x)
        return self._centered(x) @ self.V.T

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """W z + b, (n, *event.shape)."""
        mean = restore(z @ self.weight.T + self.offset, self.shift, self.unit)
        return mean.view(-1, *self.event.shape)

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        """``decode(encode(x))``."""
        return self.decode(self.encode(x, context), context)

    @torch.no_grad()
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw (n, *event.shape)."""
        k, D = self.latent_dim, self.event.dimensions
        draw = torch.randn(n, k + D, generator=generator, dtype=self.dtype, device=self.device)
        z, noise = draw.split((k, D), dim=1)
        x: Tensor = self.sigma2.sqrt() * noise.reshape(-1, *self.event.shape)
        return self.decode(z, context) + x

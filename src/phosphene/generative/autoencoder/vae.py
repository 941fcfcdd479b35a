"""The variational autoencoder."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.draws_per_context import each_row
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.model import Model
from phosphene.core.phase import Loss, Phase, Step
from phosphene.core.ranges import COUNT, Count, Natural, NotNegative
from phosphene.core.settings import setting
from phosphene.generative.autoencoder.layers.likelihoods import build_output, soft_clamp
from phosphene.generative.autoencoder.layers.networks import build_decoder, build_encoder
from phosphene.generative.autoencoder.particles import (
    log_mean_exp,
    log_ratio,
    normal_like,
    per_particle,
)
from phosphene.generative.autoencoder.prior import LatentPrior
from phosphene.generative.autoencoder.settings import NetworkSettings, OutputSettings
from phosphene.nn.augment import DISTORTIONS, distort_images, random_distortions
from phosphene.nn.context_embedding import ConditionEmbedding
from phosphene.nn.gaussian import kl_to_standard, log_standard_normal
from phosphene.nn.noise import Uniform
from phosphene.nn.settings import DistortionSettings

__all__ = ["VAE"]

_LOGVAR_LIMIT = 14.0
_ROWS = 512
"""Decoder rows evaluated at once: large enough for the matrix product, small enough for cache."""

HIDDEN = {"mlp": (400, 400), "conv": (32, 64), "resnet": (32, 64)}
"""Widths (or channels) of the small default of each network."""


class VAE(NetworkSettings, OutputSettings, DistortionSettings, Model):
    """Variational autoencoder: p(x) = int p(x|z) N(z; 0, I) dz, trained by a lower bound.

        log p(x) >= ELBO = E_q[log p(x|z)] - KL(q(z|x) || p(z)),   q(z|x) = N(mu(x), diag s(x)^2)

    The gap is KL(q(z|x) || p(z|x)). The expectation is over z = mu + s eps, eps ~ N(0, I), so that
    its gradient passes through the sample. With several particles the bound is importance-weighted
    (Burda, Grosse and Salakhutdinov, 2016) and never looser:

        log p(x) >= E log (1/K) sum_k p(x|z_k) p(z_k) / q(z_k|x)

    With ``shift`` or ``warp``, training images are distorted at random and the networks are told
    the distortion; it is zero ever after. So the model learns p(x | distortion) from many more
    images than there are, and no distortion leaks into its samples or into its bound, which stays
    one on log p(x) of the data as they are (distribution augmentation; Jun et al., 2020).

    Kingma and Welling, "Auto-encoding variational Bayes" (2014); Rezende, Mohamed and Wierstra
    (2014). Conditional on labels: Sohn, Lee and Yan (2015). Scores are in nats per example.

    Args:
        event: What one example is: binary, image, audio or real.
        context: ``ContextSpec(label=...)`` or ``vector=...`` makes p(x|z, c) and q(z|x, c).

    Raises:
        EventError: The event or context cannot be modeled.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = VAE(Event.binary(9), latent_dim=2, hidden=(16,))
        >>> x = torch.zeros(4, 9)
        >>> model.elbo(x).shape, model.sample(3).shape, model.encode(x).shape
        (torch.Size([4]), torch.Size([3, 9]), torch.Size([4, 2]))
    """

    likelihood = "bound"

    latent_dim: Count = setting(default=16, help="Size of z.")
    particles: Count = setting(
        default=1,
        help="Samples of z an example in training; above 1 the loss is the importance-weighted "
        "bound.",
    )
    free_bits: NotNegative = setting(
        default=0.0,
        help="Nats of KL that each latent dimension has free of charge (Kingma et al., 2016).",
    )
    warmup: Natural = setting(default=0, help="Steps over which the KL's weight rises from 0 to 1.")
    patch: Count = setting(
        default=1,
        help="Side of the squares of pixels that ``conv`` and ``resnet`` fold into channels first "
        "and unfold last; 2 is several times faster on images of one channel.",
    )

    def setup(self) -> None:
        """Make the networks."""
        super().setup()
        self._check_support()
        free_bits, particles, shift, warp = self.free_bits, self.particles, self.shift, self.warp
        if particles > 1 and free_bits > 0:
            raise ConfigError(f"free_bits={free_bits} needs particles=1, got particles={particles}")
        if (shift or warp) and not self.event.has_image_shape:
            raise ConfigError(
                f"shift={shift} and warp={warp} distort images; the event is {self.event}"
            )
        self.output = build_output(
            self.output_name, self.event, variance=self.variance, sigma=self.sigma
        )
        self.condition = ConditionEmbedding(self.context)
        widths = HIDDEN.get(self.network, ()) if self.hidden is None else tuple(self.hidden)
        self.told = DISTORTIONS if shift or warp else 0
        width = self.condition.width + self.told
        self.encoder = build_encoder(
            self.network, self.event, widths, 2 * self.latent_dim, blocks=self.blocks,
            activation=self.activation_name, dropout=self.dropout, norm=self.norm,
            condition=width, patch=self.patch,
        )  # fmt: skip
        self.decoder = build_decoder(
            self.network, self.latent_dim, widths[::-1], self.event,
            self.output.parameters_per_dimension, blocks=self.blocks,
            activation=self.activation_name, dropout=self.dropout, norm=self.norm,
            condition=width, patch=self.patch,
        )  # fmt: skip
        self.kl_weight: Tensor
        self.register_buffer("kl_weight", torch.tensor(0.0 if self.warmup else 1.0))

    def _check_support(self) -> None:
        if self.event.kind == "tokens":
            self.refuse("token codes have no order; an autoregressive model suits them")
        for name in self.context.names:
            if name not in ("label", "vector"):
                raise EventError(
                    f"{type(self).__name__} can be conditioned on a label or a vector, not on "
                    f"{name!r}"
                )

    # -- training ---------------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> None:
        """Standardize reals, and let the decoder start at the marginals of the data."""
        with torch.no_grad():
            self.decoder.start_at(self.output.fit(batch.x, batch.moments))

    def phases(self) -> Sequence[Phase]:
        """One phase of gradient descent; before it, with a warm-up, the KL's weight moves."""
        model = Phase("model", list(self.parameters()), self.loss)
        if self.warmup == 0:
            return [model]
        return [Phase("warmup", [], update=self._warm), model]

    def _warm(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        self.kl_weight.fill_(min(1.0, (step.number + 1) / self.warmup))
        return {"kl_weight": self.kl_weight.clone()}

    def loss(self, batch: Batch) -> Loss:
        """Minus the bound, as weighted in training; ``terms["elbo"]`` is the unweighted one."""
        x, condition = self._distorted(batch)
        uniform: Uniform | None = batch.uniform if self.training else None
        mu, logvar = self._posterior(x, condition, uniform)
        eps = batch.normal((self.particles, self.latent_dim)).transpose(0, 1)
        z = mu + torch.exp(0.5 * logvar) * eps.to(mu.dtype)
        uniform = uniform and per_particle(uniform, self.particles)
        reconstruction = self.output.log_prob(self._params(z, condition, uniform), x)
        kl = kl_to_standard(mu, logvar)
        terms = {"reconstruction": reconstruction.mean(0), "kl": kl.sum(1)}
        if self.particles == 1:
            objective = self.objective(reconstruction[0], kl)
            terms["elbo"] = terms["reconstruction"] - terms["kl"]
        else:
            ratio = log_ratio(z, eps, logvar)
            objective = log_mean_exp(reconstruction + self.kl_weight * ratio)
            terms["elbo"] = log_mean_exp((reconstruction + ratio).detach())
        return Loss(-objective.mean(), {k: v.detach() for k, v in terms.items()})

    def judged(self, batch: Batch) -> Loss:
        """Minus the bound at its full weight, whatever the warm-up or free bits charge by now."""
        loss = self.loss(batch)
        return Loss(-self.aim(loss.terms).mean(), loss.terms)

    def aim(self, terms: Mapping[str, Tensor]) -> Tensor:
        """What training is for (n,), from the terms of the loss: the bound."""
        return terms["elbo"]

    def _distorted(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Training images, distorted where asked for, and what the networks are told."""
        condition: Tensor | None = self.condition(self.given(batch.context, len(batch)))
        if not self.told:
            return batch.x, condition
        if not self.training:
            return batch.x, self._undistorted(condition, len(batch))
        by = random_distortions(batch.uniform((DISTORTIONS + 1,)))
        x = distort_images(batch.x, by, shift=self.shift, warp=self.warp)
        return x, _joined(condition, by.to(self.kl_weight.dtype))

    def _undistorted(self, condition: Tensor | None, n: int) -> Tensor | None:
        if not self.told:
            return condition
        return _joined(condition, self.kl_weight.new_zeros(n, self.told))

    def objective(self, reconstruction: Tensor, kl: Tensor) -> Tensor:
        """What is maximised for each example, from E log p(x|z) (n,) and the KL terms (n, d)."""
        charged = kl.clamp(min=self.free_bits) if self.free_bits else kl
        return reconstruction - self.kl_weight * charged.sum(1)

    # -- inference --------------------------------------------------------------------------------

    def posterior(self, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (n, latent_dim) of q(z|x)."""
        return self._posterior(self.event.check(x), self._condition(context, len(x)))

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The mean of q(z|x), (n, latent_dim)."""
        return self.posterior(x, context)[0]

    def decode_params(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The parameters of p(x|z), (n, parameters, *event.shape)."""
        return self._params(z, self._condition(context, len(z)))

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The mean of p(x|z) on the scale of the codes, (n, *event.shape) floats."""
        return self.output.mean(self.decode_params(z, context))

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        """``decode(encode(x))``: both means, no noise."""
        return self.decode(self.encode(x, context), context)

    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
        prior: LatentPrior | None = None,
    ) -> Tensor:
        """A stochastic lower bound on log p(x), in nats.

        With one particle it is the ELBO with the KL in closed form; with more it is the
        importance-weighted bound, whose sum over particles is streamed: x is encoded once and
        memory does not grow with their number.

        Args:
            x: Codes or reals (n, *event.shape).
            context: What the model is conditioned on.
            particles: Samples of z for each example.
            generator: Source of the samples.
            prior: A density of z fitted after training, which then replaces N(0, I) in the model.

        Returns:
            (n,) nats.
        """
        COUNT.check("particles", particles)
        self.event.check(x)
        condition = self._condition(context, len(x))
        mu, logvar = self._posterior(x, condition)
        if particles == 1 and prior is None:
            z = mu + torch.exp(0.5 * logvar) * normal_like(mu[None], generator)
            reconstruction = self.output.log_prob(self._params(z, condition), x)[0]
            return reconstruction - kl_to_standard(mu, logvar).sum(1)
        bounds = []
        for rows in torch.arange(len(x), device=x.device).split(max(1, _ROWS // particles)):
            c = None if condition is None else condition[rows]
            bounds.append(
                self._importance(x[rows], mu[rows], logvar[rows], c, particles, generator, prior)
            )
        return torch.cat(bounds) if bounds else mu.new_zeros(0)

    def _importance(
        self,
        x: Tensor,
        mu: Tensor,
        logvar: Tensor,
        condition: Tensor | None,
        particles: int,
        generator: torch.Generator | None,
        prior: LatentPrior | None,
    ) -> Tensor:
        std = torch.exp(0.5 * logvar)
        total = torch.full((len(x),), -math.inf, dtype=mu.dtype, device=mu.device)
        most = max(1, _ROWS // len(x))
        for first in range(0, particles, most):
            k = min(most, particles - first)
            eps = normal_like(mu.expand(k, *mu.shape), generator)
            z = mu + std * eps
            log_w = self.output.log_prob(self._params(z, condition), x)
            log_w = log_w + log_ratio(z, eps, logvar)
            if prior is not None:
                log_w = log_w + prior.log_prob(z).to(z.dtype) - log_standard_normal(z)
            total = torch.logaddexp(total, torch.logsumexp(log_w, 0))
        return total - math.log(particles)

    # -- sampling ---------------------------------------------------------------------------------

    @torch.no_grad()
    @each_row
    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        prior: LatentPrior | None = None,
    ) -> Tensor:
        """Draw (n, *event.shape) from p(x): z from the prior, then x from p(x|z)."""
        return self._ancestral(n, context, generator, prior, mean=False)

    @torch.no_grad()
    def sample_mean(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        prior: LatentPrior | None = None,
    ) -> Tensor:
        """The means of p(x|z) for z from the prior: what pictures of samples usually show."""
        return self._ancestral(n, context, generator, prior, mean=True)

    def _ancestral(
        self,
        n: int,
        context: Context | None,
        generator: torch.Generator | None,
        prior: LatentPrior | None,
        *,
        mean: bool,
    ) -> Tensor:
        condition = self._condition(context, n)
        if prior is None:
            empty = self.kl_weight.new_empty(n, self.latent_dim, dtype=self.dtype)
            z = normal_like(empty, generator)
        else:
            z = prior.sample(n, generator).to(self.device, self.dtype)
        out = []
        for rows in torch.arange(n, device=z.device).split(_ROWS):
            params = self._params(z[rows], None if condition is None else condition[rows])
            out.append(self.output.mean(params) if mean else self.output.sample(params, generator))
        return torch.cat(out)

    # -- pieces -----------------------------------------------------------------------------------

    def _condition(self, context: Context | None, n: int) -> Tensor | None:
        return self._undistorted(self.condition(self.given(context, n)), n)

    def _posterior(
        self, x: Tensor, condition: Tensor | None, uniform: Uniform | None = None
    ) -> tuple[Tensor, Tensor]:
        h = self.encoder(self.output.normalize(x, self.kl_weight.dtype), condition, uniform)
        mu, logvar = h.to(self.kl_weight.dtype).chunk(2, dim=1)
        return mu, soft_clamp(logvar, _LOGVAR_LIMIT)

    def _params(
        self, z: Tensor, condition: Tensor | None, uniform: Uniform | None = None
    ) -> Tensor:
        """Decode z (n, d), or (k, n, d) with k particles for each row of the condition."""
        params: Tensor
        if z.ndim == 2:
            params = self.decoder(z, condition, uniform)
            return params
        if condition is not None:
            condition = condition.expand(len(z), *condition.shape).flatten(0, 1)
        params = self.decoder(z.flatten(0, 1), condition, uniform)
        return params.view(*z.shape[:2], *params.shape[1:])


def _joined(condition: Tensor | None, more: Tensor) -> Tensor:
    return more if condition is None else torch.cat((condition, more), dim=1)

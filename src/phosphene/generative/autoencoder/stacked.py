"""The stacked semi-supervised VAE (M1+M2): a semi-supervised VAE of a VAE's latents."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.draws_per_context import each_row
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.phase import Loss, Phase
from phosphene.core.ranges import Count
from phosphene.core.settings import setting
from phosphene.generative.autoencoder.layers.shift import shift_images
from phosphene.generative.autoencoder.semi_supervised import SemiSupervisedVAE
from phosphene.generative.autoencoder.settings import LabelSettings, OutputSettings, WidthSettings
from phosphene.generative.autoencoder.vae import VAE
from phosphene.nn.gaussian import log_normal

__all__ = ["StackedSemiSupervisedVAE"]


class StackedSemiSupervisedVAE(WidthSettings, LabelSettings, OutputSettings, Model):
    """M1+M2: p(y) N(z2; 0, I) p(z1|y, z2) p(x|z1), labels y mostly unknown.

        log p(x) >= E_q(z1|x)[log p(x|z1) - log q(z1|x) + (a bound on log p(z1))]

    Kingma, Rezende, Mohamed and Welling (2014). The first stage, M1, is a VAE of x with latent z1
    ("features"); the second, M2, a :class:`SemiSupervisedVAE` of z1, which sums over labels in a
    few dimensions instead of in all pixels.

    **How it is trained.** The paper trains M1 to the end, and then M2 on its features. Here both
    take a turn in every step, in two phases: M1 by its own bound under N(z1; 0, I), M2 on draws of
    z1 from M1's current posterior, through which no gradient flows. M1 is thus trained exactly as
    it would be alone, labels never change it, and M2 follows its features until they rest.
    Sampling and :meth:`elbo` use the stacked model above, in which M2 has replaced M1's prior.

    Args:
        event: What one example is: binary, image, audio or real.
        context: ``ContextSpec(label=K)``, required.

    Raises:
        EventError: There is no label in the context, or more than it, or the event is of tokens.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> model = StackedSemiSupervisedVAE(
        ...     Event.binary(9), context=ContextSpec(label=3), feature_dim=4, latent_dim=2
        ... )
        >>> x = torch.zeros(5, 9)
        >>> model.classify(x).shape, model.elbo(x).shape, [p.name for p in model.phases()]
        (torch.Size([5, 3]), torch.Size([5]), ['features', 'labels'])
    """

    likelihood = "bound"
    label_may_be_unknown = True

    feature_dim: Count = setting(default=50, help="Size of z1.")
    latent_dim: Count = setting(default=16, help="Size of the style z2.")
    second_hidden: tuple[int, ...] = setting(
        default=(128, 128), help="Widths of q(z2|z1,y) and p(z1|y,z2)."
    )
    classifier_hidden: tuple[int, ...] = setting(default=(256,), help="Widths of q(y|z1).")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.features = VAE(
            self.event,
            latent_dim=self.feature_dim,
            network=self.network,
            hidden=self.hidden,
            activation=self.activation_name,
            decoder=self.output_name,
            variance=self.variance,
            sigma=self.sigma,
            shift=self.shift,
        )
        self.second = SemiSupervisedVAE(
            Event.real(self.feature_dim),
            context=self._labels_only(),
            latent_dim=self.latent_dim,
            hidden=self.second_hidden,
            classifier_hidden=self.classifier_hidden,
            classifier_dropout=self.classifier_dropout,
            activation=self.activation_name,
            alpha=self.alpha,
        )

    def _labels_only(self) -> ContextSpec:
        if self.context.names != ("label",):
            given = ", ".join(self.context.names) or "none"
            raise EventError(
                f"{type(self).__name__} needs a context of labels alone, "
                f"ContextSpec(label=number of classes), got {given}"
            )
        return self.context

    # -- training ---------------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> None:
        """Start M1 at the marginals of the data; M2's unit is that of z1 under N(0, I)."""
        self.features.prepare(batch)

    def phases(self) -> Sequence[Phase]:
        """M1 by its bound, then M2 on M1's current features."""
        return [
            Phase("features", list(self.features.parameters()), self.features.loss),
            Phase("labels", list(self.second.parameters()), self.label_loss),
        ]

    def label_loss(self, batch: Batch) -> Loss:
        """M2's loss on a draw of z1 for each example."""
        x = batch.x
        if self.shift:
            x = shift_images(x, batch.randint(2 * self.shift + 1, (2,)) - self.shift)
        with torch.no_grad():
            mu, logvar = self.features.posterior(x)
            eps = batch.normal((self.features.latent_dim,))
            z1 = mu + torch.exp(0.5 * logvar) * eps.to(mu.dtype)
        return self.second.loss(replace(batch, x=z1))

    # -- inference --------------------------------------------------------------------------------

    def classify(self, x: Tensor) -> Tensor:
        """The probabilities q(y|z1), (n, K), at the mean of z1."""
        return self.second.classify(self.features.encode(x))

    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A stochastic lower bound, in nats: of log p(x|y) where y is given, else of log p(x).

        With several particles both latents are importance-weighted and labels summed over.

        Args:
            x: Codes or reals (n, *event.shape).
            context: Labels, -1 where unknown; None if all are.
            particles: Samples of z1 for each example.
            generator: Source of the samples.

        Returns:
            (n,) nats.
        """
        if particles < 1:
            raise ConfigError(f"particles must be at least 1, got {particles}")
        mu, logvar = self.features.posterior(x)
        # exp of M2's importance-weighted bound is an unbiased estimate of p(z1), which is what
        # an importance weight may hold; two particles are the fewest that M2 sums labels over.
        inner = 1 if particles == 1 else 2
        total = torch.full_like(mu[:, 0], -math.inf)
        for _ in range(particles):
            eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
            z1 = mu + torch.exp(0.5 * logvar) * eps
            log_p = self.features.output.log_prob(self.features.decode_params(z1), x)
            prior = self.second.elbo(z1, context, particles=inner, generator=generator)
            total = torch.logaddexp(total, log_p + prior - log_normal(z1, mu, logvar))
        return total - math.log(particles)

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The style: the mean of q(z2|z1, y) at the mean of z1, (n, latent_dim)."""
        return self.second.encode(self.features.encode(x), context)

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """E[x|z1] at the mean of z1 given y and z2: floats on the scale of the codes."""
        return self.features.decode(self.second.decode(z, context))

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        """``decode(encode(x))`` with the given label, or the likeliest one."""
        return self.features.decode(self.second.reconstruct(self.features.encode(x), context))

    def translate(self, x: Tensor, context: Context) -> Tensor:
        """The example in its own style under another label: floats on the scale of the codes."""
        return self.decode(self.encode(x), context)

    @torch.no_grad()
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw (n, *event.shape): y where it is not given, then z2, z1 and x."""
        z1 = self.second.sample(n, context, generator=generator)
        out = [
            self.features.output.sample(self.features.decode_params(part), generator)
            for part in z1.split(2048)
        ]
        return torch.cat(out)

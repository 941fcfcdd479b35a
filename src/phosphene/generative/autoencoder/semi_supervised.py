"""The semi-supervised VAE: labels as a latent variable that is sometimes observed (M2)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.draws_per_context import each_row
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.model import Model
from phosphene.core.phase import Loss
from phosphene.core.ranges import Count
from phosphene.core.settings import setting
from phosphene.generative.autoencoder.layers.likelihoods import build_output, soft_clamp
from phosphene.generative.autoencoder.layers.networks import (
    NetworkName,
    build_decoder,
    build_encoder,
)
from phosphene.generative.autoencoder.layers.shift import shift_images
from phosphene.generative.autoencoder.settings import LabelSettings, OutputSettings, WidthSettings
from phosphene.nn.activations import activation_named
from phosphene.nn.gaussian import kl_to_standard
from phosphene.nn.noise import Uniform

__all__ = ["SemiSupervisedVAE"]

_LOGVAR_LIMIT = 14.0
_ROWS = 2048
"""Decoder rows evaluated at once outside training."""

HIDDEN = {"mlp": (256, 256), "conv": (32, 64), "resnet": (32, 64)}
"""Widths (or channels) of the small default of each network."""


class SemiSupervisedVAE(WidthSettings, LabelSettings, OutputSettings, Model):
    """M2: p(x, y, z) = p(y) N(z; 0, I) p(x|y, z), with labels y that are mostly unknown.

        labelled     log p(x, y) >= -L(x, y) = E_q(z|x,y)[log p(x|y,z)] + log p(y) - KL(q || p(z))
        unlabelled   log p(x) >= -U(x) = sum_y q(y|x) (-L(x, y)) + H(q(y|x))
        loss         mean of L (where y is known) and U (elsewhere) + alpha * -log q(y|x) (known)

    Kingma, Rezende, Mohamed and Welling, "Semi-supervised learning with deep generative models"
    (2014). The label is independent of z *a priori*, z ⟂ y, not given x: z need not repeat it and
    learns the style, and an example can be drawn again under another label (:meth:`translate`). A
    z of many dimensions repeats it all the same, the more so where q(y|x) errs. p(y) is uniform.

    Labels arrive in ``batch.context.label``, -1 where unknown. The sum over y is exact: one pass of
    the decoder for each class, with the same noise for all of them, so that classes are compared
    without the noise between them. The part of q(z|x, y) that sees x is computed once.

    Args:
        event: What one example is: binary, image, audio or real.
        context: ``ContextSpec(label=K)``, required.

    Raises:
        EventError: There is no label in the context, or more than it, or the event is of tokens.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> from phosphene.core.context import ContextSpec
        >>> from phosphene.core.event import Event
        >>> model = SemiSupervisedVAE(Event.binary(9), context=ContextSpec(label=3), latent_dim=2)
        >>> x = torch.zeros(4, 9)
        >>> model.classify(x).shape, model.elbo(x).shape
        (torch.Size([4, 3]), torch.Size([4]))
        >>> model.sample(2, Context(label=torch.tensor([0, 2]))).shape
        torch.Size([2, 9])
    """

    likelihood = "bound"
    label_may_be_unknown = True

    latent_dim: Count = setting(
        default=32, help="Size of the style z; one of few dimensions leaves the label to y."
    )
    classifier_network: NetworkName = setting(
        alias="classifier",
        default="mlp",
        help="Network of q(y|x): ``mlp``, ``conv`` or ``resnet``.",
    )
    classifier_hidden: tuple[int, ...] | None = setting(
        default=None, help="Widths or channels of that network; None for its small default."
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.event.kind == "tokens":
            self.refuse("token codes have no order; an autoregressive model suits them")
        self.classes = self._classes()
        if self.shift and not self.event.has_image_shape:
            raise ConfigError(f"shift={self.shift} must be 0 unless images are moved")
        self.activation = activation_named(self.activation_name)
        self.output = build_output(
            self.output_name, self.event, variance=self.variance, sigma=self.sigma
        )
        widths = HIDDEN.get(self.network, ()) if self.hidden is None else tuple(self.hidden)
        if not widths:
            raise ConfigError(f"hidden needs at least one width with network={self.network!r}")
        trunk = widths[:-1] if self.network == "mlp" else widths
        self.trunk = build_encoder(
            self.network, self.event, trunk, widths[-1], activation=self.activation_name
        )
        self.label = nn.Embedding(self.classes, widths[-1])
        self.head = nn.Linear(widths[-1], 2 * self.latent_dim)
        self.decoder = build_decoder(
            self.network,
            self.latent_dim,
            widths[::-1],
            self.event,
            self.output.parameters_per_dimension,
            activation=self.activation_name,
            condition=self.classes,
        )
        name = self.classifier_network
        self.classifier = build_encoder(
            name,
            self.event,
            HIDDEN.get(self.classifier_network, ())
            if self.classifier_hidden is None
            else self.classifier_hidden,
            self.classes,
            activation=self.activation_name,
            dropout=self.classifier_dropout,
        )

    def _classes(self) -> int:
        if self.context.names != ("label",) or self.context.label is None:
            given = ", ".join(self.context.names) or "none"
            raise EventError(
                f"{type(self).__name__} needs a context of labels alone, "
                f"ContextSpec(label=number of classes), got {given}"
            )
        if self.context.label < 2:
            raise EventError(f"{type(self).__name__} needs at least 2 classes")
        return self.context.label

    # -- training ---------------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> None:
        """Standardize reals, and let the decoder start at the marginals of the data."""
        with torch.no_grad():
            self.decoder.start_at(self.output.fit(batch.x, batch.moments))

    def loss(self, batch: Batch) -> Loss:
        """L where the label is known, U elsewhere, and alpha times the cross-entropy."""
        x, label = batch.x, self._labels(batch.context, len(batch))
        if self.shift and self.training:
            x = shift_images(x, batch.randint(2 * self.shift + 1, (2,)) - self.shift)
        # One draw of eps for all classes: their bounds then differ by the class alone.
        bounds = self._bounds(x, batch.normal((self.latent_dim,)))
        log_q = self._log_q(x, batch.uniform)
        # A mask, not a selection: every parameter has a gradient in every batch.
        known = label >= 0
        at = label.clamp(min=0)[:, None]
        labelled = bounds.gather(1, at)[:, 0]
        unlabelled = (log_q.exp() * (bounds - log_q)).sum(1)
        cross_entropy = torch.where(known, -log_q.gather(1, at)[:, 0], 0.0)
        bound = torch.where(known, labelled, unlabelled)
        terms = {"elbo": bound, "cross_entropy": cross_entropy}
        total = (self.alpha * cross_entropy - bound).mean()
        return Loss(total, {name: t.detach() for name, t in terms.items()})

    # -- inference --------------------------------------------------------------------------------

    def classify(self, x: Tensor) -> Tensor:
        """The probabilities q(y|x), (n, K)."""
        return self._log_q(self.event.check(x)).exp()

    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A stochastic lower bound, in nats: of log p(x|y) where y is given, else of log p(x).

        With one particle and no label it is U(x). With more, labels are summed over and z is
        importance-weighted, log sum_y p(y) (1/K) sum_k p(x|y,z_k) p(z_k) / q(z_k|x,y), which does
        not depend on the classifier.

        Args:
            x: Codes or reals (n, *event.shape).
            context: Labels, -1 where unknown; None if all are.
            particles: Samples of z for each example and class.
            generator: Source of the samples.

        Returns:
            (n,) nats.
        """
        if particles < 1:
            raise ConfigError(f"particles must be at least 1, got {particles}")
        label = self._labels(context, len(self.event.check(x)))
        out = []
        for rows in torch.arange(len(x), device=x.device).split(max(1, _ROWS // self.classes)):
            if particles == 1:
                eps = self._noise(len(rows), generator)
                bounds = self._bounds(x[rows], eps)
                log_q = self._log_q(x[rows])
                free = (log_q.exp() * (bounds - log_q)).sum(1)
            else:
                bounds = self._importance(x[rows], particles, generator)
                free = torch.logsumexp(bounds, 1)
            given = bounds.gather(1, label[rows].clamp(min=0)[:, None])[:, 0]
            out.append(torch.where(label[rows] >= 0, given + math.log(self.classes), free))
        return torch.cat(out) if out else self.head.weight.new_zeros(0)

    def posterior(self, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (n, latent_dim) of q(z|x, y); unknown y is the likeliest one."""
        y = self._known_or_likeliest(self.event.check(x), context)
        h = self.trunk(self.output.normalize(x, self.dtype))
        return self._posterior(h + self.label(y))

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The style: the mean of q(z|x, y), (n, latent_dim)."""
        return self.posterior(x, context)[0]

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """E[x|y, z], or E[x|z] where y is unknown: (n, *event.shape) floats on the codes' scale."""
        label = self._labels(context, len(z))
        means = self.output.mean(self._params(z.expand(self.classes, *z.shape)))
        given = means[label.clamp(min=0), torch.arange(len(z), device=z.device)]
        known = (label >= 0).view(-1, *(1,) * len(self.event.shape))
        return torch.where(known, given, means.mean(0))

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        """``decode(encode(x))`` with the given label, or the likeliest one."""
        y = Context(label=self._known_or_likeliest(self.event.check(x), context))
        return self.decode(self.encode(x, y), y)

    def translate(self, x: Tensor, context: Context) -> Tensor:
        """The example in its own style under another label: floats on the scale of the codes.

        Args:
            x: Examples (n, *event.shape); their own labels are inferred.
            context: The labels (n,) that they shall have.
        """
        return self.decode(self.encode(x), context)

    @torch.no_grad()
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw (n, *event.shape): y where it is not given, then z, then x from p(x|y, z)."""
        label = self._labels(context, n)
        drawn = torch.randint(self.classes, (n,), generator=generator, device=label.device)
        label = torch.where(label >= 0, label, drawn)
        z = self._noise(n, generator)
        out = []
        for rows in torch.arange(n, device=z.device).split(_ROWS):
            params = self.decoder(z[rows], F.one_hot(label[rows], self.classes).to(z.dtype))
            out.append(self.output.sample(params, generator))
        return torch.cat(out)

    # -- pieces -----------------------------------------------------------------------------------

    def _bounds(self, x: Tensor, eps: Tensor) -> Tensor:
        """-L(x, y) for every class, (n, K), from eps (n, latent_dim)."""
        mu, logvar = self._posteriors(x)
        z = mu + torch.exp(0.5 * logvar) * eps.to(mu.dtype)
        log_p = self.output.log_prob(self._params(z), x)
        return torch.t(log_p - kl_to_standard(mu, logvar).sum(-1)) - math.log(self.classes)

    def _importance(self, x: Tensor, particles: int, generator: torch.Generator | None) -> Tensor:
        """Importance-weighted bounds on log p(x, y) for every class, (n, K)."""
        mu, logvar = (t[:, None] for t in self._posteriors(x))
        total = torch.full_like(mu[:, 0, :, 0], -math.inf)
        most = max(1, _ROWS // (self.classes * len(x)))
        for first in range(0, particles, most):
            k = min(most, particles - first)
            eps = self._noise(k * len(x), generator).view(k, len(x), -1)
            z = mu + torch.exp(0.5 * logvar) * eps
            ratio = 0.5 * (eps.square() - z.square() + logvar).sum(-1)
            params = self._params(z.flatten(1, 2)).unflatten(1, (k, len(x)))
            log_w = self.output.log_prob(params, x) + ratio
            total = torch.logaddexp(total, torch.logsumexp(log_w, 1))
        return torch.t(total) - math.log(particles * self.classes)

    def _posteriors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x, y) for every class, (K, n, latent_dim)."""
        h = self.trunk(self.output.normalize(x, self.dtype))
        return self._posterior(h + self.label.weight[:, None])

    def _posterior(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = self.head(self.activation(h)).chunk(2, dim=-1)
        return mu, soft_clamp(logvar, _LOGVAR_LIMIT)

    def _params(self, z: Tensor) -> Tensor:
        """Decode z (K, n, d), one slice for each class: (K, n, parameters, *event.shape)."""
        one_hot = torch.eye(self.classes, dtype=z.dtype, device=z.device)
        condition = one_hot.repeat_interleave(z.shape[1], dim=0)
        params: Tensor = self.decoder(z.flatten(0, 1), condition)
        return params.view(self.classes, -1, *params.shape[1:])

    def _log_q(self, x: Tensor, uniform: Uniform | None = None) -> Tensor:
        logits: Tensor = self.classifier(self.output.normalize(x, self.dtype), None, uniform)
        return torch.log_softmax(logits, 1)

    def _known_or_likeliest(self, x: Tensor, context: Context | None) -> Tensor:
        label = self._labels(context, len(x))
        return torch.where(label >= 0, label, self._log_q(x).argmax(1))

    def _labels(self, context: Context | None, n: int) -> Tensor:
        """Labels (n,) of the context, -1 where they are unknown or withheld."""
        if context is None or context.label is None:
            return torch.full((n,), -1, device=self.device)
        told = self.given(context, n)
        assert told.label is not None
        return told.label if told.dropped is None else told.label.masked_fill(told.dropped, -1)

    def _noise(self, n: int, generator: torch.Generator | None) -> Tensor:
        shape = (n, self.latent_dim)
        return torch.randn(shape, generator=generator, dtype=self.dtype, device=self.device)

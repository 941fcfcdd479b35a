"""What every normalizing flow shares: the change of variables, dequantization, sampling."""

import math
from typing import Literal

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.draws_per_context import each_row
from phosphene.core.errors import ConfigError, DataError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.moments import Moments
from phosphene.core.phase import Loss
from phosphene.core.protocols import available_if
from phosphene.data.codecs import Chain, Codec, Dequantize, Logit, Standardize
from phosphene.data.equalize import Equalize
from phosphene.generative.flow.layers.bases import Base, Uniform, build_base
from phosphene.generative.flow.layers.dequantize import DEQUANTIZATIONS, build_dequantizer
from phosphene.generative.flow.layers.squash import Sigmoid
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.generative.flow.layers.whiten import Whiten
from phosphene.generative.flow.settings import BaseSettings, CodecSettings

__all__ = ["Flow"]

CodecName = Literal["logit", "centered", "equalized"]
CODECS: tuple[CodecName, ...] = ("logit", "centered", "equalized")


class Flow(BaseSettings, CodecSettings, Model):
    """log p(x) = log p_Z(f(y)) + log |det df/dy| + log |det dy/dx|, y the codec's reals.

    By Rezende and Mohamed (2015). A subclass gives f, a :class:`Transform` from the event's shape
    to the event's shape, by calling :meth:`build`; everything else follows.

    Real events are standardized by the first batch and have an exact density. Codes are spread
    over their bins (Uria, Murray and Larochelle, 2013): with u ~ q(u | x),
    log P(x) >= E log p(x + u) - log q(u | x), so that a flow has a bound (``elbo``) for codes, and
    not a likelihood.

    Args:
        context: What the density is conditioned on: a label, a vector, an image.

    Raises:
        UnknownNameError: There is no such base, codec or dequantization.
        ConfigError: Reals are to be dequantized variationally, or what is not a vector whitened.
        EventError: The event is neither real nor an image.
    """

    scoring_particles = 1
    """The bound of dequantization is scored as it is: weighting draws takes a pass for each."""

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.transform: Transform
        if self.whiten and (self.event.kind != "real" or len(self.event.shape) != 1):
            raise ConfigError(f"whiten=True is for vectors of reals, got {self.event}")
        if self.event.kind not in ("real", "image"):
            self.refuse("a flow takes reals, or images of codes that are dequantized")
        if self.context.text is not None:
            self.refuse("it is conditioned on labels, vectors and images, not on text")
        self.likelihood = "bound" if self.event.discrete else "exact"
        self.base: Base = build_base(
            self.base_name, self.event.shape, context=self.context, components=self.components
        )
        self.codec = _codec(self.event, self.codec_name, self.alpha)
        self.equalized = self.codec_name == "equalized"
        if self.dequantization not in DEQUANTIZATIONS:
            raise UnknownNameError("dequantization", self.dequantization, DEQUANTIZATIONS)
        if self.event.discrete:
            self.bound_note = f"{self.dequantization} dequantization"
            self.dequantizer = build_dequantizer(self.dequantization, self.event, self.context)
        elif self.dequantization != "uniform":
            raise ConfigError(
                f"dequantization={self.dequantization!r} is for codes, got {self.event}"
            )

    @property
    def spills(self) -> bool:
        """Whether density lies outside the codes' bins, which all probabilities together miss.

        A sample from there becomes the nearest code. Equalized codes fill the line.
        """
        return self.event.discrete and not self.equalized

    def build(self, transform: Transform) -> None:
        """Set f, after the whitening; a base on the unit cube gets a last map to it."""
        parts = [Whiten(self.event.dimensions), transform] if self.whiten else [transform]
        if isinstance(self.base, Uniform):
            parts.append(Sigmoid())
        self.transform = Composition(parts) if len(parts) > 1 else transform

    # -- the bijection, after the codec ---------------------------------------------------------

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """z = f(y) and log |det dz/dy| (n,), for y after the codec."""
        x = self.event.check_shape(x)
        return self.transform.forward_and_log_det(x, self.given(context, len(x)))

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The y with f(y) = z."""
        z = self.event.check_shape(z)
        return self.transform.inverse(z, self.given(context, len(z)))

    def encoded(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Examples as the bijection takes them, and the codec's log-determinant (n,)."""
        wide = x.dtype == torch.float64 and not self.event.discrete
        return self.codec.encode(x if wide else x.to(self.dtype), noise)

    # -- likelihoods ----------------------------------------------------------------------------

    def _log_density(self, y: Tensor, context: Context) -> Tensor:
        z, log_det = self.transform.forward_and_log_det(y, context)
        return self.base.log_prob(z, context) + log_det

    def _bound(self, x: Tensor, context: Context, noise: Tensor | None) -> Tensor:
        """One draw of log p(x + u) - log q(u | x), or the density itself of reals.

        The noise (n, *event.shape) is uniform; without it u is the middle of the bin.
        """
        log_q: Tensor | float = 0.0
        if noise is not None:
            noise, log_q = self.dequantizer(x, noise, context)
        y, log_det = self.encoded(x, noise)
        return self._log_density(y, context) + log_det - log_q

    @available_if(
        lambda self: not self.event.discrete,
        "codes are dequantized, which gives a bound: use elbo",
    )
    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Exact log-density (n,) of reals, in nats."""
        return self._bound(self.event.check(x), self.given(context, len(x)), None)

    @available_if(
        lambda self: self.event.discrete, "the likelihood of reals is exact: use log_prob"
    )
    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A bound (n,) on the log-probability of codes, tighter for more particles, in nats."""
        if particles < 1:
            raise ConfigError(f"particles must be 1 or more, got {particles}")
        self.event.check(x)
        context = self.given(context, len(x)).repeat(particles)
        x = x.repeat_interleave(particles, 0)
        u = torch.rand(x.shape, generator=generator, device=x.device, dtype=self.dtype)
        each = self._bound(x, context, u).view(-1, particles)
        return each.logsumexp(1) - math.log(particles)

    def loss(self, batch: Batch) -> Loss:
        """The negative log-density, or one draw of the bound with the batch's noise."""
        self.event.check(batch.x)
        context = self.given(batch.context, len(batch))
        noise = batch.uniform(self.event.shape).to(self.dtype) if self.event.discrete else None
        nll = -self._bound(batch.x, context, noise)
        terms = {"nll": nll}
        if not self.training:
            terms["inverse_error"] = self.inverse_error(batch.x[:32], context[:32])
        return Loss(nll.mean(), terms)

    @torch.no_grad()
    def inverse_error(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Largest |f^-1(f(y)) - y| of each example (n,), in units of the largest |y| (at least 1).

        Samples of a flow that is not invertible in floating point are wrong, however good its
        likelihood is.
        """
        context = self.given(context, len(x))
        y, _ = self.encoded(self.event.check(x))
        z, _ = self.transform.forward_and_log_det(y, context)
        back = self.transform.inverse(z, context)
        return (back - y).abs().flatten(1).amax(1) / y.abs().max().clamp(min=1.0)

    def check_moments(self, moments: Moments) -> None:
        """Refuse a column that never varies: it has no density."""
        if moments.n < 2 or not moments.constant:
            return
        names = [moments.name(i) for i in moments.constant[:3]]
        more = len(moments.constant) - len(names)
        value = float(moments.mean.flatten()[moments.constant[0]])
        verb = "is" if len(moments.constant) == 1 else "are"
        raise DataError(
            f"{', '.join(names)}{f' and {more} more' if more else ''} {verb} constant ({value:g}), "
            f"where a density is infinite: leave {'it' if verb == 'is' else 'them'} out, or add "
            "noise"
        )

    def prepare(self, batch: Batch) -> None:
        """Learn the scale of reals, then let each layer initialize itself."""
        x = self.event.check(batch.x).to(self.device)
        if isinstance(self.codec, Standardize):
            moments = batch.moments or Moments.of(x)
            self.check_moments(moments)
            self.codec.take(moments)
        for part in self.codec.modules():
            if isinstance(part, Equalize):
                part.fit(x)
        noise = batch.uniform(self.event.shape).to(self.dtype) if self.event.discrete else None
        with torch.no_grad():
            y, _ = self.encoded(x, noise)
            z = self.transform.prepare(y, self.given(batch.context, len(batch)))
            self.base.prepare(z)

    # -- samples --------------------------------------------------------------------------------

    @torch.no_grad()
    @each_row
    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Draw (n, *event.shape): f^-1 of the base, whose spread the temperature multiplies.

        Raises:
            ConfigError: The temperature is negative.
        """
        if temperature < 0:
            raise ConfigError(f"temperature must be 0 or more, got {temperature}")
        context = self.given(context, n)
        z = self.base.sample(n, context, generator=generator, temperature=temperature)
        return self.codec.decode(self.transform.inverse(z, context))

    @available_if(lambda self: not self.event.discrete, "codes have no gradient")
    def rsample_and_log_prob(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draws (n, *event.shape) with gradients, and their log-densities (n,), in one pass."""
        context = self.given(context, n)
        z = self.base.sample(n, context, generator=generator)
        y, log_det = self.transform.inverse_and_log_det(z, context)
        assert isinstance(self.codec, Standardize)
        x = self.codec.decode(y)
        return x, self.base.log_prob(z, context) - log_det + self.codec.encode(x)[1]


def _codec(event: Event, name: str, alpha: float) -> Codec:
    if name not in CODECS:
        raise UnknownNameError("codec", name, CODECS)
    if event.levels is None:
        shift = torch.zeros(event.shape, dtype=torch.float64)
        return Standardize(shift, torch.ones(event.shape))
    if name == "logit":
        return Chain(Dequantize(event.levels), Logit(alpha))
    if name == "equalized":
        return Chain(Dequantize(event.levels), Equalize(event))
    return Chain(Dequantize(event.levels), Standardize(0.5, 1.0))

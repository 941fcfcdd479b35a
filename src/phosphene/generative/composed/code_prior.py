"""A prior over another model's codes: two models that make one generative model."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.draws_per_context import each_row
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.phase import Loss, Phase
from phosphene.core.protocols import Density, Tokenizes, available_if
from phosphene.core.settings import setting
from phosphene.core.stages import Part
from phosphene.generative.composed.building import build_part

__all__ = ["CodePrior", "DecodesTokens"]


@runtime_checkable
class DecodesTokens(Tokenizes, Protocol):
    """Turns examples into tokens, and tokens into a distribution of examples."""

    def vectors_of(self, tokens: Tensor) -> Tensor:
        """What the decoder takes, of codes (n, t)."""
        ...

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """The conditional log p(x|z) (n,) in nats."""
        ...


class CodePrior(Model):
    """log p(x) >= log p(c) + log p(x | c), c = code(x): discrete codes with a density of their own.

    The first model turns an example into tokens (VQ-VAE: van den Oord, Vinyals and Kavukcuoglu,
    2017), the second is an autoregressive model of them. The bound drops all codes but one; it is
    one because p(x) = sum_c p(c) p(x|c). Samples draw codes and then an example given them. With a
    label, the prior is conditioned on it, and the codes are not.

    Trained by ``phosphene train`` it has two stages: the codes, then the prior with the codes fixed
    and computed once. As one model it trains both side by side.

    Args:
        event: What the first model takes.
        context: What the prior is conditioned on.

    Raises:
        ConfigError: The first system has no tokens.

    Example:
        >>> model = CodePrior(
        ...     Event.image(1, 8, levels=2),
        ...     codes={"codes": 8, "hidden": 8},
        ...     prior_system="made",
        ...     prior={"hidden": (16,)},
        ... )
        >>> model.sample(2).shape, model.elbo(torch.zeros(3, 1, 8, 8)).shape
        (torch.Size([2, 1, 8, 8]), torch.Size([3]))
    """

    likelihood = "bound"
    weights_particles = False
    """The bound keeps one code of an example; its exponential is no unbiased estimate of p(x)."""
    bound_note = "by one code of each example"

    codes_system: str = setting(default="vq-vae", help="Name of the system that makes the codes.")
    codes_settings: Mapping[str, Any] | None = setting(
        alias="codes", default=None, help="Its settings."
    )
    prior_system: str = setting(default="transformer", help="Name of the system of the prior.")
    prior_settings: Mapping[str, Any] | None = setting(
        alias="prior", default=None, help="Its settings."
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.systems = (self.codes_system, self.prior_system)
        self.settings = (dict(self.codes_settings or {}), dict(self.prior_settings or {}))
        self.codes = build_part(self.codes_system, self.event, None, self.codes_settings)
        if not isinstance(self.codes, DecodesTokens):
            raise ConfigError(f"codes_system {self.codes_system!r} has no tokens; 'vq-vae' has")
        self.prior = build_part(
            self.prior_system, self.codes.code_event, self.context_spec, self.prior_settings
        )
        if not isinstance(self.prior, Density):
            raise ConfigError(
                f"prior_system {self.prior_system!r} has no exact likelihood of tokens"
            )
        self.label_may_be_unknown = self.prior.label_may_be_unknown

    # -- training in stages -----------------------------------------------------------------------

    stages = ("codes", "prior")

    def part(self, stage: str) -> Part:
        """The codes, which are told nothing, or the prior."""
        if stage == "codes":
            return Part(self.systems[0], self.settings[0], self.codes)
        return Part(self.systems[1], self.settings[1], self.prior, self.context.names)

    def outputs(self, stage: str, x: Tensor) -> Tensor:
        """The tokens of examples, which the prior is trained on."""
        return self.tokens(x)

    @classmethod
    def beginning_with(
        cls, system: str, config: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Settings for a prior over the codes of a model that exists."""
        return {**settings, "codes_system": system, "codes": dict(config)}

    # -- training side by side --------------------------------------------------------------------

    def prepare(self, batch: Batch) -> None:
        """Prepare both, the prior on the codes of the first batch."""
        self.codes.prepare(batch)
        self.prior.prepare(self._coded(batch))

    def count_labels(self, counts: Tensor) -> None:
        """The prior's affair."""
        self.prior.count_labels(counts)

    def phases(self) -> Sequence[Phase]:
        """The codes' phases, then the prior's, on codes as they are at that step."""
        own = [
            Phase(f"codes-{p.name}", p.parameters, p.loss, p.optimizer, p.every, p.repeat, p.update)
            for p in self.codes.phases()
        ]
        return [*own, Phase("prior", list(self.prior.parameters()), self._prior_loss)]

    def loss(self, batch: Batch) -> Loss:
        """Minus the bound: what validation judges."""
        bound = self.elbo(batch.x, batch.context)
        return Loss(-bound.mean(), {"elbo": bound})

    def _coded(self, batch: Batch) -> Batch:
        with torch.no_grad():
            tokens = self._tokenizer.tokens(batch.x)
        return Batch(tokens, batch.index, batch.context, batch.noise)

    def _prior_loss(self, batch: Batch) -> Loss:
        return self.prior.loss(self._coded(batch))

    # -- what it is for ---------------------------------------------------------------------------

    @property
    def _tokenizer(self) -> Any:
        return cast(Any, self.codes)

    @property
    def _prior(self) -> Any:
        return cast(Any, self.prior)

    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The bound log p(c) + log p(x|c) (n,) in nats; the code is certain, so that particles and
        the generator change nothing.
        """  # noqa: D205
        tokens = self._tokenizer.tokens(x)
        z = self._tokenizer.vectors_of(tokens)
        log_prior: Tensor = self._prior.log_prob(tokens, context)
        return log_prior + cast(Tensor, self._tokenizer.log_likelihood(x, z))

    @torch.no_grad()
    @each_row
    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> Tensor:
        """Draw codes from the prior, then (n, *event.shape) from the decoder."""
        z = self._draw(n, context, generator, temperature, top_k, top_p)
        drawn: Tensor = self._tokenizer.output.sample(self._tokenizer.decode_params(z), generator)
        return drawn

    @torch.no_grad()
    def sample_mean(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> Tensor:
        """Draw codes from the prior; the means (n, *event.shape) of p(x|z) at them."""
        z = self._draw(n, context, generator, temperature, top_k, top_p)
        mean: Tensor = self._tokenizer.decode(z)
        return mean

    def _draw(
        self,
        n: int,
        context: Context | None,
        generator: torch.Generator | None,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
    ) -> Tensor:
        tokens = self._prior.sample(
            n, context, generator=generator, temperature=temperature, top_k=top_k, top_p=top_p
        )
        z: Tensor = self._tokenizer.vectors_of(tokens)
        return z

    @property
    def code_event(self) -> Event:
        """What the codes of one example are."""
        return cast(Event, self._tokenizer.code_event)

    def tokens(self, x: Tensor) -> Tensor:
        """Codes (n, t) of examples."""
        return cast(Tensor, self._tokenizer.tokens(x))

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The quantized vectors of the codes."""
        self.given(context, len(x))
        return cast(Tensor, self._tokenizer.encode(x))

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The mean of p(x|z), on the scale of the codes."""
        self.given(context, len(z))
        return cast(Tensor, self._tokenizer.decode(z))

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        """``decode(encode(x))``."""
        return self.decode(self.encode(x, context), context)

    @available_if(lambda self: self.context.label is not None, "it is not conditioned on a label")
    def classify(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Log-posterior of labels (n, classes) given the codes and what else is known."""
        return cast(Tensor, self._prior.classify(self._tokenizer.tokens(x), context))

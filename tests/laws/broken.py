"""Models that each break the contracts in one way, and the laws that must notice."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.draws_per_context import each_row
from phosphene.core.errors import EventError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.phase import Loss, Phase
from phosphene.core.protocols import Likelihood
from phosphene.generative.autoregressive.autoregressive import Stepper
from phosphene.generative.autoregressive.completion import Known
from phosphene.generative.autoregressive.fvsbn import FVSBN
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.nn.context_embedding import ConditionBias
from tests.laws.toys import Chain, Coins, Mixture, Patches, Shear, TinyVAE, Toy, bernoulli, flip

BROKEN: dict[Any, frozenset[str]] = {}


def breaks(*laws: str) -> Any:
    """Register a model with exactly the laws that it breaks."""

    def register(cls: type[Model]) -> type[Model]:
        BROKEN[cls] = frozenset(f"law_{name}" for name in laws)
        return cls

    return register


@breaks("completions_follow_the_density", "context_is_used")
class CompletesAsIfNothingWereKnown(FVSBN):
    """The beginning is drawn from the prior, whatever is known to follow."""

    events = ("binary",)

    def settle(self, known: Known, generator: torch.Generator | None) -> Known:
        return known


@breaks("contexts_have_a_row_for_each_example")
class TakesTheFirstRows(Coins):
    def given(self, context: Context | None, n: int) -> Context:
        return super().given(context and context[:n], n)


@breaks("one_row_of_context_stands_for_all")
class AsksForEveryRow(Coins):
    def given(self, context: Context | None, n: int) -> Context:
        if context is not None and context.label is not None and len(context.label) < n:
            rows = len(context.label)
            raise EventError(f"the context's label has {rows} rows for {n} examples")
        return super().given(context, n)


@breaks("each_row_of_a_context_has_draws_of_its_own")
class GoesThroughContextsInTurn(Coins):
    def sample(
        self, n: int, context: Context | None = None, *, each: bool = False, **how: Any
    ) -> Tensor:
        if not each or context is None:
            return super().sample(n, context, **how)
        rows = [context] * n
        assert all(c.label is not None for c in rows)
        turns = Context(label=torch.cat([c.label for c in rows]))  # type: ignore[misc]
        x = super().sample(n * len(turns.label) // n, turns, **how)  # type: ignore[arg-type]
        return x.view(-1, n, *self.event.shape)


@breaks("every_parameter_learns")
class DetachedDecoder(TinyVAE):
    def logits(self, z: Tensor, context: Context | None, n: int) -> Tensor:
        bias = self.c[self.labels(context, n)]
        return F.linear(z, self.decoder.weight.detach(), self.decoder.bias.detach()) + bias


@breaks("every_parameter_learns")
class NotANumberInTheGradient(Coins):
    def __init__(
        self, event: Event, *, context: ContextSpec | None = None, scale: float = 0.5
    ) -> None:
        super().__init__(event, context=context, scale=scale)
        self.extra = nn.Parameter(torch.zeros(()))

    def loss(self, batch: Batch) -> Loss:
        # The value is finite; the gradient through the branch not taken is 0 * inf.
        root = torch.where(self.extra > 0, self.extra.sqrt(), torch.zeros(()))
        return Loss(super().loss(batch).total + root)


@breaks("conditionals_look_back_only", "density_is_normalized", "samples_follow_the_density",
        "parallel_equals_sequential")  # fmt: skip
class LeakingMask(Chain):
    diagonal = 0


@breaks("log_determinant_is_autograds", "density_is_normalized")
class WrongLogDeterminant(Shear):
    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        z, log_det = super().forward_and_log_det(x, context)
        return z, log_det + self.s.log().sum()  # forgets the scale


@breaks("inverts")
class WrongInverse(Shear):
    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        return super().inverse(z, context) + 1e-4


@breaks("samples_lie_in_the_support", "samples_follow_the_density")
class SamplesOutsideTheSupport(Coins):
    @torch.no_grad()
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return super().sample(n, context, generator=generator) * 2


@breaks("samples_lie_in_the_support")
class SamplesWithAGraph(Shear):
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        z = torch.randn(n, 2, generator=generator, dtype=self.dtype)
        return self.inverse(z, context)


@breaks("samples_follow_their_generator", "global_generators_untouched")
class SamplerIgnoresItsGenerator(Coins):
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return super().sample(n, context)


@breaks("samples_follow_their_generator")
class SamplerWithAFixedSeed(Coins):
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return super().sample(n, context, generator=torch.Generator().manual_seed(0))


@breaks("samples_follow_the_density", "samples_follow_their_generator")
class SamplesTheLikeliest(Coins):
    @torch.no_grad()
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return (self.logits(context, n) > 0).to(torch.uint8).reshape(n, *self.event.shape)


@breaks("density_is_normalized")
class LikelihoodOffByAConstant(Coins):
    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        return super().log_prob(x, context) + 0.01


@breaks("bounds_are_in_order", "importance_weights_are_unbiased")
class BoundAboveTheExact(Mixture):
    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        bound = super().elbo(x, context, particles=particles, generator=generator)
        return bound + 1.0


@breaks("importance_weights_are_unbiased")
class BoundWithoutTheKL(TinyVAE):
    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        mu, log_sigma = self.gaussian(x)
        noise = torch.randn(particles, *mu.shape, generator=generator, dtype=torch.float64)
        z = mu + log_sigma.exp() * noise.to(self.dtype)
        log_p = [bernoulli(self.logits(one, context, len(x)), self.codes(x)) for one in z]
        return torch.stack(log_p).logsumexp(0) - math.log(particles)


@breaks("bounds_are_in_order", "importance_weights_are_unbiased")
class MoreParticlesWorse(Mixture):
    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        bound = super().elbo(x, context, particles=particles, generator=generator)
        return bound - math.log(particles)  # a sum of weights divided twice


@breaks("saves_and_loads")
class ForgetsABuffer(Coins):
    remembers = False


@breaks("configuration_round_trips", "saves_and_loads")
class ForgetsItsConfiguration(Coins):
    def __init__(
        self, event: Event, *, context: ContextSpec | None = None, scale: float = 0.5
    ) -> None:
        super().__init__(event, context=context, scale=scale)
        self.config = {**self.config, "scale": 2 * scale}


@breaks("copies")
class CopySharesTensors(Coins):
    def __init__(
        self, event: Event, *, context: ContextSpec | None = None, scale: float = 0.5
    ) -> None:
        super().__init__(event, context=context, scale=scale)
        a = self.a
        self.table = lambda: a  # a closure is copied by reference, with what it closes over

    def logits(self, context: Context | None, n: int) -> Tensor:
        return self.table()[self.labels(context, n)]


@breaks("loss_is_a_mean")
class LossIsASum(Coins):
    def loss(self, batch: Batch) -> Loss:
        return Loss(-self.log_prob(batch.x, batch.context).sum())


@breaks("loss_is_a_mean", "global_generators_untouched")
class LossDrawsFromTheGlobalGenerator(TinyVAE):
    def loss(self, batch: Batch) -> Loss:
        noise = torch.randn(len(batch), 2)
        return Loss(-self.log_weight(batch.x, batch.context, noise).mean())


@breaks("loss_is_a_mean")
class LossOfTheBatchMean(Coins):
    def loss(self, batch: Batch) -> Loss:
        x = self.codes(batch.x)
        logits = self.logits(batch.context, len(batch)) - x.mean(0)  # a batch statistic
        return Loss(-bernoulli(logits, x).mean())


@breaks("loss_is_a_mean")
class NoiseIsNotSliced(TinyVAE):
    def loss(self, batch: Batch) -> Loss:
        again = Batch.of(batch.x, batch.context, seed=0)  # every micro-batch starts anew
        return super().loss(again)


@breaks("capabilities_tell_the_truth")
class CallsABoundALikelihood(Coins):
    likelihood: Likelihood = "bound"


@breaks("capabilities_tell_the_truth")
class HidesItsLikelihood(TinyVAE):
    likelihood: Likelihood = "none"


@breaks("examples_do_not_mix")
class NormalizesOverTheBatch(TinyVAE):
    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        z = super().encode(x, context)
        return z - z.mean(0)


@breaks("codes_in_any_dtype", "density_is_normalized", "samples_follow_the_density")
class Wraps(Coins):
    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        self.event.check(x)
        signs = (2 * x.flatten(1) - 1).to(self.dtype)  # uint8 wraps: 2 * 0 - 1 = 255
        return F.logsigmoid(self.logits(context, len(x)) * signs).sum(1)

    def loss(self, batch: Batch) -> Loss:
        return Loss(-bernoulli(self.logits(batch.context, len(batch)), self.codes(batch.x)).mean())


@breaks("refuses_bad_input")
class AcceptsAnything(Shear):
    def codes(self, x: Tensor) -> Tensor:
        return x


@breaks("context_is_used")
class TreatsAMissingLabelAsZero(Coins):
    def labels(self, context: Context | None, n: int) -> Tensor:
        if context is None or context.label is None:
            return torch.zeros(n, dtype=torch.long)
        return super().labels(context, n)


@breaks("codes_decode")
class DecodesOffScale(TinyVAE):
    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        return 2 * super().decode(z, context) - 1

    @torch.no_grad()
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        z = torch.randn(n, 2, generator=generator, dtype=torch.float64).to(self.dtype)
        return flip((self.decode(z, context) + 1) / 2, generator)


@breaks("codes_decode", "examples_do_not_mix", "codes_in_any_dtype",
        "global_generators_untouched")  # fmt: skip
class EncodesAtRandom(TinyVAE):
    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        return super().encode(x, context) + torch.randn(len(x), 2)


@breaks("builds")
class StartsInEvaluation(Coins):
    def __init__(
        self, event: Event, *, context: ContextSpec | None = None, scale: float = 0.5
    ) -> None:
        super().__init__(event, context=context, scale=scale)
        self.eval()


@breaks("inpainting_keeps_what_is_known")
class InpaintsOverTheKnown(Patches):
    @torch.no_grad()
    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        return self.sample(len(x), context, generator=generator)


@breaks("mode_changes_no_answer")
class AnswersByMode(Coins):
    def logits(self, context: Context | None, n: int) -> Tensor:
        return super().logits(context, n) * (1.0 if self.training else 0.5)


@breaks("phases_are_stable")
class ChangesItsPhases(Coins):
    asked = 0

    def phases(self) -> list[Phase]:
        self.asked += 1
        return [Phase("model", list(self.parameters()), self.loss, every=self.asked)]


class Variadic(Coins):
    """Settings hidden in ``**settings``."""

    def __init__(self, event: Event, *, context: ContextSpec | None = None, **settings: Any):
        super().__init__(event, context=context, **settings)


class TakesEverything(Coins):
    """Claims binary events and takes every other."""

    events = ("binary",)

    def __init__(self, event: Event, *, context: ContextSpec | None = None) -> None:
        nn.Module.__init__(self)
        self.event, self.context = event, context or ContextSpec()


class RefusesRudely(Coins):
    """Meets an event it cannot model with an assertion."""

    def __init__(self, event: Event, *, context: ContextSpec | None = None) -> None:
        assert event.levels == 2
        super().__init__(event, context=context)


# The library's models take a missing label as unknown, which their rows say and a toy's does not.
@breaks("fast_sampler_equals_naive", "parallel_equals_sequential", "samples_follow_the_density",
        "long_samples_are_draws_of_the_conditionals", "context_is_used")  # fmt: skip
class StepperThatForgets(FVSBN):
    events = ("binary",)

    def __init__(self, event: Event, *, context: ContextSpec | None = None) -> None:
        super().__init__(event, context=context)
        nn.init.normal_(self.weight)

    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        step = super().stepper(n, context, member=member)
        return lambda k, x: step(k, x.roll(1, dims=1))


@breaks("long_samples_are_draws_of_the_conditionals", "context_is_used")
class StepperWithAShortMemory(FVSBN):
    """Right for as long as any small event lasts."""

    events = ("binary",)
    memory = 32

    def __init__(self, event: Event, *, context: ContextSpec | None = None) -> None:
        super().__init__(event, context=context)
        nn.init.normal_(self.weight)

    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        order = self.order_of(member)

        def step(k: int, x: Tensor) -> Tensor:
            seen = torch.zeros_like(x)
            kept = order[max(0, k - self.memory) : k]
            seen[:, kept] = x[:, kept]
            return self.conditionals(seen.view(n, *self.event.shape), context)[:, order[k]]

        return step


@breaks("every_answer_is_told_of_the_condition", "samples_follow_the_density")
class SamplesWhateverTheLabel(Coins):
    @torch.no_grad()
    @each_row
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        self.given(context, n)
        return super().sample(n, Context(label=torch.zeros(n).long()), generator=generator)


@breaks("every_part_told_of_a_label_uses_it")
class TellsOnePartOfTwo(Coins):
    """Has a second part for the label, and does not ask it."""

    def __init__(
        self, event: Event, *, context: ContextSpec | None = None, scale: float = 0.5
    ) -> None:
        super().__init__(event, context=context, scale=scale)
        self.asked, self.more = (ConditionBias(self.context, event.dimensions) for _ in range(2))

    def logits(self, context: Context | None, n: int) -> Tensor:
        asked = self.asked(self.given(context, n))
        return self.m + self.a[0] + (torch.zeros(n, 1) if asked is None else asked)

    def loss(self, batch: Batch) -> Loss:
        loss, more = super().loss(batch), self.more(self.given(batch.context, len(batch)))
        return loss if more is None else Loss(loss.total + more.square().mean())


class Turn(Transform):
    """z = x + s(c): a layer of a flow, which may forget its condition."""

    def __init__(self, spec: ContextSpec, told: bool) -> None:
        super().__init__()
        self.shift, self.told = nn.Parameter(torch.randn(2)), told
        self.condition = nn.Embedding(spec.label or 1, 2)

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        label = None if context is None or not self.told else context.label
        more = 0 * self.condition.weight.sum() if label is None else self.condition(label)
        return x + self.shift + more, x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        return z - self.forward_and_log_det(torch.zeros_like(z), context)[0]


@breaks("every_layer_is_told_of_the_condition", "every_parameter_learns")
class OneLayerOfTwoIsTold(Toy):
    """A normal density of two shifts, the second of which is told of no label."""

    likelihood: Likelihood = "exact"
    events = ("real",)

    def __init__(self, event: Event, *, context: ContextSpec | None = None) -> None:
        super().__init__(event, context=context)
        self.layers = Composition([Turn(self.context, told=k == 0) for k in range(2)])

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        self.event.check_shape(x)
        return self.layers.forward_and_log_det(x, self.given(context, len(x)))

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        self.event.check_shape(z)
        return self.layers.inverse(z, self.given(context, len(z)))

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

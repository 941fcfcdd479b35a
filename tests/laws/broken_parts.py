"""Models of several parts, steps or layers of which one is broken on purpose."""

import math

import torch
from torch import Tensor, nn

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.draws_per_context import each_row
from phosphene.core.event import Event
from phosphene.core.phase import Loss
from phosphene.core.protocols import Likelihood
from phosphene.generative.autoregressive.autoregressive import Stepper
from phosphene.generative.autoregressive.fvsbn import FVSBN
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.nn.context_embedding import ConditionBias
from tests.laws.breaking import breaks
from tests.laws.toys import Coins, Toy


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

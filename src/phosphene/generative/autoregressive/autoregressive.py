"""What every autoregressive model shares: teacher forcing, free running, exact likelihoods.

A model of this room writes one method, :meth:`Autoregressive.conditionals`: all conditionals of an
example in one parallel pass. From it come the likelihood, the loss, a naive sampler, inpainting and
classification. A second method, :meth:`Autoregressive.stepper`, makes sampling fast: it computes
one conditional after another and keeps what an earlier one computed. Both must give the same
values given the same uniform numbers, and the laws hold them to it.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.draws_per_context import each_row
from phosphene.core.model import Model
from phosphene.core.moments import Moments
from phosphene.core.phase import Loss
from phosphene.core.protocols import available_if
from phosphene.generative.autoregressive.completion import Known, computable, refuse_mask, settled
from phosphene.generative.autoregressive.settings import ConditionalSettings
from phosphene.generative.autoregressive.teacher_forcing import free_running, teacher_forcing
from phosphene.nn.choosing import Choosing
from phosphene.nn.noise import Uniform
from phosphene.nn.scalar_distributions import Conditional, build_conditional

__all__ = ["Autoregressive", "Stepper", "free_running", "teacher_forcing"]

Stepper = Callable[[int, Tensor], Tensor]
"""Called with k = 0, 1, ... in turn and x (n, D), whose first k values in the order are known (all
others mean nothing): the parameters (n, size) of the conditional of the value at rank k."""


class Autoregressive(ConditionalSettings, Model):
    """p(x) = prod_k p(x_{o_k} | x_{o_1}, ..., x_{o_{k-1}}, context), o an order of the dimensions.

    A model may hold several members (orders or masks): its likelihood is then that of their
    mixture, p(x) = 1/M sum_m p_m(x), which is exact, too, and never below the members' mean in
    logarithms.

    A label that is -1 or not given is unknown to a model conditioned on labels: the likelihood is
    then the marginal p(x) = sum_y p(y) p(x | y), and a sample draws its label first.

    Args:
        event: What one example is; its dimensions are flattened in raster order.
        context: What the model is conditioned on: a label, a vector, or both.

    Raises:
        EventError: The context holds an image or a text.
    """

    likelihood = "exact"
    label_may_be_unknown = True
    members = 1
    """Number of orders or masks whose mixture this is."""

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.log_prior: Tensor
        if self.context.image is not None or self.context.text is not None:
            self.refuse("it is conditioned on a label or a vector, not on an image or a text")
        self.conditional = self.distribution()
        if self.context.label is not None:
            classes = self.context.label
            self.register_buffer("log_prior", torch.full((classes,), -math.log(classes)))

    def distribution(self) -> Conditional:
        """The distribution of one dimension, which the network's output are the parameters of."""
        return build_conditional(self.conditional_name, self.event, self.components)

    # -- to be written ------------------------------------------------------------------------

    def conditionals(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        member: int = 0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Parameters (n, D, size) of all conditionals given the true values before each.

        Entry i of the second axis belongs to dimension i of the flat example (not to rank i), and
        depends on the values of earlier rank alone.

        Args:
            x: Examples (n, *event.shape), codes in any dtype or reals.
            context: The condition; labels are known (0 or more).
            member: Which order or mask.
            uniform: The source of noise for dropout; None means none.
        """
        raise NotImplementedError

    def order_of(self, member: int = 0) -> Tensor:
        """The flat dimensions in the order of generation (D,), int64; raster order by default."""
        return torch.arange(self.event.dimensions)

    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        """Gives one conditional after another for n examples; by default the naive way."""
        return self.naive_stepper(n, context, member=member)

    # -- what follows from it -----------------------------------------------------------------

    @property
    def order(self) -> Tensor:
        """The order of generation (D,) of the first member."""
        return self.order_of(0)

    def naive_stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        """One whole parallel pass for each conditional: slow, and right by construction."""
        order = self.order_of(member).tolist()

        def step(k: int, x: Tensor) -> Tensor:
            shaped = x.reshape(n, *self.event.shape)
            return self.conditionals(shaped, context, member=member)[:, order[k]]

        return step

    def prepare(self, batch: Batch) -> None:
        """Learn the scale of reals, the frequencies of labels, and start at the marginals.

        The frequencies are the batch's, until :meth:`count_labels` tells those of all data.
        """
        start = self.marginals(batch.x, batch.moments)
        label = batch.context.label
        if self.context.label is not None and label is not None:
            self.count_labels(torch.bincount(label[label >= 0], minlength=self.context.label))
        with torch.no_grad():
            self.start_at(start.to(self.device, self.dtype))

    def count_labels(self, counts: Tensor) -> None:
        """Set p(y) to the labels' frequencies, with one of each added; without labels, nothing."""
        if self.context.label is not None:
            smoothed = counts + 1.0
            self.log_prior.copy_((smoothed / smoothed.sum()).log())

    def marginals(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """Learn the data's scale; parameters (D, size), or (1, size) if all are alike."""
        return self.conditional.fit(x.flatten(1), moments)

    def start_at(self, start: Tensor) -> None:
        """Set the output's biases so that conditionals start at ``start`` (D, size), if it can."""

    def member_log_prob(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        member: int = 0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Log-probability (n,) under one member, labels known."""
        params = self.conditionals(x, context, member=member, uniform=uniform)
        return self.conditional.log_prob(params, x.flatten(1)).sum(-1)

    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Exact log-probability (n,) in nats; the marginal over labels that are -1."""
        context = self._checked(x, context)
        return self._over_labels(x, context, self._mixture)

    def loss(self, batch: Batch) -> Loss:
        """The negative log-likelihood; the first member's noise is the batch's."""
        context = self._checked(batch.x, batch.context)
        if not self.training:
            nll = -self._over_labels(batch.x, context, self._mixture)
        else:
            nll = -self._over_labels(
                batch.x, context, lambda x, c: self.training_log_prob(x, c, batch)
            )
        return Loss(nll.mean(), {"nll": nll})

    def training_log_prob(self, x: Tensor, context: Context, batch: Batch) -> Tensor:
        """What is maximised in training (n,), with the batch's noise for dropout."""
        return self.member_log_prob(x, context, uniform=batch.uniform)

    def log_prob_sequential(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The likelihood by the stepper, one value after another: the law of teacher forcing."""
        context = self._checked(x, context)
        return self._over_labels(x, context, self._sequential)

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
        """Draw (n, *event.shape), one value after another; 0 is a greedy temperature."""
        how = Choosing(temperature=temperature, top_k=top_k, top_p=top_p)
        context = self._settled(n, self.given(context, n), generator)
        member, u = self._draws(n, generator)
        return self.generate(u, context, how=how, member=member)

    @torch.no_grad()
    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> Tensor:
        """Keep x where the mask (of x's shape, or of the event's) is True, and draw the rest.

        The rest is an exact draw of p(rest | known): an unknown label and, of a mixture, the member
        are drawn from their posterior given what is known
        (:mod:`phosphene.generative.autoregressive.completion`), whatever the temperature. That
        takes known values that come first in the order, or unknown codes before them with at most
        1,024 states. Of a mixture in whose members some have more, the draw is exact for the
        mixture of the others.

        Raises:
            EventError: In every order, more unknown values come before a known one.
        """
        how = Choosing(temperature=temperature, top_k=top_k, top_p=top_p)
        mask = torch.broadcast_to(mask.bool(), x.shape)
        x = torch.where(mask, x, torch.zeros_like(x))
        context = self._checked(x, context)
        nobody = torch.zeros(len(x), dtype=torch.long)
        known = Known(x.flatten(1).to(self.value_dtype), mask.flatten(1), context, nobody)
        known = self.settle(known, generator)
        _, u = self._draws(len(x), generator)
        given = (known.x, known.mask)
        return self.generate(u, known.context, how=how, member=known.member, given=given)

    def settle(self, known: Known, generator: torch.Generator | None) -> Known:
        """Draw what must be known before the rest can be drawn in turn: label, member, values."""
        can = computable(self, known.mask)
        if not bool(can.any(1).all()):
            refuse_mask(self, known.mask[~can.any(1)])
        return settled(self, known, can, generator)

    def generate(
        self,
        u: Tensor,
        context: Context | None = None,
        *,
        how: Choosing | None = None,
        member: Tensor | None = None,
        given: tuple[Tensor, Tensor] | None = None,
        naive: bool = False,
    ) -> Tensor:
        """Samples as a function of uniform numbers: the fast and the naive sampler agree on them.

        Args:
            u: Uniform numbers (n, D, uniforms) in [0, 1), by dimension.
            context: The condition, labels known.
            how: Temperature, top-k and nucleus.
            member: Which member each example is drawn from (n,); None for the first.
            given: Flat values (n, D) and a mask (n, D), True where they are kept.
            naive: Use one whole parallel pass for each value.
        """
        n, how, context = len(u), how or Choosing(), context or Context()
        member = torch.zeros(n, dtype=torch.long) if member is None else member
        x = torch.zeros(n, self.event.dimensions, dtype=self.value_dtype, device=self.device)
        for m in member.unique().tolist():
            rows = (member == m).nonzero()[:, 0].to(self.device)
            part = None if given is None else (given[0][rows], given[1][rows])
            x[rows] = self.generate_member(u[rows], context[rows], how, m, part, naive)
        shaped = x.reshape(n, *self.event.shape)
        if self.event.levels is None:
            return shaped
        return shaped.to(torch.uint8 if self.event.levels <= 256 else torch.int64)

    def generate_member(
        self,
        u: Tensor,
        context: Context,
        how: Choosing,
        member: int,
        given: tuple[Tensor, Tensor] | None,
        naive: bool,
    ) -> Tensor:
        """Flat samples (n, D) of one member; what a fused sampler overrides."""
        make = self.naive_stepper if naive else self.stepper
        step = make(len(u), context, member=member)
        x = torch.zeros(len(u), self.event.dimensions, dtype=self.value_dtype, device=self.device)
        for k, i in enumerate(self.order_of(member).tolist()):
            value = self.conditional.draw(step(k, x), u[:, i], how, i)
            x[:, i] = value if given is None else torch.where(given[1][:, i], given[0][:, i], value)
        return x

    # -- labels -------------------------------------------------------------------------------

    @available_if(lambda self: self.context.label is not None, "it is not conditioned on a label")
    @torch.no_grad()
    def classify(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Log-posterior of labels (n, classes): log p(x | y) + log p(y) - log p(x).

        What else the model is conditioned on is given by the context, whose label says nothing.
        """
        nobody = torch.full((len(x),), -1, device=x.device)
        told = self._checked(x, replace(context or Context(), label=nobody))
        return torch.log_softmax(self._joint(x, told, self._mixture), 1)

    def _joint(
        self, x: Tensor, context: Context, score: Callable[[Tensor, Context], Tensor]
    ) -> Tensor:
        """The joint log p(x, y) of every label y: (n, classes)."""
        classes = self.context.label
        assert classes is not None
        columns = []
        for y in range(classes):
            label = torch.full((len(x),), y, device=x.device)
            columns.append(score(x, replace(context, label=label)))
        return torch.stack(columns, 1) + self.log_prior

    def _over_labels(
        self, x: Tensor, context: Context, score: Callable[[Tensor, Context], Tensor]
    ) -> Tensor:
        """The score given the label where it is known, and the marginal over labels elsewhere."""
        if self.context.label is None or context.label is None or bool((context.label >= 0).all()):
            return score(x, context)
        unknown = context.label < 0
        given = score(x, replace(context, label=context.label.clamp(min=0)))
        marginal = torch.logsumexp(self._joint(x, context, score), 1)
        return torch.where(unknown, marginal, given)

    def _settled(self, n: int, context: Context, generator: torch.Generator | None) -> Context:
        """Draw the labels that are unknown from their frequencies."""
        if self.context.label is None or context.label is None or bool((context.label >= 0).all()):
            return context
        p = self.log_prior.exp().expand(n, -1)
        drawn = torch.multinomial(p, 1, generator=generator)[:, 0]
        return replace(context, label=torch.where(context.label < 0, drawn, context.label))

    @property
    def value_dtype(self) -> torch.dtype:
        """What values are held in: float64 where reals lie too far from 0 for the weights' type."""
        return torch.float64 if self.conditional.wide else self.dtype

    # -- details ------------------------------------------------------------------------------

    def _checked(self, x: Tensor, context: Context | None) -> Context:
        self.event.check(x)
        return self.given(context, len(x))

    def _mixture(self, x: Tensor, context: Context) -> Tensor:
        if self.members == 1:
            return self.member_log_prob(x, context)
        every = [self.member_log_prob(x, context, member=m) for m in range(self.members)]
        return torch.logsumexp(torch.stack(every), 0) - math.log(self.members)

    def _sequential(self, x: Tensor, context: Context) -> Tensor:
        flat = x.flatten(1).to(self.value_dtype)
        every = [self._sequential_member(flat, context, m) for m in range(self.members)]
        return torch.logsumexp(torch.stack(every), 0) - math.log(self.members)

    def _sequential_member(self, flat: Tensor, context: Context, member: int) -> Tensor:
        step = self.stepper(len(flat), context, member=member)
        x, total = torch.zeros_like(flat), flat.new_zeros(len(flat), dtype=self.dtype)
        for k, i in enumerate(self.order_of(member).tolist()):
            params = torch.zeros(
                len(flat), self.event.dimensions, self.conditional.size, dtype=self.dtype
            ).to(self.device)
            params[:, i] = step(k, x)
            total = total + self.conditional.log_prob(params, flat)[:, i]
            x[:, i] = flat[:, i]
        return total

    def _draws(self, n: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """The members of n samples, and their uniform numbers."""
        member = torch.zeros(n, dtype=torch.long)
        if self.members > 1:
            member = torch.randint(
                self.members, (n,), generator=generator, device=self.device
            ).cpu()
        shape = (n, self.event.dimensions, self.conditional.uniforms)
        u = torch.rand(shape, generator=generator, dtype=self.dtype, device=self.device)
        return member, u

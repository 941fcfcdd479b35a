"""What order-agnostic models share: one network that predicts the unknown from any known values."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.phase import Loss
from phosphene.core.ranges import Count
from phosphene.core.settings import setting
from phosphene.generative.autoregressive.autoregressive import Autoregressive
from phosphene.generative.autoregressive.completion import Known, computable, joined, settled
from phosphene.nn.choosing import Choosing
from phosphene.nn.noise import Uniform

__all__ = ["OrderAgnostic", "RowStepper"]

_ROWS = 4096
"""Rows that are given to the network at once, so that memory stays bounded."""

_JUDGED = 16
"""Masks by which an example is judged in validation."""

RowStepper = Callable[[Tensor, Tensor], Tensor]
"""Called with dimensions (n,) and values x (n, D): parameters (n, size) of one dimension of each
row, given the row's values that were known at the start or were asked for before."""


class OrderAgnostic(Autoregressive):
    """p(x_o | known values), for every dimension o and every set of known values.

    Uria, Murray and Larochelle (2014). Each example draws an order and a number of known values;
    all unknown ones are predicted at once, and the sum of their negative logarithms is multiplied
    by D / (D - known). Its expectation is the mean negative log-likelihood over all orders.

    The model is the mixture of fixed orders (raster, and random ones beside it), whose likelihood
    is exact and never below the mean over them in logarithms. A likelihood takes D passes for each
    order. In validation the loss is an estimate of the mean over orders, from 16 masks of each
    example with evenly spread numbers of known values, the same at each validation; ``log_prob`` is
    the mixture's.

    The network's conditionals are not those of one joint distribution: two orders, or the same
    known values met in two orders, give an example different probabilities. So what remains, given
    what is known, has no distribution of its own, and there are two that can be meant. Where every
    order of the mixture can say how probable the known values are (they come first in it, or at
    most 1,024 states come before them), :meth:`inpaint` draws p(rest | known) of the mixture, the
    one that ``log_prob`` scores. Elsewhere it draws an order evenly, has the known values moved to
    its front, and draws the rest in turn (and first an unknown label, by p(y) p(known | y) in that
    order): every conditional is then the network's own for what is known, and the whole is no
    exact draw of the mixture.

    Args:
        event: What one example is.
    """

    any_order = True
    """Any mask can be inpainted."""

    ensemble: Count = setting(default=8, help="How many orders the mixture has.")

    def setup(self) -> None:
        """Draw the orders."""
        super().setup()
        self.orders: Tensor
        self.members = self.ensemble
        raster = torch.arange(self.event.dimensions)
        others = [torch.randperm(self.event.dimensions) for _ in range(self.members - 1)]
        self.register_buffer("orders", torch.stack([raster, *others]))

    def predict(
        self,
        x: Tensor,
        known: Tensor,
        context: Context | None = None,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Parameters (n, D, size) of all dimensions given the known ones; to be written.

        Args:
            x: Flat examples (n, D); what is not known must not matter.
            known: Booleans (n, D).
            context: The condition, labels known.
            uniform: The source of noise for dropout; None means none.
        """
        raise NotImplementedError

    def order_of(self, member: int = 0) -> Tensor:
        """The flat dimensions in the order of generation (D,): raster first, then random ones."""
        return self.orders[member]

    # -- training -----------------------------------------------------------------------------

    def masked_log_prob(
        self,
        x: Tensor,
        known: Tensor,
        context: Context | None = None,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """D / (D - known) sum_unknown log p(x_o | known): an estimate (n,) from one mask each.

        Over an order drawn evenly and a number of known values drawn evenly from 0..D-1, its
        expectation is the mean log-likelihood of all orders.
        """
        flat = x.flatten(1)
        log_p = self.conditional.log_prob(self.predict(flat, known, context, uniform), flat)
        unknown = (~known).to(log_p.dtype)
        return (log_p * unknown).sum(-1) * (self.event.dimensions / unknown.sum(-1))

    def loss(self, batch: Batch) -> Loss:
        """The estimate of the mean negative log-likelihood over orders; one mask in training."""
        context = self._checked(batch.x, batch.context)
        masks = self._masks(batch, 1 if self.training else min(_JUDGED, self.event.dimensions))
        uniform = batch.uniform if self.training else None

        def score(x: Tensor, context: Context) -> Tensor:
            every = [self.masked_log_prob(x, known, context, uniform) for known in masks]
            return torch.stack(every).mean(0)

        # The masks are the same for each label of an example whose label is unknown.
        nll = -self._over_labels(batch.x, context, score)
        return Loss(nll.mean(), {"nll": nll})

    def _masks(self, batch: Batch, count: int) -> list[Tensor]:
        """Masks (n, D) of random orders, with numbers of known values spread over 0..D-1."""
        dimensions = self.event.dimensions
        start = batch.uniform(())
        masks = []
        for j in range(count):
            number = ((start + j / count) % 1.0 * dimensions).long().clamp(max=dimensions - 1)
            rank = batch.uniform((dimensions,)).argsort(1).argsort(1)
            masks.append(rank < number[:, None])
        return masks

    # -- the chain rule in one order ----------------------------------------------------------

    def conditionals(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        member: int = 0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Parameters (n, D, size) of all conditionals in one order: D passes of the network."""
        n, dimensions = len(x), self.event.dimensions
        flat, order = x.flatten(1), self.order_of(member)
        rank = order.argsort()
        given = context or Context()
        parts = []
        for ranks in torch.arange(dimensions).split(max(1, _ROWS // max(n, 1))):
            ranks = ranks.to(order.device)
            # Each example once for every rank: (n, ranks, D) rows.
            known = (rank < ranks[:, None]).expand(n, -1, -1).flatten(0, 1)
            rows = flat.repeat_interleave(len(ranks), 0)
            params = self.predict(rows, known, given.repeat(len(ranks)), uniform)
            params = params.unflatten(0, (n, len(ranks)))
            parts.append(params[:, torch.arange(len(ranks)), order[ranks]])
        return torch.cat(parts, 1)[:, rank]

    # -- any mask -----------------------------------------------------------------------------

    def row_stepper(self, x: Tensor, known: Tensor, context: Context | None = None) -> RowStepper:
        """As ``stepper``, with an order for each row; by default one whole pass for each value."""
        known, rows = known.clone(), torch.arange(len(x), device=x.device)
        last: Tensor | None = None

        def step(dimension: Tensor, x: Tensor) -> Tensor:
            nonlocal last
            if last is not None:
                known[rows, last] = True
            last = dimension
            return self.predict(x, known, context)[rows, dimension]

        return step

    def generate_member(
        self,
        u: Tensor,
        context: Context,
        how: Choosing,
        member: int,
        given: tuple[Tensor, Tensor] | None,
        naive: bool,
    ) -> Tensor:
        """Flat samples (n, D); with given values, each row in an order that has them first."""
        if given is None:
            return super().generate_member(u, context, how, member, given, naive)
        x, known = torch.where(given[1], given[0], 0.0), given[1]
        order = known_first(self.order_of(member).expand(len(u), -1), known)
        missing = (~known).sum(1)
        first = self.event.dimensions - missing  # the rank at which each row begins
        step = self.row_stepper(x, known, context)
        rows = torch.arange(len(u), device=u.device)
        for t in range(int(missing.max()) if len(u) else 0):
            # Rows that are complete ask for their last value again and keep what they have.
            dimension = order[rows, (first + t).clamp(max=self.event.dimensions - 1)]
            value = self.conditional.draw(step(dimension, x), u[rows, dimension], how, dimension)
            x[rows, dimension] = torch.where(t < missing, value, x[rows, dimension])
        return x

    def settle(self, known: Known, generator: torch.Generator | None) -> Known:
        """Exactly for the mixture of orders, where every one can say how probable the known is.

        Elsewhere in orders which have the known values moved to the front; see the class.
        """
        can = computable(self, known.mask)
        exact = can.all(1)
        if bool(exact.all()):
            return settled(self, known, can, generator)
        here, there = exact.nonzero()[:, 0], (~exact).nonzero()[:, 0]
        parts = [settled(self, known[here], can[here], generator)] if len(here) else []
        parts.append(self._rearranged(known[there], generator))
        return joined(parts)[torch.cat((here, there)).argsort()]

    def _rearranged(self, known: Known, generator: torch.Generator | None) -> Known:
        """Draw an order evenly, and the label given what is known, by the chain rule in it."""
        n, device = len(known.x), known.x.device
        member = torch.randint(self.members, (n,), generator=generator, device=device)
        known, context = replace(known, member=member.cpu()), known.context
        if context.label is None or not bool((context.label < 0).any()):
            return known
        p = known.once(self._label_scores).softmax(1)
        drawn = torch.multinomial(p, 1, generator=generator)[:, 0]
        label = torch.where(context.label < 0, drawn, context.label)
        return replace(known, context=replace(context, label=label))

    def _label_scores(self, known: Known) -> Tensor:
        """The joint log p(known, y) of every label y: (n, classes)."""
        return self._joint(
            known.x,
            known.context,
            lambda _, context: self._known_log_prob(replace(known, context=context)),
        )

    def _known_log_prob(self, known: Known) -> Tensor:
        """The log-probability (n,) of what is known, in orders that begin with it."""
        n, count = len(known.x), known.mask.sum(1)
        order = known_first(self.orders[known.member.to(self.device)], known.mask)
        params = known.x.new_zeros(n, self.event.dimensions, self.conditional.size)
        rows = torch.arange(n, device=known.x.device)
        step = self.row_stepper(known.x, torch.zeros_like(known.mask), known.context)
        for t in range(int(count.max()) if n else 0):
            params[rows, order[:, t]] = step(order[:, t], known.x)
        log_p = self.conditional.log_prob(params, known.x)
        return torch.where(known.mask, log_p, 0.0).sum(-1)


def known_first(order: Tensor, known: Tensor) -> Tensor:
    """Orders (n, D) with the known values (n, D) moved to the front, otherwise as they were."""
    return order.gather(1, (~known.gather(1, order)).byte().argsort(dim=1, stable=True))

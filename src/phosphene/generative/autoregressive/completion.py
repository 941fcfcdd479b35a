"""Completion: the posterior of label, order and earlier values given the known values.

A mixture over labels y and members m (orders or masks) is completed exactly by

    p(rest | known) = sum_{y, m} p(y, m | known) p_m(rest | known, y),

with p(y, m | known) proportional to p(y) p_m(known | y). The second factor is what ancestral
sampling draws. The first takes the probability of what is known, which is a product of conditionals
where the known values come first in the member's order. Where unknown ones g come before a known
one, p_m(known | y) = sum_g p_m(known, g | y), which is summed where g has few states; g is then
drawn from its terms.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import EventError
from phosphene.core.event import Event

if TYPE_CHECKING:
    from phosphene.generative.autoregressive.autoregressive import Autoregressive

__all__ = ["STATES", "Known", "computable", "joined", "refuse_mask", "settled"]

STATES = 1024
"""The most states of earlier unknown values that are summed over."""

_ROWS = 4096
"""Rows that are given to the network at once."""


@dataclass(frozen=True)
class Known:
    """What is known of n examples, and what was drawn from its posterior.

    Args:
        x: Flat values (n, D); what is not known is 0.
        mask: Booleans (n, D), True where x is known, or was drawn.
        context: The condition; labels are -1 until they are drawn.
        member: The order or mask that each example is completed by (n,), on the CPU.
    """

    x: Tensor
    mask: Tensor
    context: Context
    member: Tensor

    def __getitem__(self, rows: Tensor) -> "Known":
        at = rows.to(self.member.device)
        return Known(self.x[rows], self.mask[rows], self.context[rows], self.member[at])

    def once(self, f: "Callable[[Known], Tensor]") -> Tensor:
        """What f gives for each example, computed once for those that are alike."""
        member = self.member[:, None].to(self.x.device)
        told = [
            value.flatten(1) if value.ndim > 1 else value[:, None]
            for _, value in self.context.parts()
        ]
        columns = [part.double() for part in (self.x, self.mask, member, *told)]
        kinds, kind = torch.cat(columns, 1).unique(dim=0, return_inverse=True)
        index = torch.arange(len(kind), device=kind.device)
        first = torch.empty_like(index[: len(kinds)]).scatter_(0, kind, index)
        return f(self[first])[kind]


def joined(parts: Sequence[Known]) -> Known:
    """The examples of all parts."""
    contexts = [dict(part.context.parts()) for part in parts]
    context = {name: torch.cat([c[name] for c in contexts]) for name in contexts[0]}
    x, mask, member = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("x", "mask", "member")
    )
    return Known(x, mask, Context(**context), member)


def computable(model: "Autoregressive", mask: Tensor) -> Tensor:
    """Whether p_m(known | y) can be computed, for each example and member: (n, members)."""
    count = torch.stack([_gap(model, mask, m).sum(1) for m in range(model.members)], 1)
    if model.event.levels is None:
        return count == 0
    most = 0
    while model.event.levels ** (most + 1) <= STATES:
        most += 1
    return count <= most


@torch.no_grad()
def settled(
    model: "Autoregressive", known: Known, can: Tensor, generator: torch.Generator | None
) -> Known:
    """Draw label, member and earlier unknown values from their posterior given what is known.

    Args:
        model: The mixture.
        known: What is known; the members are ignored.
        can: Which members are to be mixed for each example (n, members), one at least: those for
            which :func:`computable` holds.
        generator: Source of the draws.

    Returns:
        The same with every label and member drawn, and a mask whose values come first in each
        example's order.
    """
    label = known.context.label
    unknown = None if label is None else label < 0
    if unknown is not None and not bool(unknown.any()):
        unknown = None
    member = torch.zeros(len(known.x), dtype=torch.long)
    if unknown is not None or model.members > 1:
        weights = _weights(model, known, can, unknown)
        chosen = _draw(weights.flatten(1), generator)
        member = (chosen // weights.shape[2]).cpu()
        if unknown is not None:
            assert label is not None
            drawn = torch.where(unknown, chosen % weights.shape[2], label)
            known = replace(known, context=replace(known.context, label=drawn))
    return _filled(model, replace(known, member=member), generator)


def _weights(model: "Autoregressive", known: Known, can: Tensor, unknown: Tensor | None) -> Tensor:
    """The joint log p(known, y, m) (n, members, labels), up to a constant; one label if known."""
    columns = []
    for m in range(model.members):
        every = []
        for context, log_p in _labels(model, known.context, unknown):
            score = known.x.new_full((len(known.x),), -torch.inf)
            rows = can[:, m].nonzero()[:, 0]
            part = replace(known, context=context)[rows]
            score[rows] = part.once(partial(_evidence, model, member=m))
            every.append(score + log_p)
        columns.append(torch.stack(every, 1))
    return torch.stack(columns, 1)


def _labels(
    model: "Autoregressive", context: Context, unknown: Tensor | None
) -> Iterator[tuple[Context, Tensor | float]]:
    """Each label that an example may have, and its log-probability before anything is known."""
    if unknown is None:
        yield context, 0.0
        return
    assert context.label is not None
    for y, log_p in enumerate(model.log_prior):
        wrong = ~unknown & (context.label != y)
        label = torch.full_like(context.label, y)
        yield replace(context, label=label), torch.where(wrong, -torch.inf, log_p)


def _evidence(model: "Autoregressive", known: Known, member: int) -> Tensor:
    """The log-probability of what is known (n,) under one member, labels known."""
    gap = _gap(model, known.mask, member)
    total = _score(model, known.x, known.mask, known.context, member)
    for rows, states in _gaps(model, gap):
        total[rows] = _terms(model, known[rows], gap[rows[0]], states, member).logsumexp(1)
    return total


def _filled(model: "Autoregressive", known: Known, generator: torch.Generator | None) -> Known:
    """Draw the unknown values that come before known ones, given these."""
    x, mask = known.x.clone(), known.mask.clone()
    for m in known.member.unique().tolist():
        own = (known.member == m).nonzero()[:, 0].to(x.device)
        gap = _gap(model, known.mask[own], m)
        for rows, states in _gaps(model, gap):
            dims, at = gap[rows[0]], own[rows]
            terms = known[at].once(partial(_terms, model, gap=dims, states=states, member=m))
            x[at[:, None], dims.nonzero()[:, 0]] = states[_draw(terms, generator)]
            mask[at] |= dims
    return replace(known, x=x, mask=mask)


def _gap(model: "Autoregressive", mask: Tensor, member: int) -> Tensor:
    """Unknown values that come before a known one in the member's order (n, D)."""
    order = model.order_of(member).to(mask.device)
    ranked = mask[:, order]
    later = ranked.flip(1).cumsum(1).flip(1) > 0
    return torch.empty_like(mask).index_copy_(1, order, later & ~ranked)


def _gaps(model: "Autoregressive", gap: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows that share a gap, and all states of its values (S, k)."""
    some = gap.any(1).nonzero()[:, 0]
    if len(some) == 0:
        return
    patterns, which = gap[some].unique(dim=0, return_inverse=True)
    levels = model.event.levels
    assert levels is not None
    for j, pattern in enumerate(patterns):
        axes = [torch.arange(levels, device=gap.device)] * int(pattern.sum())
        yield some[which == j], torch.cartesian_prod(*axes).reshape(-1, len(axes)).to(model.dtype)


def _terms(
    model: "Autoregressive", known: Known, gap: Tensor, states: Tensor, member: int
) -> Tensor:
    """The joint log p(known, g) (n, S) of all states of one gap (D,)."""
    parts = []
    for rows in torch.arange(len(known.x), device=gap.device).split(max(1, _ROWS // len(states))):
        part, mask = known.context[rows].repeat(len(states)), known.mask[rows] | gap
        x = known.x[rows].repeat_interleave(len(states), 0)
        x[:, gap] = states.repeat(len(rows), 1)
        score = _score(model, x, mask.repeat_interleave(len(states), 0), part, member)
        parts.append(score.view(len(rows), -1))
    return torch.cat(parts)


def _score(
    model: "Autoregressive", x: Tensor, mask: Tensor, context: Context, member: int
) -> Tensor:
    """The sum (n,) of those conditionals' logarithms that the mask names."""
    params = model.conditionals(x.view(-1, *model.event.shape), context, member=member)
    log_p = torch.where(mask, model.conditional.log_prob(params, x), 0.0).sum(-1)
    # What the model calls impossible is less probable than all else, and can still be drawn from.
    return log_p.clamp(min=torch.finfo(log_p.dtype).min / 4)


def _draw(log_weights: Tensor, generator: torch.Generator | None) -> Tensor:
    """One index of each row (n,) with probability proportional to exp of its weights."""
    return torch.multinomial(log_weights.softmax(1), 1, generator=generator)[:, 0]


def refuse_mask(model: "Autoregressive", known: Tensor) -> NoReturn:
    """Say which known value the order has too many unknown ones before."""
    order = model.order_of(0).tolist()
    ranked = known[:, order]
    _, k = (ranked[:, 1:] & ~ranked[:, :-1]).nonzero()[0].tolist()
    asked, after = (_place(model.event, order[j]) for j in (k, k + 1))
    raise EventError(
        f"the mask knows {after} and asks for {asked}, "
        "which this model generates first; known values must come first in its order, "
        f"or unknown ones of {STATES:,} states at most before them "
        "(order-agnostic-nade and conv-nade condition on any mask)"
    )


def _place(event: Event, i: int) -> str:
    if not event.has_image_shape:
        return f"value {i}"
    _, height, width = event.shape
    return f"pixel ({i // width % height}, {i % width})"

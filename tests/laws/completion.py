"""Laws of filling in: what is drawn given known values follows the density given them."""

import torch
from torch import Tensor

from phosphene.catalog import System
from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.rng import generator
from tests.laws import small
from tests.laws.support import Make, context_of, countable, law, lived, states_of

DRAWS = 8192
"""Of at most 4 states: draws of the truth are then off by less than 0.01 on average."""

FURTHEST = 0.02
"""Largest total variation distance between draws and the density."""


@law("inpaint", "conditionals", "log_prob", when=lambda model, row: countable(model.event))
def law_completions_follow_the_density(make: Make, row: System) -> None:
    """p(rest | known) of draws is that of ``log_prob``, summed over labels and members."""
    model = shaken(lived(make, row, dtype=torch.float64, own=True))
    states = states_of(model.event)
    contexts = [("a label given", context_of(model, DRAWS, same=True))]
    if row.name in small.PARTLY_LABELED and model.context.names == ("label",):
        contexts.append(("no label", Context()))
    for told, context in contexts if model.context else [("", Context())]:
        for name, known in masks(model).items():
            x = model.sample(1, context[:1], generator=generator(3))
            distance = total_variation(model, states, x, known, context)
            assert distance < FURTHEST, (
                f"what is drawn where {name} is unknown, {told or 'alone'}, differs by "
                f"{distance:.3f} from the density"
            )


def shaken(model: Model) -> Model:
    """The model with parameters at random, so that labels, orders and values matter to it."""
    g = generator(17)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.4 * torch.randn(parameter.shape, generator=g, dtype=parameter.dtype)
    return model


def masks(model: Model) -> dict[str, Tensor]:
    """What is known: all but the end; of bits also all but the beginning."""
    order, size, levels = model.order, model.event.dimensions, model.event.levels
    few = 2 if levels == 2 else 1
    end = torch.ones(size, dtype=torch.bool)
    end[order[size - few :]] = False
    found = {"the end": end.reshape(model.event.shape)}
    if levels == 2:
        start = torch.ones(size, dtype=torch.bool)
        start[order[:2]] = False
        found["the beginning"] = start.reshape(model.event.shape)
    return found


def total_variation(
    model: Model, states: Tensor, x: Tensor, known: Tensor, context: Context
) -> float:
    """Half the sum over the rest's states of |frequency among draws - p(rest | known)|."""
    agree = (states == x.to(states.dtype))[:, known].all(1)
    few = states[agree]
    with torch.no_grad():
        p = model.log_prob(few, context[: len(few)]).softmax(0)
        many = x.expand(DRAWS, *x.shape[1:])
        drawn = model.inpaint(many, known, context, generator=generator(29))
    key = _number(few[:, ~known], model.event)
    places = torch.full((int(key.max()) + 1,), -1).index_copy_(0, key, torch.arange(len(few)))
    which = places[_number(drawn[:, ~known], model.event)]
    frequency = torch.bincount(which, minlength=len(few)) / DRAWS
    return float((frequency - p).abs().sum() / 2)


def _number(codes: Tensor, event: Event) -> Tensor:
    """Codes (n, k) as digits of one number."""
    assert event.levels is not None
    powers = event.levels ** torch.arange(codes.shape[1])
    return (codes.long() * powers).sum(1)

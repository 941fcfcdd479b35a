"""Laws of contexts: a row for each example, or one row that stands for all."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from phosphene.catalog import System
from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.rng import generator, seeded
from tests.laws import small
from tests.laws.support import Case, Make, context_of, data_of, law, lived, one_sentence, told

Call = Callable[[Context], Any]

ROWS = 5
"""Examples that are asked about."""


def entries(model: Model) -> dict[str, Call]:
    """Every public method that takes a context, asked of five examples with fixed noise."""
    x, whole = data_of(model, ROWS, seed=9), context_of(model, ROWS, same=True)
    calls: dict[str, Call] = {
        "sample": lambda c: model.sample(ROWS, c, generator=generator(5)),
        "sample_mean": lambda c: model.sample_mean(ROWS, c, generator=generator(5)),
        "rsample_and_log_prob": lambda c: model.rsample_and_log_prob(
            ROWS, c, generator=generator(5)
        ),
        "elbo": lambda c: model.elbo(x, c, particles=2, generator=generator(6)),
        "inpaint": lambda c: model.inpaint(x, _first_half(model), c, generator=generator(7)),
        "transfer": lambda c: model.transfer(x, c, whole),
        "transfer to": lambda c: model.transfer(x, whole, c),
    }
    for name in (
        "log_prob", "estimate_log_prob", "log_prob_sequential", "inverse_error",
        "encode", "posterior", "reconstruct", "translate",
    ):  # fmt: skip
        calls[name] = partial(_ask, model, name, x)
    if hasattr(model, "encode"):
        with torch.no_grad():
            z = model.encode(x, whole)
        calls |= {"decode": partial(_ask, model, "decode", z)}
        calls |= {"decode_params": partial(_ask, model, "decode_params", z)}
    y = torch.randn(x.shape, generator=generator(8), dtype=model.dtype)
    for name in ("forward_and_log_det", "inverse"):
        calls[name] = partial(_ask, model, name, y)
    has = {n: torch.no_grad()(f) for n, f in calls.items() if hasattr(model, n.partition(" ")[0])}
    for turn in model.phases():
        if turn.loss is not None:
            has[f"the loss of {turn.name}"] = partial(
                lambda loss, c: loss(Batch.of(x, c)).total.detach(), turn.loss
            )
    return has


def _ask(model: Model, name: str, x: Tensor, context: Context) -> Any:
    return getattr(model, name)(x, context)


def _first_half(model: Model) -> Tensor:
    """A mask (*event.shape) of what comes first in the model's order, or in raster order."""
    size = model.event.dimensions
    order = model.order if hasattr(model, "order") else torch.arange(size)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(size))
    return (rank < size // 2).reshape(model.event.shape)


@law(when=told)
def law_one_row_of_context_stands_for_all(make: Make, row: System) -> None:
    """Whatever takes a context answers one row as it answers that row repeated."""
    model = lived(make, row)
    many = context_of(model, ROWS, same=True)
    for name, call in entries(model).items():
        try:
            answers = _answers(call, many[:1])
        except Exception as error:
            raise AssertionError(f"{name} of one row: {type(error).__name__}: {error}") from error
        for one, repeated in zip(answers, _answers(call, many), strict=True):
            assert torch.equal(one, repeated), f"{name} of one row is not that of five equal ones"


@law(when=told)
def law_contexts_have_a_row_for_each_example(make: Make, row: System) -> None:
    """Too few, too many and no rows are refused, in one sentence that counts them."""
    model = lived(make, row, steps=1)
    whole = context_of(model, 2 * ROWS, same=True)
    for name, call in entries(model).items():
        if name.removeprefix("the loss of ") in small.UNTOLD.get(row.name, ()):
            continue
        for part in model.context.names:
            for rows in (0, ROWS - 1, ROWS + 1):
                wrong = replace(whole[:ROWS], **{part: getattr(whole, part)[:rows]})
                _refuses(partial(call, wrong), f"{name} of {ROWS}", part, rows)


def _refuses(call: Callable[[], Any], what: str, part: str, rows: int) -> None:
    try:
        call()
    except EventError as error:
        one_sentence(error)
        told = f"{part} has {rows} rows for {ROWS} examples"
        if told not in str(error):
            raise AssertionError(f"{what} does not say '{told}': {error}") from error
    except Exception as error:
        raise AssertionError(
            f"{what} meets {rows} rows of {part} with {type(error).__name__}: {error}"
        ) from error
    else:
        raise AssertionError(f"{what} takes {rows} rows of {part}")


def _answers(call: Call, context: Context) -> list[Tensor]:
    with seeded(0):  # so that a model which draws from the global generator breaks another law
        answer = call(context)
    return list(answer) if isinstance(answer, tuple) else [answer]


def conditioned_cases(row: System) -> Iterator[Case]:
    """The row's smallest settings for each event and each kind of context that it builds with."""
    for kind in row.events:
        event = small.events(row)[kind][0]
        for context in _contexts(row, event):
            case = Case(row, event, context, small.settings(row.name, event)[0])
            try:
                case.make()
            except (EventError, ConfigError):
                continue
            yield case


def _contexts(row: System, event: Event) -> list[ContextSpec]:
    own = small.context(row.name, event)
    if own is not None:
        return [own]
    specs = [
        ContextSpec(vector=Event.real(3)),
        ContextSpec(label=3, vector=Event.real(3)),
        ContextSpec(text=Event.tokens(4, 5)),
    ]
    if event.has_image_shape:
        specs.append(ContextSpec(image=Event.image(1, event.shape[1:], levels=4)))
    return specs

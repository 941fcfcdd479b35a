"""Tables: columns, their pairs, and what a model predicts given a condition."""

from collections.abc import Callable
from html import escape

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.model import Model
from phosphene.core.protocols import Samples
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.evaluate import page, plots, views
from phosphene.evaluate.batches import evaluating
from phosphene.evaluate.missing_capability import lacking
from phosphene.evaluate.section import Shown, section
from phosphene.evaluate.table_plots import MOST_COLUMNS, histograms, pairs, strongest

__all__ = ["columns", "coverage", "each", "predictions"]

_DRAWS = 200
_ROWS = 2000
_SHOWN = 8
_LEVELS = (0.5, 0.9)


@section(needs=(Samples,), kinds=("table",), place=200)
def columns(shown: Shown) -> str:
    """Columns beside those of samples, alone and in pairs."""
    n = len(shown.test)
    times = max(1, min(_ROWS // n, 20))
    given = shown.at(torch.arange(n).repeat(times)).context
    drawn, real = views.draws(shown.model, n * times, given, seed=shown.seed), shown.test.x
    parts = [_columns(shown, real, drawn)]
    if len(shown.test.columns) > 1:
        parts.append(_pairs(shown, real, drawn))
    return "\n".join(parts)


def _columns(shown: Shown, real: Tensor, drawn: Tensor) -> str:
    sets = {"test rows": real, "samples": drawn}
    rows = []
    for i, name in enumerate(shown.test.columns):
        cells = [escape(name)]
        for x in (real[:, i].double(), drawn[:, i].double()):
            low, _, high = _quantiles(x)
            cells += [_brief(x.mean()), _brief(x.std()), f"{_brief(low)} … {_brief(high)}"]
        rows.append(cells)
    heads = ("column", "mean", "sd", "5 … 95 %", "mean of samples", "sd ", "5 … 95 % ")
    figure = page.figure(plots.svg(histograms(sets, shown.test.columns)))
    more = len(shown.test.columns) - MOST_COLUMNS
    lead = f"Each column of {len(real):,} test rows, and of {len(drawn):,} samples of the model"
    lead += ", given the conditions of the test rows." if shown.model.context else "."
    lead += f" The first {MOST_COLUMNS} are drawn." if more > 0 else ""
    return page.section("Columns", figure, page.table(heads, rows, heads[1:]), lead=lead)


def _pairs(shown: Shown, real: Tensor, drawn: Tensor) -> str:
    which = strongest(real)
    chart = pairs({"test rows": real, "samples": drawn}, shown.test.columns, which)
    lead = "The columns that depend most on each other, in pairs."
    return page.section("Pairs of columns", page.figure(plots.svg(chart)), lead=lead)


@section(needs=(Samples,), kinds=("table",), place=210)
def predictions(shown: Shown) -> str:
    """Intervals of draws given the conditions of test rows, and how often they hold the truth."""
    if not shown.model.context:
        return ""
    order = torch.randperm(len(shown.test), generator=generator(shown.seed, 43))
    index = order[: min(300, len(order))]
    x, context = shown.test.take(index)
    drawn = each(shown.model, _DRAWS, context, shown.seed)
    rows = []
    told = shown.test.vector_columns
    for k in range(min(_SHOWN, len(x))):
        cells = []
        if context.label is not None and shown.model.context.label:
            cells.append(escape(_label(shown.test, int(context.label[k]))))
        if context.vector is not None and shown.model.context.vector:
            values = context.vector[k].tolist()
            said = [f"{n} {_brief(v)}" for n, v in zip(told, values, strict=True)]
            cells.append(escape(", ".join(said)))
        for i in range(min(4, x.shape[1])):
            low, middle, high = _quantiles(drawn[k, :, i])
            cells.append(f"{_brief(x[k, i])}: {_brief(middle)} [{_brief(low)}, {_brief(high)}]")
        rows.append(cells)
    given = ["label"] * bool(shown.model.context.label)
    given += ["given"] * bool(shown.model.context.vector)
    heads = (*given, *shown.test.columns[: min(4, x.shape[1])])
    inside = coverage(x, drawn)
    shares = "; ".join(
        f"{share:.0%} of values lie in the central {level:.0%} interval"
        for level, share in zip(_LEVELS, inside, strict=True)
    )
    lead = (
        f"Test rows: what is true, and the median and the central 90 % of {_DRAWS} draws given "
        f"the same condition. Over {len(x):,} test rows {shares}."
    )
    return page.section("Given the condition", page.table(heads, rows), lead=lead)


def each(model: Model, n: int, context: Context, seed: int) -> Tensor:
    """Draws (rows, n, *event.shape), n for each row of a context."""
    if not isinstance(model, Samples):
        raise lacking(model, Samples)
    sample: Callable[..., Tensor] = model.sample
    with evaluating(model):
        g = generator(seed, 33, device=model.device)
        x = sample(n, context.to(model.device), each=True, generator=g).cpu()
    return x


def coverage(x: Tensor, drawn: Tensor) -> list[float]:
    """The share of values (n, d) inside central intervals of their draws (n, k, d).

    A model whose conditional distributions are right has 50 % of values in the central 50 %.
    """
    rank = (drawn < x[:, None]).double().mean(1)
    return [float(((rank - 0.5).abs() <= level / 2).double().mean()) for level in _LEVELS]


def _quantiles(x: Tensor) -> list[Tensor]:
    return list(torch.quantile(x.double(), torch.tensor([0.05, 0.5, 0.95]).double()))


def _label(dataset: Dataset, label: int) -> str:
    return dataset.classes[label] if 0 <= label < len(dataset.classes) else "unknown"


def _brief(value: Tensor | float) -> str:
    number = float(value)
    return f"{number:.10g}" if abs(number) >= 1e6 else f"{number:.4g}"

"""What a report shows of a model of a table: its columns, their pairs, and what it predicts."""

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
from phosphene.evaluate.lacking import lacking
from phosphene.evaluate.table_plots import MOST_COLUMNS, histograms, pairs, strongest

__all__ = ["Columns", "coverage"]

_DRAWS = 200
_ROWS = 2000
_SHOWN = 8
_LEVELS = (0.5, 0.9)


class Columns:
    """Columns beside those of samples; and, given a condition, intervals of its draws."""

    def __init__(self, model: Model, test: Dataset, train: Dataset, seed: int) -> None:
        self.model, self.test, self.seed = model, test, seed
        self.names = test.columns

    def sections(self) -> list[str]:
        """Those sections that are true for this model."""
        if not isinstance(self.model, Samples):
            return []
        drawn, real = self._drawn()
        parts = [self._columns(real, drawn)]
        if len(self.names) > 1:
            parts.append(self._pairs(real, drawn))
        if self.model.context:
            parts.append(self._predictions())
        return parts

    def _drawn(self) -> tuple[Tensor, Tensor]:
        """Samples, as many as test rows or more, and the rows whose conditions they were given."""
        n = len(self.test)
        times = max(1, min(_ROWS // n, 20))
        index = torch.arange(n).repeat(times)
        context = self.test.take(index)[1] if self.model.context else None
        return views.draws(self.model, n * times, context, seed=self.seed), self.test.x

    def _columns(self, real: Tensor, drawn: Tensor) -> str:
        sets = {"test rows": real, "samples": drawn}
        rows = []
        for i, name in enumerate(self.names):
            cells = [escape(name)]
            for x in (real[:, i].double(), drawn[:, i].double()):
                low, _, high = _quantiles(x)
                cells += [_brief(x.mean()), _brief(x.std()), f"{_brief(low)} … {_brief(high)}"]
            rows.append(cells)
        heads = ("column", "mean", "sd", "5 … 95 %", "mean of samples", "sd ", "5 … 95 % ")
        figure = page.figure(plots.svg(histograms(sets, self.names)))
        more = len(self.names) - MOST_COLUMNS
        lead = f"Each column of {len(real):,} test rows, and of {len(drawn):,} samples of the model"
        lead += ", given the conditions of the test rows." if self.model.context else "."
        lead += f" The first {MOST_COLUMNS} are drawn." if more > 0 else ""
        return page.section("Columns", figure, page.table(heads, rows, heads[1:]), lead=lead)

    def _pairs(self, real: Tensor, drawn: Tensor) -> str:
        which = strongest(real)
        chart = pairs({"test rows": real, "samples": drawn}, self.names, which)
        lead = "The columns that depend most on each other, in pairs."
        return page.section("Pairs of columns", page.figure(plots.svg(chart)), lead=lead)

    def _predictions(self) -> str:
        order = torch.randperm(len(self.test), generator=generator(self.seed, 43))
        index = order[: min(300, len(order))]
        x, context = self.test.take(index)
        drawn = each(self.model, _DRAWS, context, self.seed)
        rows = []
        told = self.test.vector_columns
        for k in range(min(_SHOWN, len(x))):
            cells = []
            if context.label is not None and self.model.context.label:
                cells.append(escape(_label(self.test, int(context.label[k]))))
            if context.vector is not None and self.model.context.vector:
                values = context.vector[k].tolist()
                said = [f"{n} {_brief(v)}" for n, v in zip(told, values, strict=True)]
                cells.append(escape(", ".join(said)))
            for i in range(min(4, x.shape[1])):
                low, middle, high = _quantiles(drawn[k, :, i])
                cells.append(f"{_brief(x[k, i])}: {_brief(middle)} [{_brief(low)}, {_brief(high)}]")
            rows.append(cells)
        given = ["label"] * bool(self.model.context.label)
        given += ["given"] * bool(self.model.context.vector)
        heads = (*given, *self.names[: min(4, x.shape[1])])
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

"""A report of one run: a single HTML file that a person wants to look at."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene import catalog
from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.rng import generator
from phosphene.data import load as load_data
from phosphene.data.dataset import Dataset
from phosphene.evaluate import page, plots, views
from phosphene.evaluate.likelihood import exact_log_prob, importance_weighted
from phosphene.evaluate.meaning import METRICS, label, meaning, unit
from phosphene.evaluate.score import Score
from phosphene.train.folder import Run

__all__ = ["write_report"]

_HEADLINE = (
    "nll", "iwae_nll", "elbo", "bits_per_dim", "kl", "psnr", "accuracy", "ssim", "mse",
    "probe_accuracy", "frechet_distance", "path_distance",
)  # fmt: skip


def write_report(
    run: Run,
    scores: Mapping[str, Score],
    *,
    test: Dataset | None = None,
    train: Dataset | None = None,
    seed: int = 0,
) -> Path:
    """Write ``report.html`` into a run: scores, curves, samples, codes, in one file.

    Args:
        run: A run whose model is trained.
        scores: Of :func:`phosphene.evaluate.scoring.evaluate_model`; may be empty.
        test: Held-out examples; None for those of the run's data set.
        train: Training examples; None for those of the run's data set.
        seed: Chooses examples and samples.

    Returns:
        The file's path.
    """
    test = test or load_data(run.config["data"], "test")
    train = train or load_data(run.config["data"], "train")
    model = run.model
    title = f"{catalog.find(run.config['system']).title} on {run.config['data']}"
    drawing = _Images if plots.shape_of_image(model.event) else _Plane
    sections = [
        _headline(scores),
        *drawing(model, test, train, seed).sections(),
        _codes(model, test),
        _learning(run.metrics),
        _scores(scores),
        _settings(run),
    ]
    versions = ", ".join(f"{k} {v}" for k, v in run.config.get("versions", {}).items())
    text = page.page(title, _header(run, model, test, train, title), sections, escape(versions))
    path = run.path / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


def _header(run: Run, model: Model, test: Dataset, train: Dataset, title: str) -> str:
    config = run.config
    row = catalog.find(config["system"])
    last: dict[str, Any] = next((m for m in reversed(run.metrics) if "step" in m), {})
    seconds = last.get("seconds")
    threads = config.get("threads")
    items = [
        ("System", config["system"]),
        ("Data", str(config["data"])),
        ("Examples", f"{len(train):,} train, {len(test):,} test"),
        ("One example", str(model.event)),
        ("Parameters", f"{sum(p.numel() for p in model.parameters()):,}"),
        ("Budget", str(config.get("budget", ""))),
        ("Trained", f"{last['step']:,} steps in {seconds:,.0f} s" if seconds is not None else ""),
        ("Device", f"{config.get('device', '')}, {threads} thread{'s' if threads != 1 else ''}"),
        ("Precision", str(config.get("precision", ""))),
        ("Seed", str(config.get("seed", ""))),
    ]
    command = escape(str(config.get("command", "")))
    return (
        f'<p class="kicker">phosphene run · {escape(run.path.name)}</p><h1>{escape(title)}</h1>'
        f'<p class="lead">{escape(row.paper)}</p>{page.facts(items)}<pre>{command}</pre>'
    )


# -- scores ---------------------------------------------------------------------------------------


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _headline(scores: Mapping[str, Score]) -> str:
    """The few scores that matter most, as cards."""
    chosen = [name for name in _HEADLINE if name in scores]
    chosen = [name for name in chosen if not (name == "iwae_nll" and "nll" in scores)][:4]
    cards = "".join(_card(name, scores[name]) for name in chosen)
    return f'<div class="cards">{cards}</div>' if cards else ""


def _scores(scores: Mapping[str, Score]) -> str:
    """Every score with its kind, error and floor, and what the kinds mean."""
    if not scores:
        return ""
    rows = []
    for name, s in scores.items():
        says = " ".join(t for t in (METRICS.get(name, ("", "", ""))[2], _note(s)) if t)
        heading = f"{escape(label(name))}<span class='sub'>{escape(says)}</span>"
        value = f"{_number(s.value)} {unit(name)}"
        error = "" if s.stderr is None else f"± {_number(s.stderr)}"
        floor = "" if s.floor is None else _number(s.floor)
        rows.append((heading, value, error, floor, page.chip(s.kind)))
    columns = ("Score", "Value", "Standard error", "Real against real", "Kind")
    found = {m[0]: m[1] for s in scores.values() if (m := meaning(s.kind))}
    kinds = "".join(f"<p class='note'>{page.chip(k)} {escape(t)}</p>" for k, t in found.items())
    return page.section(
        "All scores",
        page.table(columns, rows, columns[1:4]),
        f"<h3 style='margin-top:26px'>What the kinds mean</h3>{kinds}",
        lead="On held-out test examples. Log-likelihoods are in nats per example.",
    )


def _note(score: Score) -> str:
    return f"({score.note})" if score.note else ""


def _card(name: str, s: Score) -> str:
    more = []
    if s.stderr is not None:
        more.append(f"± {_number(s.stderr)}")
    if s.floor is not None:
        more.append(f"real data: {_number(s.floor)}")
    return (
        f'<div class="card"><div class="name">{escape(label(name))}</div>'
        f'<div class="value">{_number(s.value)} <small>{escape(unit(name))}</small></div>'
        f'{page.chip(s.kind)}<div class="more">{escape(", ".join(more))}</div></div>'
    )


# -- learning -------------------------------------------------------------------------------------


def _learning(metrics: list[dict[str, Any]]) -> str:
    train = [m for m in metrics if m.get("split") == "train"]
    validation = [m for m in metrics if m.get("split") == "validation"]
    if len(train) + len(validation) < 2:
        return ""
    best = min((m for m in validation if "loss" in m), key=lambda m: m["loss"], default=None)
    mark = (best["step"], best["loss"]) if best else None
    main = plots.curves(_lines(train, validation, "loss"), x="step", y="loss", mark=mark)
    aside = ("step", "seconds", "split", "loss", "lr", "examples", "best", "elbo")
    keys = train[-1] if train else validation[-1]
    terms = [k for k, v in keys.items() if k not in aside and isinstance(v, int | float)]
    small = [
        page.figure(
            plots.svg(plots.curves(_lines(train, validation, k), x="step", y="", size=(4.9, 2.5))),
            name=k.replace("_", " "),
        )
        for k in terms[:4]
    ]
    return page.section(
        "Learning",
        page.figure(plots.svg(main)),
        f'<div class="pair">{"".join(small)}</div>' if small else "",
        lead="The loss that was minimized, on training batches and on the validation split.",
    )


def _lines(
    train: list[dict[str, Any]], validation: list[dict[str, Any]], key: str
) -> dict[str, tuple[list[float], list[float]]]:
    both = {"training": train, "validation": validation}
    lines = {
        name: ([m["step"] for m in rows if key in m], [m[key] for m in rows if key in m])
        for name, rows in both.items()
    }
    return {name: line for name, line in lines.items() if line[0]}


# -- pictures -------------------------------------------------------------------------------------


def _context_of(dataset: Dataset, model: Model, index: Tensor) -> Context | None:
    return dataset.take(index)[1] if model.context else None


class _Images:
    """The pictures of a model of images: samples, reconstructions, paths, directions, neighbors."""

    def __init__(self, model: Model, test: Dataset, train: Dataset, seed: int) -> None:
        self.model, self.test, self.train, self.seed = model, test, train, seed
        self.event = model.event
        order = torch.randperm(len(test), generator=generator(seed, 41))
        self.index = order[: min(64, len(test))]
        self.x, _ = test.take(self.index)
        self.context = _context_of(test, model, self.index)
        self.coded = hasattr(model, "encode") and hasattr(model, "decode")

    def sections(self) -> list[str]:
        """Those sections that are true for this model."""
        parts = []
        if hasattr(self.model, "sample"):
            parts += [self._samples(), self._classes()]
        if hasattr(self.model, "reconstruct"):
            parts.append(self._reconstructions())
        if self.coded:
            parts += [self._interpolations(), self._traversals()]
        if hasattr(self.model, "sample"):
            parts.append(self._neighbors())
        return parts

    def _sheet(self, x: Tensor, columns: int, **layout: int) -> Any:
        return plots.grid(plots.pixels(x, self.event), columns, **layout)

    def _samples(self) -> str:
        n = len(self.x)
        drawn = views.draws(self.model, n, self.context, seed=self.seed)
        shown, name, caption = drawn, "Samples", "drawn from the model, not chosen"
        below = ""
        if hasattr(self.model, "sample_mean"):
            shown = views.draws(self.model, n, self.context, seed=self.seed, mean=True)
            name, caption = "Samples, as means", "the mean image of each latent draw, not chosen"
            note = "the same latent draws with every pixel drawn from its distribution"
            sheet = page.figure(self._sheet(drawn, 16), note, "Samples, as pixels")
            below = f'<div style="margin-top:24px">{sheet}</div>'
        pair = [
            page.figure(self._sheet(self.x, 8), "held out, not trained on", "Test examples"),
            page.figure(self._sheet(shown, 8), caption, name),
        ]
        lead = "Samples were asked for the labels of the examples beside them."
        lead = lead if self.context is not None and self.context.label is not None else ""
        return page.section("Samples", f'<div class="pair">{"".join(pair)}</div>', below, lead=lead)

    def _classes(self) -> str:
        count = self.model.context.label
        if not count or self.model.context.names != ("label",):
            return ""
        labels = torch.arange(count).repeat_interleave(12)
        mean = hasattr(self.model, "sample_mean")
        context = Context(label=labels)
        drawn = views.draws(self.model, len(labels), context, seed=self.seed, mean=mean)
        names = self.test.classes or tuple(map(str, range(count)))
        rows = zip(names, drawn.split(12), strict=True)
        strips = page.strips((str(name), self._sheet(x, 12)) for name, x in rows)
        return page.section("Samples by class", strips, lead="One row for each label asked for.")

    def _reconstructions(self) -> str:
        n = min(24, len(self.x))
        x, context = self.x[:n], None if self.context is None else self.context[slice(0, n)]
        with torch.no_grad():
            given = () if context is None else (context.to(self.model.device),)
            back = self.model.reconstruct(x.to(self.model.device), *given).cpu()
        rows: list[Any] = []
        for start in range(0, n, 12):
            part = slice(start, start + 12)
            rows += [("test", self._sheet(x[part], 12)), ("model", self._sheet(back[part], 12))]
            rows.append(None)
        lead = "Test examples, and what is left of them after encoder and decoder."
        return page.section("Reconstructions", page.strips(rows[:-1]), lead=lead)

    def _interpolations(self) -> str:
        n = min(5, len(self.x) // 2)
        context = None if self.context is None else self.context[slice(0, n)]
        a, b = self.x[:n], self.x[n : 2 * n]
        paths = views.interpolations(self.model, a, b, 10, context)
        rows = [torch.cat([a[k : k + 1], paths[k], b[k : k + 1]]) for k in range(n)]
        strips = "".join(page.figure(self._sheet(row, 12)) for row in rows)
        strips = f'<div class="rows">{strips}</div>'
        lead = (
            "Straight lines between the codes of two test examples, decoded. The first and the "
            "last image of each row are the examples themselves."
        )
        return page.section("Interpolations", strips, lead=lead)

    def _traversals(self) -> str:
        whole = torch.arange(min(1000, len(self.test)))
        x, _ = self.test.take(whole)
        moments = views.spread(self.model, x, _context_of(self.test, self.model, whole))
        one = None if self.context is None else self.context[slice(0, 1)]
        moved, order = views.traversals(self.model, self.x[:1], moments, steps=11, context=one)
        rows = [
            (f"z{d}, spread {float(moments[1][d]):.2f}", self._sheet(x, 11))
            for d, x in zip(order, moved, strict=True)
        ]
        lead = (
            "One latent dimension at a time, over 2.5 standard deviations of the data's codes to "
            "either side; those that vary most come first."
        )
        return page.section("Latent directions", page.strips(rows), lead=lead)

    def _neighbors(self) -> str:
        n = 12
        context = None if self.context is None else self.context[slice(0, n)]
        drawn = views.draws(self.model, n, context, seed=self.seed + 1)
        index, distances = views.neighbors(drawn, self.train.x, 3)
        rows: list[Any] = [("sample", self._sheet(drawn, n)), None]
        names = ("nearest", "second", "third")
        for k in range(index.shape[1]):
            rows.append((names[k], self._sheet(self.train.x[index[:, k]], n)))
        held, _ = views.neighbors(self.x[:n], self.train.x, 1)
        real = (self.x[:n].float() - self.train.x[held[:, 0]].float()).flatten(1).norm(dim=1)
        lead = (
            "Is it memory? Each sample above its nearest training examples, by Euclidean distance: "
            f"{_number(float(distances[:, 0].mean()))} on average to the first, against "
            f"{_number(float(real.mean()))} for test examples."
        )
        return page.section("Nearest training examples", page.strips(rows), lead=lead)


class _Plane:
    """The pictures of a model of points in the plane; nothing for other events."""

    def __init__(self, model: Model, test: Dataset, train: Dataset, seed: int) -> None:
        self.model, self.test, self.seed = model, test, seed
        self.drawn = model.event == Event.real(2)

    def sections(self) -> list[str]:
        """Samples beside data, and densities where they are known."""
        if not self.drawn:
            return []
        parts = [self._samples()] if hasattr(self.model, "sample") else []
        return [*parts, self._density()]

    def _samples(self) -> str:
        n = min(2000, len(self.test))
        index = torch.arange(n)
        context = _context_of(self.test, self.model, index)
        drawn = views.draws(self.model, n, context, seed=self.seed)
        sets = {"Test examples": self.test.x[:n], "Samples": drawn}
        low, high = self._extent()
        figures = []
        for name, x in sets.items():
            chart = plots.scatter({"": x}, limits=(low, high))
            figures.append(page.figure(plots.svg(chart), f"{n:,} points", name))
        return page.section("Samples", f'<div class="pair">{"".join(figures)}</div>')

    def _extent(self) -> tuple[float, float]:
        low, high = float(self.test.x.min()), float(self.test.x.max())
        room = 0.12 * (high - low)
        return low - room, high + room

    def _density(self) -> str:
        low, high = self._extent()
        side = torch.linspace(low, high, 96)
        y, x = torch.meshgrid(side, side, indexing="ij")
        points = torch.stack([x, y], dim=-1).reshape(-1, 2)
        found: dict[str, Tensor] = {}
        if self.test.log_prob is not None:
            found["True density"] = self.test.log_prob(points).exp()
        if hasattr(self.model, "log_prob") and not self.model.context:
            found["Density of the model"] = exact_log_prob(self.model, points).exp()
        elif hasattr(self.model, "elbo") and not self.model.context:
            bound = importance_weighted(self.model, points, particles=50, seed=self.seed)
            found["Density of the model, importance-weighted"] = bound.exp()
        if not found:
            return ""
        charts = [
            page.figure(plots.svg(plots.density(v.reshape(96, 96), (low, high, low, high))), name=k)
            for k, v in found.items()
        ]
        return page.section("Density", f'<div class="pair">{"".join(charts)}</div>')


# -- codes and settings ---------------------------------------------------------------------------


def _codes(model: Model, test: Dataset) -> str:
    if not hasattr(model, "encode") or test.y is None:
        return ""
    from phosphene.evaluate.latents import encode

    index = torch.arange(min(3000, len(test)))
    x, context = test.take(index)
    codes = encode(model, x, context)
    if codes.shape[1] < 2:
        return ""
    points, share = views.project(codes)
    chart = plots.scatter({"codes": points}, test.y[index], test.classes, size=(10.2, 6.2))
    lead = (
        f"Codes of {len(index):,} test examples on the two directions of largest variance, which "
        f"hold {share:.0%} of it. Colors are the labels, which training "
        + ("was given." if model.context.label else "did not see.")
    )
    return page.section("Latent space", page.figure(plots.svg(chart)), lead=lead)


def _settings(run: Run) -> str:
    groups = []
    for name, key in (("Model", "model"), ("Trainer", "train")):
        values = {
            k: v
            for k, v in run.config.get(key, {}).items()
            if k not in ("type", "event") and v is not None
        }
        rows = [(f"<code>{escape(k)}</code>", escape(_setting(v))) for k, v in values.items()]
        groups.append(f"<div><h3>{name}</h3>{page.table(('setting', 'value'), rows)}</div>")
    body = f'<div class="pair">{"".join(groups)}</div>'
    return page.section(
        "Settings", f"<details><summary>Everything that was set</summary>{body}</details>"
    )


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_setting(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(
            f"{k} {_setting(v)}" for k, v in value.items() if k != "type" and v is not None
        )
    return str(value)

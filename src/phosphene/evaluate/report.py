"""A report of one run: a single HTML file that a person wants to look at."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import torch

from phosphene import catalog
from phosphene.core.model import Model
from phosphene.core.protocols import Encodes
from phosphene.data.dataset import Dataset
from phosphene.evaluate import page, pictures, plots, views
from phosphene.evaluate.gallery import Images, Plane, number
from phosphene.evaluate.metric import about, carded, label, meaning, unit
from phosphene.evaluate.score import Score
from phosphene.evaluate.sequences import Series, Sounds, Texts
from phosphene.evaluate.subject import data_of
from phosphene.evaluate.tables import Columns
from phosphene.train.files import write_atomically
from phosphene.train.folder import Run

__all__ = ["headline", "score_table", "settings_table", "write_report"]


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
    test = test or data_of(run, "test")
    train = train or data_of(run, "train")
    model = run.model
    title = f"{catalog.find(run.config['system']).title} on {run.data}"
    sections = [
        headline(scores),
        *_drawing(model, test)(model, test, train, seed).sections(),
        _codes(model, test),
        *_stages(run.metrics),
        score_table(scores),
        settings_table(run),
    ]
    versions = ", ".join(f"{k} {v}" for k, v in run.config.get("versions", {}).items())
    text = page.page(title, _header(run, model, test, train, title), sections, escape(versions))
    path = run.place("report.html")
    write_atomically(path, text)
    return path


def _drawing(
    model: Model, test: Dataset
) -> type[Images | Plane | Texts | Sounds | Series | Columns]:
    """What shows examples of this kind."""
    if test.columns:
        return Columns
    if test.tokenizer is not None:
        return Texts
    if pictures.shape_of_image(model.event) is not None:
        return Images
    if model.event.kind == "audio":
        return Sounds
    return Series if pictures.series_of(test.x[:1], model.event) is not None else Plane


def _header(run: Run, model: Model, test: Dataset, train: Dataset, title: str) -> str:
    config = run.config
    row = catalog.find(config["system"])
    last: dict[str, Any] = next((m for m in reversed(run.metrics) if "step" in m), {})
    seconds = last.get("seconds")
    threads = config.get("threads")
    items = [
        ("System", config["system"]),
        ("Data", run.data),
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


def headline(scores: Mapping[str, Score]) -> str:
    """The few scores that matter most, as cards."""
    cards = "".join(_card(name, scores[name]) for name in carded(scores)[:4])
    return f'<div class="cards">{cards}</div>' if cards else ""


def score_table(
    scores: Mapping[str, Score],
    lead: str = "On held-out test examples. Log-likelihoods are in nats per example.",
) -> str:
    """Every score with its kind, error and floor, and what the kinds mean."""
    if not scores:
        return ""
    rows, floors = [], any(s.floor is not None for s in scores.values())
    for name, s in scores.items():
        says = " ".join(t for t in (about(name), _note(s)) if t)
        heading = f"{escape(label(name))}<span class='sub'>{escape(says)}</span>"
        exact = f"{s.value:,.0f}" if s.kind == "count" and s.value % 1 == 0 else number(s.value)
        error = "" if s.stderr is None else f"± {s.stderr:.2g}"
        floor = () if not floors else ("" if s.floor is None else number(s.floor),)
        rows.append((heading, f"{exact} {unit(name)}", error, *floor, page.chip(s.kind)))
    real = ("Real against real",) if floors else ()
    columns = ("Score", "Value", "Standard error", *real, "Kind")
    found = {m[0]: m[1] for s in scores.values() if (m := meaning(s.kind))}
    kinds = "".join(f"<p class='note'>{page.chip(k)} {escape(t)}</p>" for k, t in found.items())
    return page.section(
        "All scores",
        page.table(columns, rows, columns[1:-1]),
        f"<h3 style='margin-top:26px'>What the kinds mean</h3>{kinds}",
        lead=lead,
    )


def _note(score: Score) -> str:
    return f"({score.note})" if score.note else ""


def _card(name: str, s: Score) -> str:
    more = []
    if s.stderr is not None:
        more.append(f"± {s.stderr:.2g}")
    if s.floor is not None:
        more.append(f"real data: {number(s.floor)}")
    return (
        f'<div class="card"><div class="name">{escape(label(name))}</div>'
        f'<div class="value">{number(s.value)} <small>{escape(unit(name))}</small></div>'
        f'{page.chip(s.kind)}<div class="more">{escape(", ".join(more))}</div></div>'
    )


# -- learning -------------------------------------------------------------------------------------


def _stages(metrics: list[dict[str, Any]]) -> list[str]:
    """The curves of each stage by itself, where a training has stages."""
    names = list(dict.fromkeys(m["stage"] for m in metrics if "stage" in m))
    if not names:
        return [_learning(metrics)]
    parts = [(name, [m for m in metrics if m.get("stage") == name]) for name in names]
    return [_learning(rows, f"Learning: {name}") for name, rows in parts]


def _learning(metrics: list[dict[str, Any]], title: str = "Learning") -> str:
    train = [m for m in metrics if m.get("split") == "train"]
    validation = [m for m in metrics if m.get("split") == "validation"]
    if len(train) + len(validation) < 2:
        return ""
    best = min((m for m in validation if "loss" in m), key=lambda m: m["loss"], default=None)
    mark = (best["step"], best["loss"]) if best else None
    main = plots.curves(_lines(train, validation, "loss"), x="step", y="loss", mark=mark)
    aside = ("step", "seconds", "split", "loss", "lr", "examples", "best", "elbo", "stage")
    keys = train[-1] if train else validation[-1]
    terms = [k for k, v in keys.items() if k not in aside and isinstance(v, int | float)]
    terms = [k for k in terms if keys[k] != keys.get("loss")]  # a loss of one term
    small = [
        page.figure(
            plots.svg(plots.curves(_lines(train, validation, k), x="step", y="", size=(4.9, 2.5))),
            name=k.replace("_", " "),
        )
        for k in terms[:4]
    ]
    return page.section(
        title,
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


# -- codes and settings ---------------------------------------------------------------------------


def _codes(model: Model, test: Dataset) -> str:
    if not isinstance(model, Encodes) or test.y is None:
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


def settings_table(run: Run) -> str:
    """Every setting of the model and of the trainer, folded away."""
    groups = []
    for name, key in (("Model", "model"), ("Trainer", "train")):
        values = {
            k: v
            for k, v in run.config.get(key, {}).items()
            if k not in ("type", "event", "spec") and v is not None
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

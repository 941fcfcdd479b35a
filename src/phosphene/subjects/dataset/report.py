"""The report of one run: a single HTML file."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from phosphene.core.model import Model
from phosphene.data.dataset import Dataset
from phosphene.evaluate import page
from phosphene.evaluate.score import Score
from phosphene.evaluate.section import SECTIONS, Shown
from phosphene.subjects.dataset.opening import data_of
from phosphene.train.files import write_atomically
from phosphene.train.folder import Run

__all__ = ["write_report"]


def write_report(
    run: Run,
    scores: Mapping[str, Score],
    *,
    test: Dataset | None = None,
    train: Dataset | None = None,
    seed: int = 0,
) -> Path:
    """Write ``report.html`` into a run: every section that is true for it, in one file.

    Args:
        run: A run whose model is trained.
        scores: Of :func:`phosphene.evaluate.scoring.evaluate_model`; may be empty.
        test: Held-out examples; None for those of the run's data set.
        train: Training examples; None for those of the run's data set.
        seed: Chooses examples and samples.

    Returns:
        The file's path.

    Raises:
        ConfigError: A section of another package fails.
    """
    test = test or data_of(run, "test")
    train = train or data_of(run, "train")
    model = run.model
    title = f"{run.title} on {run.data}"
    shown = Shown(model=model, test=test, train=train, seed=seed, scores=scores, run=run)
    sections = [section.html(shown) for section in SECTIONS]
    versions = ", ".join(f"{k} {v}" for k, v in run.config.get("versions", {}).items())
    text = page.page(title, _header(run, model, test, train, title), sections, escape(versions))
    path = run.place("report.html")
    write_atomically(path, text)
    return path


def _header(run: Run, model: Model, test: Dataset, train: Dataset, title: str) -> str:
    config = run.config
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
        f'<p class="lead">{escape(run.paper)}</p>{page.facts(items)}<pre>{command}</pre>'
    )

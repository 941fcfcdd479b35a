"""A report of an agent: what it earns, how it learned, an episode to watch, its values."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from phosphene.core.agent import Agent
from phosphene.decision.environments.pixels import NoPictureError
from phosphene.decision.environments.table import make
from phosphene.evaluate import page, plots
from phosphene.evaluate.score import Score
from phosphene.evaluate.sections.scores import headline, score_table
from phosphene.evaluate.sections.settings import settings_table
from phosphene.subjects.environment.opening import env_of
from phosphene.subjects.environment.playing import film, gif
from phosphene.subjects.environment.scores import steps_of
from phosphene.subjects.environment.value_map import value_map
from phosphene.train.files import write_atomically
from phosphene.train.folder import Run
from phosphene.train.record import read_json

__all__ = ["report_with_film", "write_agent_report"]

_FRAMES = 150  # of the episode that a page carries


def report_with_film(run: Run, scores: Mapping[str, Score], *, seed: int = 0) -> Path:
    """Write ``report.html`` with an episode that is filmed for it, where there are pictures."""
    shown: tuple[bytes, str] | str
    try:
        seen = film(run, seed=seed, most=_FRAMES)
        what = f"Return {seen.returns[0]:g} in {seen.lengths[0]:,} steps."
        shown = (gif(seen.frames, 25), what)
    except NoPictureError as error:
        shown = f"No film: {error}."
    return write_agent_report(run, scores, shown)


def write_agent_report(
    run: Run, scores: Mapping[str, Score], film: tuple[bytes, str] | str
) -> Path:
    """Write ``report.html`` into the run of an agent.

    Args:
        run: A run whose agent is trained.
        scores: Of its evaluation; may be empty.
        film: An episode as a GIF, and what it shows in words; or why there is none.

    Returns:
        The file's path.
    """
    env = env_of(run)
    title = f"{run.title} in {run.subject}"
    agent = cast(Agent, run.model)
    sections = [
        headline(scores),
        _episode(film),
        _learning(run.metrics),
        _values(agent, env),
        _returns(run),
        _terms(run.metrics),
        score_table(scores, lead="Of whole episodes that training did not meet."),
        settings_table(run),
    ]
    versions = ", ".join(f"{k} {v}" for k, v in run.config.get("versions", {}).items())
    text = page.page(title, _header(run, agent, title), sections, escape(versions))
    path = run.place("report.html")
    write_atomically(path, text)
    return path


def _header(run: Run, agent: Agent, title: str) -> str:
    config = run.config
    last: dict[str, Any] = next((m for m in reversed(run.metrics) if "environment_steps" in m), {})
    threads = config.get("threads")
    limit, validated = agent.spec.limit, steps_of(run).get("validation")
    items = [
        ("System", config["system"]),
        ("Environment", run.subject),
        ("Observation", str(agent.spec.observation)),
        ("Actions", _actions(agent)),
        ("Time limit", f"{limit:,} steps" if limit else "none"),
        _size(agent),
        ("Budget", str(config.get("budget", ""))),
        (
            "Trained",
            f"{last['environment_steps']:,.0f} steps in {last['seconds']:,.0f} s" if last else "",
        ),
        ("Validated", f"{validated:,} steps" if validated is not None else ""),
        ("Device", f"{config.get('device', '')}, {threads} thread{'s' if threads != 1 else ''}"),
        ("Seed", str(config.get("seed", ""))),
    ]
    command = escape(str(config.get("command", "")))
    return (
        f'<p class="kicker">phosphene run · {escape(run.path.name)}</p><h1>{escape(title)}</h1>'
        f'<p class="lead">{escape(run.paper)}</p>{page.facts(items)}<pre>{command}</pre>'
    )


def _size(agent: Agent) -> tuple[str, str]:
    """How much is learned: parameters, or the entries of a table."""
    parameters = sum(p.numel() for p in agent.parameters())
    if parameters:
        return "Parameters", f"{parameters:,}"
    return "Entries of the table", f"{sum(b.numel() for b in agent.buffers()):,}"


def _actions(agent: Agent) -> str:
    spec = agent.spec
    if spec.actions is not None:
        return f"{spec.actions} discrete"
    return ", ".join(f"{a:g}..{b:g}" for a, b in zip(spec.low, spec.high, strict=True))


def _episode(film: tuple[bytes, str] | str) -> str:
    if isinstance(film, str):
        return page.section("An episode", page.paragraph(escape(film)))
    picture, caption = film
    data = base64.b64encode(picture).decode("ascii")
    alt = escape(caption, quote=True)
    shown = f'<img alt="{alt}" style="max-width:520px" src="data:image/gif;base64,{data}">'
    return page.section(
        "An episode", page.figure(shown, caption), lead="Played by the agent's best actions."
    )


def _learning(metrics: list[dict[str, Any]]) -> str:
    """Returns over environment steps: of episodes met in training, and of those that judge."""
    kinds = {"training": "train", "greedy, apart from training": "validation"}
    lines = {}
    for name, split in kinds.items():
        rows = [m for m in metrics if m.get("split") == split and "return" in m]
        if rows:
            xs = [m["environment_steps"] for m in rows]
            ys = [m["return"] for m in rows]
            lines[name] = (xs, _smooth(ys) if split == "train" else ys)
    if not lines or max(len(xs) for xs, _ in lines.values()) < 2:
        return ""
    chart = plots.curves(lines, x="environment steps", y="return of an episode")
    lead = (
        "Training episodes are played as the agent explores, and are averaged over ten log lines. "
        "Greedy episodes choose which weights are kept; scores come from others."
    )
    return page.section("Learning", page.figure(plots.svg(chart)), lead=lead)


def _smooth(values: list[float], width: int = 10) -> list[float]:
    total = np.cumsum(np.insert(np.asarray(values, float), 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    return cast(list[float], ((total[ends] - total[starts]) / (ends - starts)).tolist())


def _values(agent: Agent, env: Any) -> str:
    """Values and actions on the map, where states are cells of one."""
    if agent.spec.states is None:
        return ""
    environment = make(env, 1)
    grid = getattr(getattr(environment, "mdp", None), "grid", None)
    environment.close()
    states = torch.arange(agent.spec.states)[:, None]
    with torch.no_grad():
        policy = agent.act(states).numpy()
        values = getattr(agent, "state_values", lambda s: None)(states)
    if grid is None or values is None:
        return ""
    chart = plots.svg(value_map(grid, values.numpy(), policy))
    lead = "What the agent expects to earn from each cell, and where it goes."
    return page.section("Values and actions", page.figure(chart), lead=lead)


def _returns(run: Run) -> str:
    """The spread of the evaluation's returns."""
    path = run.path / "evaluation.json"
    if not path.is_file():
        return ""
    found = read_json(path).get("returns", [])
    returns = [r for r in found if isinstance(r, int | float)] if isinstance(found, list) else []
    if len(set(returns)) < 3:
        return ""
    return page.section(
        "Returns of the evaluation",
        page.figure(plots.svg(plots.histogram(returns, x="return of an episode"))),
        lead=f"{len(returns)} episodes.",
    )


def _terms(metrics: list[dict[str, Any]]) -> str:
    """What was minimized, and its parts."""
    rows = [m for m in metrics if m.get("split") == "train"]
    aside = (
        "step", "seconds", "split", "lr", "examples", "environment_steps", "episodes", "return",
        "length",
    )  # fmt: skip
    names = [k for k in (rows[-1] if rows else {}) if k not in aside]
    minimized = any(m.get("loss") for m in rows)
    if not minimized:  # tables learn without a loss
        names = [k for k in names if k != "loss"]
    figures = []
    for name in names[:8]:
        known = [m for m in rows if name in m]
        line = ([m["environment_steps"] for m in known], [m[name] for m in known])
        chart = plots.curves({"training": line}, x="environment steps", y="", size=(4.9, 2.3))
        figures.append(page.figure(plots.svg(chart), name=name.replace("_", " ")))
    if len(rows) < 2 or not figures:
        return ""
    title = "What was minimized" if minimized else "While it learned"
    return page.section(title, f'<div class="pair">{"".join(figures)}</div>')

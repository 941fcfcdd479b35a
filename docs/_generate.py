"""Tables and help texts of the documentation, written from the code so that they cannot go stale.

``conf.py`` calls :func:`write_all` before every build; pages include the files. The README cannot
include anything, so its table of systems is written into it:

    python docs/_generate.py --readme
"""

import io
import json
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "_build" / "generated"
MARKS = ("<!-- systems: begin -->", "<!-- systems: end -->")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def systems_table() -> str:
    """Every row of the catalogue."""
    from phosphene.catalog import systems

    return table(
        ("system", "what it is", "kind", "paper"),
        [(f"`{s.name}`", s.title, s.kind, s.paper) for s in systems()],
    )


def events_table() -> str:
    """Which events a model takes, and whether it is conditioned."""
    from phosphene.catalog import systems

    return table(
        ("system", "events", "context", "class"),
        [
            (
                f"`{s.name}`",
                ", ".join(s.events),
                s.context,
                f"{{py:class}}`~{s.target.replace(':', '.')}`",
            )
            for s in systems()
            if s.kind == "model"
        ],
    )


def environments_table() -> str:
    """Every environment that needs nothing else."""
    from phosphene.decision.environments.table import listed_specs

    return table(
        ("environment", "observation", "actions", "limit"),
        [
            (
                f"`{s.name}`",
                str(s.observation),
                str(s.actions)
                if s.discrete
                else ", ".join(f"{a:g}..{b:g}" for a, b in zip(s.low, s.high, strict=True)),
                str(s.limit or "none"),
            )
            for s in listed_specs()
        ],
    )


def agents_table() -> str:
    """Which environments an agent takes."""
    from phosphene.catalog import systems

    return table(
        ("agent", "acts in", "class"),
        [
            (
                f"`{s.name}`",
                ", ".join(s.events),
                f"{{py:class}}`~{s.target.replace(':', '.')}`",
            )
            for s in systems()
            if s.kind == "agent"
        ],
    )


def data_table() -> str:
    """Every embedded or computed data set."""
    from phosphene.data.table import names

    return table(
        ("data", "what it is", "one example", "train / validation / test", "licence"),
        [
            (f"`{r.name}`", r.title, r.event, " / ".join(f"{n:,}" for n in r.examples), r.licence)
            for r in names()
        ],
    )


def adapters_table() -> str:
    """Every adapter, with its options."""
    from phosphene.core.config import parameters_of
    from phosphene.data.loading import _function
    from phosphene.data.table import adapters

    return table(
        ("adapter", "reads", "example", "options", "needs"),
        [
            (
                f"`{a.name}:`",
                a.title,
                f"`{a.example}`",
                ", ".join(f"`{name}`" for name in parameters_of(_function(a.target))),
                f"`{a.requires}`" if a.requires else "",
            )
            for a in adapters()
        ],
    )


def metrics_table() -> str:
    """Every metric as its scorer declares it, and which capabilities give it."""
    from phosphene.evaluate.metric import METRICS
    from phosphene.evaluate.scorer import SCORERS

    needs = {
        metric.name: " and ".join(
            " or ".join(f"`{one.__name__}`" for one in (n if isinstance(n, tuple) else (n,)))
            for n in scorer.needs
        )
        for scorer in SCORERS
        for metric in scorer.metrics
    }
    return table(
        ("name", "label", "unit", "better", "of models with"),
        [(f"`{m.name}`", m.label, m.unit, m.better or "", needs.get(m.name, "")) for m in METRICS],
    )


def recipes_list(system: str | None = None) -> str:
    """Every recipe, or those of one system: the command, its settings, what it must reach."""
    from phosphene.catalog.recipe import recipes

    rows = [r for r in recipes() if system in (None, r.system)]
    if not rows:
        return "No recipe of its own: the constructor's and the trainer's defaults are used.\n"
    return "\n".join(_recipe(r) for r in rows)


def _recipe(recipe: Any) -> str:
    which = "" if recipe.name == "default" else f" --recipe {recipe.name}"
    data = recipe.data or "TABLE"
    subject = f"--env {recipe.env}" if recipe.env else f"--data {data}"
    command = f"phosphene train {recipe.system} {subject}{which}".replace("--env *", "--env ENV")
    named = f"`{recipe.env or data}`".replace("`*`", "any other environment")
    named = named if recipe.env or recipe.data else f"data like `{recipe.event}`"
    where = f"in {named}" if recipe.env else f"on {named}"
    facts = [f"Recipe `{recipe.name}` {where}, {recipe.budget}."]
    if recipe.reaches:
        held_out = "in fresh episodes" if recipe.env else "on the test split"
        facts.append(f"Must reach {_reaches(recipe)} {held_out}.")
    if recipe.notes:
        facts.append(recipe.notes)
    settings = _settings(recipe.model, "model") + _settings(recipe.train, "train")
    if recipe.precision != "fp32":
        settings.append(f"--precision {recipe.precision}")
    shown = textwrap.fill(" ".join(settings), 84, break_on_hyphens=False, break_long_words=False)
    body = f"{command}\n{textwrap.indent(shown, '    ')}" if shown else command
    return f"{' '.join(facts)}\n\n```text\n{body}\n```\n"


def _settings(values: Mapping[str, Any], prefix: str) -> list[str]:
    return [f"--{prefix}.{k.replace('_', '-')} {_plain(value)}" for k, value in values.items()]


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _reaches(recipe: Any) -> str:
    if not recipe.reaches:
        return ""
    what = ", ".join(f"`{name}` {value:g}" for name, value in recipe.reaches.items())
    return what + (f" in {recipe.cpu_seconds:g} CPU seconds" if recipe.cpu_seconds else "")


def proofs_table() -> str:
    """Every statement that can be proved by running it."""
    from phosphene.proofs import PROOFS

    return table(("proof", "command"), [(f"`{n}`", f"`phosphene prove {n}`") for n in PROOFS])


def help_of(*arguments: str) -> str:
    """What a command prints for ``--help``, without colors, 84 columns wide."""
    from phosphene.cli.main import main

    os.environ["COLUMNS"], os.environ["NO_COLOR"] = "84", "1"
    written = io.StringIO()
    with redirect_stdout(written), suppress(SystemExit):
        main([*arguments, "--help"])
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written.getvalue())
    return "\n".join(line.rstrip() for line in plain.strip().splitlines())


def commands() -> str:
    """One section for each command."""
    from phosphene.cli.commands import COMMANDS

    parts = [f"```text\n{help_of()}\n```\n"]
    for name, (_, what) in COMMANDS.items():
        arguments = (name, "vae") if name == "train" else (name,)
        lead = f"{what[0].upper()}{what[1:]}.\n"
        if name == "train":
            lead += (
                "\nThe settings of the model are those of the system that is named; here `vae`.\n"
            )
        parts.append(f"## phosphene {name}\n\n{lead}\n```text\n{help_of(*arguments)}\n```\n")
    return "\n".join(parts)


def extras_table() -> str:
    """The optional dependencies of pyproject.toml."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return table(
        ("extra", "brings"),
        [
            (f"`{name}`", ", ".join(f"`{re.split('[<>=]', p)[0]}`" for p in packages))
            for name, packages in extras.items()
        ],
    )


FIGURES = {
    "styles": "Left: a test digit. Right: its style under the ten labels.",
    "vae": "Means of p(x|z) for 64 random z.",
    "reconstructions": "Test digits, their reconstructions by an autoencoder, and by a linear one, "
    "both from a code of the same size.",
    "denoising": "Noisy digits, denoised; digits with holes, filled in.",
    "interpolation": "Decoded straight lines between the codes of two digits, for four pairs: "
    "an autoencoder above, a VAE below.",
    "importance": "The importance-weighted bound of one model rises with the number of particles.",
    "linear-vae": "Two half circles and samples of a linear VAE: their mean and covariance.",
    "beta-vae": "Each row moves one latent of a beta-VAE, those that vary most first.",
    "compare": "Four systems under one budget, by kind of score.",
    "report": "The upper part of a report.",
    "gated-pixelcnn": "Samples of a gated PixelCNN; test digits, their upper halves, and two exact "
    "draws of the lower halves given these.",
    "rbm": "States of Gibbs chains of a restricted Boltzmann machine.",
    "vq-vae-prior": "Test digits; the same from 49 tokens each; samples of the prior, by label.",
    "neural-spline-flow": "Five densities, and below each what one recipe of the spline flow "
    "learns from 20,000 of its points.",
    "tables": "A table in pairs of columns: rows that were held out, and samples of a spline flow.",
    "glow": "Samples of a Glow at temperatures 0.5, 0.7, 0.9 and 1; last, test digits.",
    "srflow": "From above: digits of 7x7 pixels, bicubic interpolation, SRFlow at temperature 0, "
    "three draws at 0.8, the true digits.",
    "c-flow": "Sprites, on the left, as they would be for the segmentation maps above; their own "
    "maps give them back.",
    "agents": "Six moments of an episode: PPO balances a pole and swings up two links, SAC swings "
    "up a pendulum, DQN leaves a valley.",
    "value-map": "What SARSA and Q-learning have learned of the cliff, and the exact values of the "
    "slippery lake.",
    "agents-learning": "Returns of greedy episodes over environment steps: interquartile mean of "
    "three seeds, with its bootstrap interval.",
    "agent-report": "The upper part of the report of an agent.",
    "constrained": "The KL of a constrained VAE, its budget, and the multiplier that enforces it.",
}
"""Pictures of ``scripts/build_docs_pictures.py`` and what they show."""


def figures() -> dict[str, str]:
    """A figure and its caption, for each picture; nothing where it was not drawn."""
    static = ROOT / "docs" / "_static"
    known = static / "pictures.json"
    record = json.loads(known.read_text()) if known.is_file() else {}
    pages = {}
    for name, text in FIGURES.items():
        runs = record.get(name, [])
        made = "\n".join(f"`{run['command']}` ({run['steps']:,} steps)  " for run in runs)
        caption = f"Made by `python scripts/build_docs_pictures.py {name}` from:\n\n{made}\n"
        pages[f"caption-{name}"] = caption if runs else ""
        figure = f"```{{figure}} /_static/{name}.png\n:alt: {text}\n\n{text}\n```\n\n{caption}"
        pages[f"figure-{name}"] = figure if runs else ""
    return pages


def write_all(out: Path = OUT) -> None:
    """Write every generated file."""
    from phosphene.catalog import systems

    out.mkdir(parents=True, exist_ok=True)
    pages = {
        "systems": systems_table(),
        "events": events_table(),
        "agents": agents_table(),
        "environments": environments_table(),
        "data": data_table(),
        "metrics": metrics_table(),
        "adapters": adapters_table(),
        "recipes": recipes_list(),
        "proofs": proofs_table(),
        "commands": commands(),
        "extras": extras_table(),
    }
    pages |= figures()
    trained = [s.name for s in systems() if s.kind in ("model", "agent")]
    pages |= {f"recipes-{name}": recipes_list(name) for name in trained}
    for name, text in pages.items():
        path = out / f"{name}.md"
        # Sphinx rebuilds what changed: an equal file keeps its date.
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def readme_with_table(text: str) -> str:
    """The README with its table of systems replaced by the catalogue's."""
    begin, end = (text.index(mark) for mark in MARKS)
    return text[: begin + len(MARKS[0])] + "\n" + systems_table() + text[end:]


if __name__ == "__main__":
    if sys.argv[1:] == ["--readme"]:
        readme = ROOT / "README.md"
        readme.write_text(readme_with_table(readme.read_text()))
    else:
        write_all()

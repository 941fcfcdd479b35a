"""Tables and help texts of the documentation, written from the code so that they cannot go stale.

``conf.py`` calls :func:`write_all` before every build; pages include the files.
"""

import io
import json
import os
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "_build" / "generated"


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


def systems_tree() -> str:
    """Every generative model at its branch."""
    from phosphene.catalog import systems
    from phosphene.catalog.taxonomy import tree

    standing = [(row.name, row.leaf) for row in systems() if row.leaf is not None]
    return "```text\n" + "\n".join(tree(standing, width=84)) + "\n```\n"


def learners_table(kind: Any) -> str:
    """What the systems of one kind of subject take, and their classes."""
    from phosphene.catalog import systems

    rows = [s for s in systems() if s.kind == kind.trains]
    told = any(s.context != "none" for s in rows)
    return table(
        ("system", "takes", *(["context"] if told else []), "class"),
        [
            (
                f"`{s.name}`",
                ", ".join(s.events),
                *([s.context] if told else []),
                f"{{py:class}}`~{s.target.replace(':', '.')}`",
            )
            for s in rows
        ],
    )


def kind_pages() -> dict[str, str]:
    """Of each kind of subject: what learns from it, and its known addresses."""
    from phosphene.catalog import kinds

    pages = {f"learners-{kind.name}": learners_table(kind) for kind in kinds()}
    known = {kind.name: kind.addresses() for kind in kinds()}
    return pages | {f"addresses-{name}": table(*found) for name, found in known.items() if found}


def api_pages() -> dict[str, str]:
    """Of each family's package: a section for every module that holds systems, in their order."""
    from phosphene.catalog import families, systems

    rooms = families()
    found: dict[str, dict[str, str]] = {room: {} for room in rooms}
    for row in systems():
        if row.kind == "proof":
            continue
        module = row.target.partition(":")[0]
        room = next((r for r in rooms if module.startswith(f"{r}.")), _room_of(row.family))
        if room is not None:
            found[room].setdefault(module, re.split(r"[:,(]", row.title)[0].strip())
    section = "## {title}\n\n```{{eval-rst}}\n.. automodule:: {module}\n```\n"
    return {
        f"api-{room.rpartition('.')[2]}": "\n".join(
            section.format(title=title, module=module) for module, title in modules.items()
        )
        for room, modules in found.items()
    }


def _room_of(family: str) -> str | None:
    """The first package whose rows are of a family; None for a family of another distribution."""
    from importlib import import_module

    from phosphene.catalog import families

    rows = {room: import_module(f"{room}.systems").SYSTEMS for room in families()}
    return next((room for room, own in rows.items() if own[0].family == family), None)


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
    from phosphene.catalog import find, kinds

    kind = next(k for k in kinds() if k.trains == find(recipe.system).kind)
    which = "" if recipe.name == "default" else f" --recipe {recipe.name}"
    said = recipe.on.replace("*", kind.option.upper()) or "TABLE"
    command = f"phosphene train {recipe.system} --{kind.option} {said}{which}"
    where = f"`{recipe.on}`" if recipe.on else f"data like `{recipe.event}`"
    where = where if recipe.on != "*" else "whatever no other recipe names"
    facts = [f"Recipe `{recipe.name}` for {where}, {recipe.budget}."]
    if recipe.reaches:
        facts.append(f"Must reach {_reaches(recipe)} {kind.held_out}.")
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
    from phosphene.proofs import names

    return table(("proof", "command"), [(f"`{n}`", f"`phosphene prove {n}`") for n in names()])


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


def figures() -> dict[str, str]:
    """A figure and its caption, for each picture; nothing where it was not drawn."""
    captions = json.loads((ROOT / "docs" / "figures.json").read_text())
    static = ROOT / "docs" / "_static"
    known = static / "pictures.json"
    record = json.loads(known.read_text()) if known.is_file() else {}
    pages = {}
    for name, text in captions.items():
        runs = record.get(name, [])
        made = "\n".join(f"`{run['command']}` ({run['steps']:,} steps)  " for run in runs)
        caption = f"Made by `python scripts/build_docs_pictures.py {name}` from:\n\n{made}\n"
        pages[f"caption-{name}"] = caption if runs else ""
        figure = f"```{{figure}} /_static/{name}.png\n:alt: {text}\n\n{text}\n```\n\n{caption}"
        pages[f"figure-{name}"] = figure if runs else ""
    return pages


def write_all(out: Path = OUT) -> None:
    """Write every generated file."""
    from phosphene.catalog import kinds, systems

    out.mkdir(parents=True, exist_ok=True)
    pages = {
        "systems": systems_table(),
        "systems-tree": systems_tree(),
        "metrics": metrics_table(),
        "adapters": adapters_table(),
        "recipes": recipes_list(),
        "proofs": proofs_table(),
        "commands": commands(),
        "extras": extras_table(),
    }
    pages |= figures() | kind_pages() | api_pages()
    learning = [kind.trains for kind in kinds()]
    pages |= {f"recipes-{s.name}": recipes_list(s.name) for s in systems() if s.kind in learning}
    for name, text in pages.items():
        path = out / f"{name}.md"
        # Sphinx rebuilds what changed: an equal file keeps its date.
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    write_all()

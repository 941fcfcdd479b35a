"""``phosphene learn``: the learning machinery shown at work."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.kinds import extended
from phosphene.cli.output import print_json, print_table, screen
from phosphene.cli.parsing import parse
from phosphene.cli.text import written
from phosphene.core.errors import ConfigError
from phosphene.core.ranges import SEED
from phosphene.core.settings import argument_help

if TYPE_CHECKING:
    from phosphene.core.lesson import Lesson


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Run a demonstration; its figure and its numbers are written into a folder.

    Args:
        topic: Which one; without a name, they are listed. With a topic named, the help lists its
            own settings.
        seed: Seed of its random numbers.
        out: The folder of figure.png and numbers.json; by default lessons/TOPIC.
        json: Print the numbers as JSON.
    """

    topic: Positional[Annotated[str, arg(metavar="TOPIC", help_behavior_hint="")]] = ""
    seed: Annotated[int, SEED] = 0
    out: Annotated[str | None, arg(metavar="FOLDER", help_behavior_hint="")] = None
    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """List the lessons, or run one."""
    from phosphene.api.learn import default_folder, learn, lessons

    first = parse(Arguments, [a for a in argv if a not in ("-h", "--help")], _PROG, strict=False)
    if first.topic in ("", "[]"):  # the latter: an unknown option came before the name
        arguments = parse(Arguments, argv, _PROG)
        if arguments.json:
            print_json(lessons())
        else:
            print_table(("topic", "what it shows"), list(lessons().items()))
        return 0
    own = _own_options(first.topic)
    arguments = parse(extended(Arguments, own), argv, f"{_PROG} {first.topic}")
    folder = _folder(arguments.out or default_folder(first.topic))
    given = {name: getattr(arguments, name) for name in own}
    lesson = learn(arguments.topic, seed=arguments.seed, **given)
    files = _write(folder, arguments.topic, arguments.seed, given, lesson)
    if arguments.json:
        print_json(dict(lesson.numbers))
    else:
        _show(lesson, files)
    return 0


_PROG = "phosphene learn"


def _own_options(topic: str) -> dict[str, Any]:
    """The lesson's settings as fields of a dataclass, with their help."""
    from phosphene.api.learn import help_of_options, options_of

    helps = argument_help(help_of_options(topic))
    found = {}
    for name, p in options_of(topic).items():
        noted = get_origin(p.annotation) is Annotated
        kind = get_args(p.annotation)[0] if noted else p.annotation
        notes = getattr(p.annotation, "__metadata__", ())
        kind = FlagCreatePairsOff[bool] if kind is bool else kind
        note = arg(help=helps.get(name, "").replace("``", ""))
        annotation: Any = Annotated.__class_getitem__((kind, note, *notes))  # type: ignore[attr-defined]
        found[name] = (annotation, dataclasses.field(default=p.default))
    return found


def _folder(out: str | Path) -> Path:
    from phosphene.core.paths import expanded

    folder = expanded(out)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{str(folder)!r} is a file; --out takes a folder")
    return folder


def _write(
    folder: Path, topic: str, seed: int, given: Mapping[str, Any], lesson: "Lesson"
) -> list[Path]:
    """The figure and the numbers; a crash leaves the old ones or the new ones."""
    from phosphene.evaluate.lesson_figure import lesson_figure
    from phosphene.evaluate.plots import png
    from phosphene.train.files import write_atomically

    told = {"lesson": topic, "seed": seed, "options": dict(given), "numbers": dict(lesson.numbers)}
    contents: dict[str, str | bytes] = {
        "numbers.json": json.dumps(told, indent=2, allow_nan=False) + "\n"
    }
    if lesson.panels:
        contents["figure.png"] = png(lesson_figure(lesson))
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def _show(lesson: "Lesson", files: Sequence[Path]) -> None:
    out = screen()
    out.print()
    out.print(written(lesson.title), style="bold")
    out.print(written(lesson.text))
    rows = [
        (name, f"{value:.6g}" if isinstance(value, float) else str(value))
        for name, value in lesson.numbers.items()
    ]
    print_table(("what", "value"), rows, right=("value",))
    for path in files:
        out.print(written(str(path)))

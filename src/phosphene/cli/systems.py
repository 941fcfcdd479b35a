"""``phosphene systems``: the catalogue. It imports no torch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, arg

from phosphene.cli.output import print_json, print_table, screen
from phosphene.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """List every system that can be trained, solved or proved.

    Args:
        family: Only the systems of this family.
        json: Print the rows as JSON.
    """

    family: Annotated[str | None, arg(metavar="FAMILY", help_behavior_hint="")] = None
    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """Print the catalogue."""
    from phosphene.catalog import systems

    arguments = parse(Arguments, argv, "phosphene systems")
    rows = systems(arguments.family)
    if arguments.json:
        print_json([asdict(row) for row in rows])
        return 0
    columns = {
        "system": [row.name for row in rows],
        "family": [row.family for row in rows],
        "kind": [row.kind for row in rows],
        "what it is": [row.title for row in rows],
        "models": [", ".join(row.events) for row in rows],
        "paper": [row.paper for row in rows],
    }
    if screen().width < 130:  # --json has them
        del columns["paper"]
    if screen().width < 100:
        del columns["models"]
    print_table(tuple(columns), list(zip(*columns.values(), strict=True)))
    return 0

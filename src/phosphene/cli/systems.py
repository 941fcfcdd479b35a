"""``phosphene systems``: the catalogue. It imports no torch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, arg

from phosphene.cli.output import print_json, print_table
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
    print_table(
        ("system", "family", "kind", "what it is", "models", "paper"),
        [
            (row.name, row.family, row.kind, row.title, ", ".join(row.events), row.paper)
            for row in rows
        ],
        optional=("family", "models", "paper"),
    )
    return 0

"""``phosphene systems``: the catalogue. It imports no torch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, arg

from phosphene.cli.output import print_json, print_table, screen
from phosphene.cli.parsing import parse
from phosphene.cli.text import written

if TYPE_CHECKING:
    from phosphene.catalog import System


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """List every system that can be trained, solved or proved.

    Args:
        family: Only the systems of this family.
        tree: Draw the generative models as a tree, by their density and how they are sampled.
        json: Print the rows, or the branches of the tree, as JSON.
    """

    family: Annotated[str | None, arg(metavar="FAMILY", help_behavior_hint="")] = None
    tree: FlagCreatePairsOff[bool] = False
    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """Print the catalogue."""
    from phosphene.catalog import systems

    arguments = parse(Arguments, argv, "phosphene systems")
    rows = systems(arguments.family)
    if arguments.tree:
        _tree(rows, arguments)
        return 0
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


def _tree(rows: Sequence["System"], arguments: Arguments) -> None:
    """Each generative model at its branch; what stands in no tree is counted."""
    from phosphene.catalog.taxonomy import BRANCHES, tree

    standing = [(row.name, row.leaf) for row in rows if row.leaf is not None]
    if arguments.json:
        print_json([
            {
                "branch": branch,
                "path": path,
                "systems": [
                    {"name": name, "sampling": leaf.sampling}
                    for name, leaf in standing
                    if leaf.branch == branch
                ],
            }
            for branch, path in BRANCHES.items()
        ])  # fmt: skip
        return
    out = screen()
    for line in tree(standing, empty=arguments.family is None, width=out.width):
        out.print(written(line), soft_wrap=True)
    apart = len(rows) - len(standing)
    out.print(f"{len(standing)} generative models; of other kinds, and in no tree: {apart}")

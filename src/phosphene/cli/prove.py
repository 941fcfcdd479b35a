"""``phosphene prove``: statements of the theory, checked by running them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.output import print_json, print_table, screen
from phosphene.cli.parsing import parse
from phosphene.cli.text import written
from phosphene.core.ranges import SEED

if TYPE_CHECKING:
    from phosphene.proofs.proof import Proof


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Check a statement by running it; exit with 1 if it does not hold.

    Args:
        name: Which one; nothing lists them.
        all: Check every one.
        seed: Seed of its random numbers.
        json: Print JSON.
    """

    name: Positional[Annotated[str, arg(metavar="NAME", help_behavior_hint="")]] = ""
    all: FlagCreatePairsOff[bool] = False
    seed: Annotated[int, SEED] = 0
    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """List the proofs, or run some."""
    from phosphene.catalog import systems
    from phosphene.proofs import PROOFS, run

    arguments = parse(Arguments, argv, "phosphene prove")
    if not arguments.name and not arguments.all:
        if arguments.json:
            print_json(sorted(PROOFS))
        else:
            titles = {row.name: row.title for row in systems()}
            print_table(("proof", "what it states"), [(n, titles.get(n, "")) for n in PROOFS])
        return 0
    proofs = [
        run(name, seed=arguments.seed)
        for name in (list(PROOFS) if arguments.all else [arguments.name])
    ]
    if arguments.json:
        described = [proof.describe() for proof in proofs]
        print_json(described if arguments.all else described[0])
    else:
        for proof in proofs:
            _show(proof)
    return 0 if all(proof.holds for proof in proofs) else 1


def _show(proof: "Proof") -> None:
    out = screen()
    out.print()
    out.print(written(proof.title), style="bold")
    out.print(written(proof.statement))
    print_table(
        ("what is compared", "predicted", "found", "tolerance", ""),
        [
            (
                row["quantity"],
                f"{row['relation']} {row['expected']:.6g}",
                f"{row['found']:.6g}",
                f"{row['tolerance']:.2g}" if row["tolerance"] else "",
                "holds" if row["holds"] else "DOES NOT HOLD",
            )
            for row in proof.rows
        ],
        right=("predicted", "found", "tolerance"),
    )

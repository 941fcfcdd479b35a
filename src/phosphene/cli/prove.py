"""``phosphene prove``: statements of the theory, checked by running them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.output import note, print_json, print_table, screen
from phosphene.cli.parsing import parse
from phosphene.cli.text import written
from phosphene.core.errors import ConfigError
from phosphene.core.ranges import SEED

if TYPE_CHECKING:
    from phosphene.proofs.proof import Proof


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Check a statement by running it; exit with 1 if it does not hold.

    Args:
        name: Which one; without a name, they are listed.
        all: Check every one, and show each as it ends; it takes a few minutes.
        family: Of all, or of the list, only those of a family.
        broken: Put a plausible wrong formula in the place of the right one, print it, and run the
            same check: it must fail.
        seed: Seed of its random numbers.
        json: Print JSON; with --all, progress goes to stderr.
    """

    name: Positional[Annotated[str, arg(metavar="NAME", help_behavior_hint="")]] = ""
    all: FlagCreatePairsOff[bool] = False
    family: Annotated[str | None, arg(metavar="FAMILY", help_behavior_hint="")] = None
    broken: Annotated[FlagCreatePairsOff[bool], arg(name="break")] = False
    seed: Annotated[int, SEED] = 0
    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """List the proofs, or run some."""
    from phosphene import proofs

    arguments = parse(Arguments, argv, "phosphene prove")
    if arguments.name and arguments.all:
        raise ConfigError(f"--all runs every proof: leave {arguments.name!r} out, or --all")
    if arguments.name and arguments.family:
        raise ConfigError(
            f"{arguments.name!r} is one proof: --family is for the list, or for --all"
        )
    of_family = proofs.names(arguments.family)
    if not arguments.name and not arguments.all:
        if arguments.broken:
            raise ConfigError("--break needs the name of a proof, or --all")
        if arguments.json:
            print_json(sorted(of_family))
        else:
            print_table(("proof", "what it states"), list(of_family.items()))
        return 0
    wanted = list(of_family) if arguments.all else [arguments.name]
    found, described = [], []
    for k, name in enumerate(wanted, 1):
        began = time.process_time()
        proof = proofs.run(name, seed=arguments.seed, broken=arguments.broken)
        spent = time.process_time() - began
        wrong = proofs.module_of(name).WRONG.formula if arguments.broken else None
        found.append(proof.holds)
        described.append(proof.describe() | {"cpu_seconds": spent, "broken": wrong})
        if not arguments.json:
            _show(proof, wrong)
        elif arguments.all:
            note(f"{k} of {len(wanted)}: {name}, {spent:.1f} CPU seconds")
    if arguments.json:
        print_json(described if arguments.all else described[0])
    elif arguments.all:
        _sum_up(wanted, found, described, arguments.broken)
    return 0 if all(found) else 1


def _sum_up(
    wanted: Sequence[str], found: Sequence[bool], described: Sequence[Any], broken: bool
) -> None:
    """How many held, in how much time, and which did not."""
    total = sum(row["cpu_seconds"] for row in described)
    unlike = [name for name, holds in zip(wanted, found, strict=True) if holds is broken]
    done = "noticed their wrong formulas" if broken else "held"
    text = f"{len(wanted) - len(unlike)} of {len(wanted)} {done}, in {total:.0f} CPU seconds"
    screen().print(text + (f"; not: {', '.join(unlike)}" if unlike else ""), style="bold")


def _show(proof: "Proof", wrong: str | None) -> None:
    out = screen()
    out.print()
    out.print(written(proof.title), style="bold")
    out.print(written(proof.statement))
    if wrong is not None:
        out.print(written(f"Broken on purpose: {wrong}"), style="bold")
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
    if wrong is not None:
        failed = sum(not row["holds"] for row in proof.rows)
        said = "the wrong formula is noticed" if failed else "the wrong formula is NOT noticed"
        out.print(f"{failed} of {len(proof.rows)} comparisons fail: {said}", style="bold")

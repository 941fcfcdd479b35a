"""Statements of the course that are proved by running them: ``phosphene prove NAME``.

A proof is a row of kind ``proof`` in a family's ``systems.py`` and a module here, with a function
``prove(seed=0, ...) -> Proof`` and ``WRONG``, a plausible wrong formula. What ``prove`` takes
beside the seed is the formula that is checked, with the library's own as its default: ``WRONG``
puts another in its place, and the same check, run to its end, must then fail. A proof takes under
20 seconds on one core (the adding problem a minute), trains, where it must, in a plain loop in
memory, and leaves nothing behind.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phosphene.proofs.proof import Proof

__all__ = ["module_of", "names", "run"]


@cache
def names(family: str | None = None) -> dict[str, str]:
    """The proofs of the catalogue: the name on the command line, and what it states, briefly.

    Args:
        family: Only those of a family.

    Raises:
        UnknownNameError: There is no such family.
    """
    from phosphene.catalog import systems

    rows = systems(family, kind="proof")
    return {row.name: row.title.removeprefix("Proof: ") for row in rows}


def module_of(name: str) -> Any:
    """The module of a proof, with its ``prove`` and its ``WRONG``.

    Raises:
        UnknownNameError: There is no such proof; the nearest name is offered.
    """
    from phosphene.catalog import find
    from phosphene.core.errors import UnknownNameError

    if name not in names():
        raise UnknownNameError("proof", name, names())
    return import_module(find(name).target.partition(":")[0])


def run(name: str, seed: int = 0, *, broken: bool = False) -> "Proof":
    """Run the proof of that name.

    Args:
        name: Of the proof.
        seed: Of its random numbers.
        broken: Put the proof's wrong formula in the place of the right one: a check that is worth
            anything then fails.

    Raises:
        UnknownNameError: There is no such proof; the nearest name is offered.
    """
    module = module_of(name)
    proof: Proof = module.prove(seed=seed, **(module.WRONG.put if broken else {}))
    return proof

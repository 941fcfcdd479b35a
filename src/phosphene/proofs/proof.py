"""What a proof reports: a statement, and rows that compare what it predicts with what is found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

__all__ = ["Proof", "Row", "Wrong", "above", "below", "equal"]

Row = dict[str, Any]
"""quantity, relation (``=``, ``<`` or ``>``), expected, found, tolerance, holds."""


@dataclass(frozen=True)
class Proof:
    """A statement of the course, checked by running it.

    Args:
        name: What the user types after ``phosphene prove``.
        title: A few words.
        statement: The formula, and the sentence around it.
        rows: The comparisons (:data:`Row`).
        figure: Arrays worth drawing, by name; curves over ``figure["x"]`` where it is present.

    Example:
        >>> proof = Proof("sum", "Sum", "1 + 1 = 2", [equal("1 + 1", 1 + 1, 2, 0)])
        >>> proof.holds
        True
        >>> print(proof)
        1 + 1 = 2
          holds  1 + 1: 2, = 2
    """

    name: str
    title: str
    statement: str
    rows: list[Row]
    figure: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every row holds."""
        return all(row["holds"] for row in self.rows)

    def __str__(self) -> str:
        """The statement and the comparisons, a line each."""
        return "\n".join([self.statement, *(_line(row) for row in self.rows)])

    def describe(self) -> dict[str, Any]:
        """The proof as JSON can write it; the figure is left out."""
        return {
            "name": self.name,
            "title": self.title,
            "statement": self.statement,
            "holds": self.holds,
            "rows": [dict(row) for row in self.rows],
        }


def _line(row: Row) -> str:
    said = "  holds  " if row["holds"] else "  FAILS  "
    margin = f" (within {row['tolerance']:.2g})" if row["tolerance"] else ""
    return (
        f"{said}{row['quantity']}: {row['found']:.6g}, {row['relation']} "
        f"{row['expected']:.6g}{margin}"
    )


@dataclass(frozen=True)
class Wrong:
    """A plausible mistake, put in the place of the formula that a proof checks.

    Args:
        formula: The wrong formula, as one would write it down, and what is wrong with it. Where the
            course notes have the mistake, it is theirs.
        put: Keyword arguments of ``prove`` that put it in place.
    """

    formula: str
    put: Mapping[str, Any]


def equal(quantity: str, found: float | Tensor, expected: float | Tensor, tolerance: float) -> Row:
    """A row that holds where |found - expected| <= tolerance."""
    found, expected, tolerance = float(found), float(expected), float(tolerance)
    return _row(quantity, "=", expected, found, tolerance, abs(found - expected) <= tolerance)


def below(
    quantity: str, found: float | Tensor, bound: float | Tensor, tolerance: float = 0.0
) -> Row:
    """A row that holds where found < bound + tolerance."""
    found, bound = float(found), float(bound)
    return _row(quantity, "<", bound, found, tolerance, found < bound + tolerance)


def above(quantity: str, found: float | Tensor, bound: float, tolerance: float = 0.0) -> Row:
    """A row that holds where found > bound - tolerance."""
    found, bound = float(found), float(bound)
    return _row(quantity, ">", bound, found, tolerance, found > bound - tolerance)


def _row(
    quantity: str, relation: str, expected: float, found: float, tolerance: float, holds: bool
) -> Row:
    return {
        "quantity": quantity,
        "relation": relation,
        "expected": expected,
        "found": found,
        "tolerance": tolerance,
        "holds": bool(holds),
    }

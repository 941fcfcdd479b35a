"""What a native kernel takes, said once: names, types, shapes and ranges.

From a :class:`Kernel` the gate makes the function that calls the library, with the types of the C
arguments and every check (:mod:`phosphene.kernels.gate`); the tests make their random calls from
it. Sizes are symbols shared over arguments: ``Array("w", ("D", "H"))`` gives D and H their values,
``Array("v", ("D", "H"))`` must then have the same. A dimension may be a number or an expression of
symbols, such as ``"2*C"``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "Argument",
    "Array",
    "Bound",
    "Choice",
    "Derived",
    "Flag",
    "Kernel",
    "Many",
    "Out",
    "Range",
    "Real",
    "Rule",
    "Size",
    "Type",
    "Whole",
]

Dim = str | int
Shape = tuple[Dim, ...]


@dataclass(frozen=True)
class Array:
    """A tensor.

    Args:
        name: Of the argument.
        shape: One symbol, number or expression a dimension.
        dtype: ``real`` for the floating type that all such arrays share, ``number`` for any type
            that holds numbers, ``bool``, ``uint8``, ``int32``, ``int64``, ``bfloat16``,
            ``float32``, ``float64``, or the name of a :class:`Type`.
        optional: May be None.
        rows: The other shape that it may have, where each row has its own values.
        shape_with: An optional argument, and the shape where that one is given.
        written: Changed in place: it must be contiguous, and share no memory with another.
        flat: Only the number of its elements counts.
        strided: Rows may lie apart in memory; what a row holds is contiguous.
    """

    name: str
    shape: Shape
    dtype: str = "real"
    optional: bool = False
    rows: Shape | None = None
    shape_with: tuple[str, Shape] | None = None
    written: bool = False
    flat: bool = False
    strided: bool = False


@dataclass(frozen=True)
class Many:
    """Tensors of one type, in order; the shape's symbols are of each item.

    Args:
        name: Of the argument.
        shape: Of one item.
        count: The symbol that counts them.
        chain: A symbol and where it begins: item i has the symbol's next value as its first
            dimension, and the one before as its second, written ``"H'"``. The values are a list of
            that name, and the last is ``H_last``.
        rows_as: The array that decides whether all items have a first dimension ``n`` more.
        optional: Items may be None.
        out: The items are made by the gate.
    """

    name: str
    shape: Shape
    count: str
    chain: tuple[str, str] | None = None
    rows_as: str | None = None
    optional: bool = False
    out: bool = False


@dataclass(frozen=True)
class Out:
    """A tensor that the gate makes and the kernel fills.

    Args:
        name: What it is called.
        shape: As of :class:`Array`.
        dtype: As of :class:`Array`.
        zeros: It is zero before.
        begins: An optional array with its first values.
        when: A flag: None is passed where that is not set.
    """

    name: str
    shape: Shape
    dtype: str = "real"
    zeros: bool = False
    begins: str | None = None
    when: str | None = None


@dataclass(frozen=True)
class Size:
    """A symbol whose value is an argument; ``each`` where it has one for each item of a Many."""

    name: str
    each: bool = False


@dataclass(frozen=True)
class Type:
    """A floating or other type that is an argument; ``real`` fixes the type of all real arrays."""

    name: str


@dataclass(frozen=True)
class Derived:
    """A symbol computed from what came before it."""

    name: str
    expression: str


@dataclass(frozen=True)
class Whole:
    """An integer from ``low`` to ``high``, both included."""

    name: str
    low: int
    high: int


@dataclass(frozen=True)
class Real:
    """A number from ``low`` to ``high``, both included; never not-a-number."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Flag:
    """A truth value."""

    name: str


@dataclass(frozen=True)
class Choice:
    """A name, passed as its number."""

    name: str
    codes: Mapping[str, int]


@dataclass(frozen=True)
class Bound:
    """Memory that was checked when it was bound; whoever passes it keeps it alive."""

    name: str


@dataclass(frozen=True)
class Range:
    """Values of an array lie from ``low`` to below ``high``.

    Args:
        name: The array.
        low: Expression of the least.
        high: Expression of what all are below.
        part: Expression of the values that are meant, where not all are.
        when: Expression of when it must hold.
        inside: The library looks itself, as it goes, and refuses with 1; only then, and before the
            reference, is it looked for here.
        said: What these values are called, where they are but a part.
    """

    name: str
    low: str
    high: str
    part: str = ""
    when: str = ""
    inside: bool = False
    said: str = ""


@dataclass(frozen=True)
class Rule:
    """A condition on arguments and sizes.

    Args:
        holds: Expression.
        sentence: What is wrong where it does not hold; a format string of arguments and sizes.
        inside: As of :class:`Range`.
    """

    holds: str
    sentence: str
    inside: bool = False


Argument = Array | Many | Out | Size | Type | Derived | Whole | Real | Flag | Choice | Bound


@dataclass(frozen=True)
class Kernel:
    """One native kernel.

    Args:
        name: The symbol is ``ph_<name>_f32`` or ``_f64``.
        arguments: In the order of the gate's function, and of the checks.
        passes: Names of what the library gets, in the order of its arguments. Beside arguments and
            symbols these are ``threads``, ``x.rows`` (the distance between the rows of x, 0 where
            all share one) and ``weights.sizes`` (the values of a chain).
        rules: What else must hold.
        empty: Symbols that may be 0; all others are at least 1.
        mixed: Whether real arrays may differ in type; the reference then computes.
        suffix: ``f64`` where there is one symbol only.
        returns: ``outputs``, ``status`` for the library's own answer, or ``structure`` where the
            library reads ``passes`` from memory: the gate's function then gives that memory.
    """

    name: str
    arguments: tuple[Argument, ...]
    passes: str = ""
    rules: tuple[Range | Rule, ...] = ()
    empty: tuple[str, ...] = ()
    mixed: bool = False
    suffix: str = ""
    returns: str = "outputs"

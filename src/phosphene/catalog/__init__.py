"""The table of all systems. It imports no torch, so that listing it is instant.

A family is a folder of a room of models, with its rows in ``systems.py`` and its recipes beside
them; a folder is found because it is there. Outside packages add rows by an entry point of the
group ``phosphene.systems`` that names a list of :class:`System`.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from phosphene.catalog.kind import Kind, kinds
from phosphene.catalog.system import RUN_BY, System
from phosphene.catalog.taxonomy import Leaf

__all__ = [
    "RUN_BY",
    "Kind",
    "Leaf",
    "System",
    "able",
    "families",
    "find",
    "home",
    "kinds",
    "systems",
]


@cache
def families() -> tuple[str, ...]:
    """The folders of this package that hold rows, as dotted names, in their order.

    Example:
        >>> families()[0]
        'phosphene.generative.autoencoder'
    """
    root = Path(__file__).parent.parent
    names = [
        f"phosphene.{file.parent.relative_to(root).as_posix().replace('/', '.')}"
        for file in root.glob("*/*/systems.py")
    ]
    return tuple(sorted(names, key=lambda name: (import_module(f"{name}.systems").PLACE, name)))


@cache
def _table() -> dict[str, System]:
    table: dict[str, System] = {}
    own = [row for name in families() for row in import_module(f"{name}.systems").SYSTEMS]
    outside = [row for point in entry_points(group="phosphene.systems") for row in point.load()]
    for row in (*own, *outside):
        assert row.name not in table, f"two systems are called {row.name!r}"
        table[row.name] = row
    return table


def home(name: str) -> str | None:
    """The package whose rows hold a system; None for one of another distribution, or unknown.

    Example:
        >>> home("maf")
        'phosphene.generative.flow'
    """
    return _homes().get(name)


@cache
def _homes() -> dict[str, str]:
    return {
        row.name: family
        for family in families()
        for row in import_module(f"{family}.systems").SYSTEMS
    }


def systems(family: str | None = None, kind: str | None = None) -> list[System]:
    """The rows of the catalogue, of one family and one kind or of all.

    Example:
        >>> [row.name for row in systems("autoencoder")][:2]
        ['autoencoder', 'linear-autoencoder']
    """
    from phosphene.core.errors import UnknownNameError

    rows = list(_table().values())
    families = {row.family for row in rows}
    if family is not None and family not in families:
        raise UnknownNameError("family", family, families)
    return [row for row in rows if family in (None, row.family) and kind in (None, row.kind)]


def able(*capabilities: type) -> list[str]:
    """The systems whose models may have some capabilities, all of them; it imports them all.

    Example:
        >>> from phosphene.core.protocols import Translates
        >>> able(Translates)
        ['semi-supervised-vae', 'stacked-semi-supervised-vae']
    """
    from phosphene.core.protocols import may_be

    learning = {kind.trains for kind in kinds()}
    rows = [row for row in systems() if row.kind in learning]
    return [row.name for row in rows if may_be(row.load(), *capabilities)]


def find(name: str) -> System:
    """The row of that name; UnknownNameError with the nearest name otherwise."""
    from phosphene.core.errors import UnknownNameError

    if name not in _table():
        raise UnknownNameError("system", name, _table())
    return _table()[name]

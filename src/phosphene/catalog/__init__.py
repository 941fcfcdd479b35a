"""The table of all systems. It imports no torch, so that listing it is instant.

A row is enough to find, build, test and document a system. Outside packages add rows by an entry
point of the group ``phosphene.systems`` that names a list of :class:`System`.
"""

from functools import cache
from importlib.metadata import entry_points

from phosphene.catalog import autoencoder, autoregressive, decision, energy, flow
from phosphene.catalog.system import System

__all__ = ["System", "able", "find", "systems"]

_FAMILIES = (autoencoder, autoregressive, energy, flow, decision)


@cache
def _table() -> dict[str, System]:
    table: dict[str, System] = {}
    own = [row for family in _FAMILIES for row in family.SYSTEMS]
    outside = [row for point in entry_points(group="phosphene.systems") for row in point.load()]
    for row in (*own, *outside):
        assert row.name not in table, f"two systems are called {row.name!r}"
        table[row.name] = row
    return table


def systems(family: str | None = None) -> list[System]:
    """The rows of the catalogue, of one family or of all.

    Example:
        >>> [row.name for row in systems("autoencoder")][:2]
        ['autoencoder', 'linear-autoencoder']
    """
    from phosphene.core.errors import UnknownNameError

    rows = list(_table().values())
    families = {row.family for row in rows}
    if family is not None and family not in families:
        raise UnknownNameError("family", family, families)
    return [row for row in rows if family is None or row.family == family]


def able(*methods: str) -> list[str]:
    """The systems whose models have all of some methods; it imports them all.

    Example:
        >>> able("translate")
        ['semi-supervised-vae', 'stacked-semi-supervised-vae']
    """
    rows = [row for row in systems() if row.kind in ("model", "agent")]
    return [row.name for row in rows if all(hasattr(row.load(), m) for m in methods)]


def find(name: str) -> System:
    """The row of that name; UnknownNameError with the nearest name otherwise."""
    from phosphene.core.errors import UnknownNameError

    if name not in _table():
        raise UnknownNameError("system", name, _table())
    return _table()[name]

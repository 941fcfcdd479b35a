"""Names of the arrays in a file: ``x``, ``y``, ``vector``, ``image``, of all or of a split."""

import re
from collections.abc import Iterable

from phosphene.core.errors import DataError
from phosphene.data.splits import ALIASES

__all__ = ["roles"]

_ROLES = ("x", "y", "vector", "image")


def roles(source: str, keys: Iterable[str]) -> dict[str, dict[str, str]]:
    """Keys by split, or by "" where they hold all examples, and then by what they hold.

    Small letters and capitals are the same, and the split may stand on either side.

    Args:
        source: What the user typed, for the error.
        keys: Of all arrays; those of other names are left out.

    Raises:
        DataError: Two keys are the same array of the same split.

    Example:
        >>> roles("a.npz", ["X_Train", "y_Train", "test_x", "weights"])
        {'train': {'x': 'X_Train', 'y': 'y_Train'}, 'test': {'x': 'test_x'}}
    """
    found: dict[str, dict[str, str]] = {}
    for key in keys:
        words = re.split(r"[^a-z0-9]+", key.lower())
        if len(words) == 1:
            role, split = words[0], ""
            if role in ALIASES:  # an array called train holds examples
                role, split = "x", str(ALIASES[role])
        elif len(words) == 2:
            role, said = words if words[0] in _ROLES else reversed(words)
            split = str(ALIASES.get(said, "?"))
        else:
            continue
        if role not in _ROLES or split == "?":
            continue
        other = found.setdefault(split, {}).setdefault(role, key)
        if other != key:
            what = f"{role} of the {split} part" if split else role
            raise DataError(f"{source!r} holds {other!r} and {key!r}, which would both be {what}")
    whole = found.get("")
    if whole is not None and "x" in whole:
        return {"": whole}
    return {split: own for split, own in found.items() if split and "x" in own}

"""Paths as users type them."""

import os
from pathlib import Path

__all__ = ["anchored", "expanded"]


def expanded(path: str | Path) -> Path:
    """A path whose ``~`` is the home folder; a user that is not known is left as it is typed.

    A shell does this only where ``~`` begins a word, so that ``--out=~/a.png`` reaches us as it is.

    Example:
        >>> expanded("~/a.png").is_absolute(), str(expanded("~nobody-of-this-name/a.png"))
        (True, '~nobody-of-this-name/a.png')
    """
    return Path(os.path.expanduser(path))


def anchored(path: str, folder: str | Path) -> str:
    """A path as it is seen from elsewhere: a relative one lies in the folder.

    Example:
        >>> anchored("photos", "/home/a"), anchored("/data/photos", "/home/a")
        ('/home/a/photos', '/data/photos')
    """
    whole = expanded(path)
    return path if whole.is_absolute() else os.path.join(folder, path)

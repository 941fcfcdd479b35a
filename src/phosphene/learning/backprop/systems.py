"""The rows of backpropagation written out."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 110
"""Where the folder stands among the others."""

SYSTEMS: tuple[System, ...] = ()

"""The rows of optimizers."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 130
"""Where the folder stands among the others."""

SYSTEMS: tuple[System, ...] = ()

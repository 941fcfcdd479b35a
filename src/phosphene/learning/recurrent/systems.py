"""The rows of recurrent networks."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 140
"""Where the folder stands among the others."""

SYSTEMS: tuple[System, ...] = ()

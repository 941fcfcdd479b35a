"""The rows of mathematics behind the course."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 150
"""Where the folder stands among the others."""

SYSTEMS: tuple[System, ...] = ()

"""The rows of linear learners."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 100
"""Where the folder stands among the others."""

SYSTEMS: tuple[System, ...] = ()

"""The rows of convolution."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 120
"""Where the folder stands among the others."""

SYSTEMS: tuple[System, ...] = ()

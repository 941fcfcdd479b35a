"""The rows of the energy family."""

from phosphene.catalog.system import System

__all__ = ["SYSTEMS"]

SYSTEMS: tuple[System, ...] = ()

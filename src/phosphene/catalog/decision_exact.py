"""placeholder until written."""

from phosphene.catalog.system import System

SYSTEMS: tuple[System, ...] = ()

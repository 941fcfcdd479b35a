"""Packages that only some adapters need."""

import importlib
from types import ModuleType

from phosphene.core.errors import DataError

__all__ = ["need"]


def need(package: str, extra: str, reader: str) -> ModuleType:
    """Import an optional package.

    Raises:
        DataError: It is not installed; the error says how to install it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise DataError(
            f"{reader} needs the package {package!r}; install it with "
            f"pip install 'phosphene[{extra}]'"
        ) from error

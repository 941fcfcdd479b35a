"""Find a data set by what the user typed: ``name`` or ``adapter:argument?option=value``."""

import importlib
from typing import Any
from urllib.parse import parse_qsl

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.data.dataset import Dataset, Split
from phosphene.data.table import names

__all__ = ["load", "parse"]

_SPLITS: dict[str, Split] = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}


def parse(name: str) -> tuple[str, str, dict[str, str]]:
    """Split what the user typed into name, argument and options.

    Example:
        >>> parse("folder:./photos?size=64&channels=1")
        ('folder', './photos', {'size': '64', 'channels': '1'})
    """
    head, _, query = name.partition("?")
    base, _, argument = head.partition(":")
    return base, argument, dict(parse_qsl(query, keep_blank_values=True))


def load(name: str, split: str = "train") -> Dataset:
    """Load one split of a data set.

    Args:
        name: A name of the table (``phosphene data --list``), or an adapter with its argument and
            options, as ``folder:./photos?size=64``.
        split: ``train``, ``validation`` or ``test``.

    Raises:
        UnknownNameError: There is no such data set, split or option.
        DataError: The data cannot be read, or is not what it says it is.

    Example:
        >>> load("digits", "test").x.shape
        torch.Size([300, 1, 8, 8])
    """
    if split not in _SPLITS:
        raise UnknownNameError("split", split, ("train", "validation", "test"))
    base, argument, options = parse(name)
    rows = {row.name: row for row in names()}
    if base in rows:
        if argument or options:
            extra = name.removeprefix(base)
            raise ConfigError(f"data set {base!r} takes no argument or options, got {extra!r}")
        return _function(rows[base].target)(_SPLITS[split])
    raise UnknownNameError("data set", base, rows)


def _function(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)

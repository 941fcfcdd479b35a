"""Find a data set by what the user typed: ``name`` or ``adapter:argument?option=value``."""

import importlib
import inspect
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from phosphene.core.config import parameters_of
from phosphene.core.errors import ConfigError, DataError, UnknownNameError, brief
from phosphene.core.paths import anchored
from phosphene.data.dataset import Dataset, Split
from phosphene.data.table import adapters, names

__all__ = ["load", "located", "outward", "parse", "with_option"]

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
        split: ``train``, ``validation`` (or ``val``) or ``test``.

    Raises:
        UnknownNameError: There is no such data set, split or option.
        ConfigError: An option has a value that it cannot take.
        DataError: The data cannot be read, or is not what it says it is.

    Example:
        >>> load("digits", "test").x.shape
        torch.Size([300, 1, 8, 8])
    """
    if split not in _SPLITS:
        raise UnknownNameError("split", split, ("train", "validation", "test"))
    base, argument, options = parse(name)
    embedded = {row.name: row for row in names()}
    reading = {row.name: row for row in adapters()}
    if base in embedded:
        if argument or options:
            extra = name.removeprefix(base)
            raise ConfigError(f"data set {base!r} takes no argument or options, got {extra!r}")
        dataset: Dataset = _function(embedded[base].target)(_SPLITS[split])
        return dataset
    if base in reading:
        if not argument:
            raise ConfigError(f"{base!r} needs an argument: {reading[base].example}")
        if reading[base].nested:
            argument, options = name.partition(":")[2], {}
        function = _function(reading[base].target)
        settings = _settings(base, function, options)
        return replace(function(argument, _SPLITS[split], **settings), name=name)
    if Path(name).exists():
        ending = Path(name).suffix.lower().removeprefix(".")
        kind = {"txt": "text", "wav": "wav"}.get(ending, "npz")
        kind = "folder" if Path(name).is_dir() else kind
        raise DataError(f"{name!r} is a path; say what reads it, as in '{kind}:{name}'")
    raise UnknownNameError("data set", base, [*embedded, *reading])


def with_option(name: str, option: str, value: str) -> str:
    """The name with one more option.

    Raises:
        ConfigError: The adapter has no such option, or it is said twice.

    Example:
        >>> with_option("csv:wine.csv?missing=drop", "label", "class")
        'csv:wine.csv?missing=drop&label=class'
    """
    base, _, options = parse(name)
    row = next((row for row in adapters() if row.name == base), None)
    if row is None or option not in parameters_of(_function(row.target)):
        raise ConfigError(f"{name!r} has no option {option!r}: its labels are chosen already")
    if options.get(option, value) != value:
        raise ConfigError(f"{name!r} says {option}={options[option]}, and not {value}")
    if option in options:
        return name
    return f"{name}{'&' if options else '?'}{urlencode({option: value})}"


def outward(name: str) -> str:
    """What a name of data does beside reading files of this machine; "" for nothing.

    A name that a file holds may come from anybody: whoever follows it asks here first.

    Example:
        >>> outward("folder:./photos"), outward("x4:webdataset:pipe:ls?size=64")
        ('', 'runs a command')
    """
    base, argument, _ = parse(name)
    row = next((row for row in adapters() if row.name == base), None)
    if row is None:
        return ""
    if row.nested:
        return outward(name.partition(":")[2])
    return _reason(row.outward)(argument) if row.outward else ""


def located(name: str, folder: str | None) -> str:
    """A name of data as it is understood in another folder, where it holds a relative path.

    What is not there (a run may have moved to another machine) stays as it is.

    Args:
        name: What somebody typed.
        folder: Where he did; None where that is not known.

    Example:
        >>> located("mnist", "/home/a"), located("folder:photos", "/nowhere")
        ('mnist', 'folder:photos')
    """
    base, argument, _ = parse(name)
    row = next((row for row in adapters() if row.name == base), None)
    if row is None or folder is None or not argument:
        return name
    if row.nested:
        return f"{base}:{located(name.partition(':')[2], folder)}"
    place = anchored(argument, folder)
    fetched = row.outward and _reason(row.outward)(place)
    there = any(c in place for c in "*{") or os.path.exists(place)
    if fetched or not there or "?" in place:
        return name
    return f"{base}:{place}{name.removeprefix(f'{base}:{argument}')}"


def _reason(target: str) -> Callable[[str], str]:
    module, _, attribute = target.partition(":")
    function: Callable[[str], str] = getattr(importlib.import_module(module), attribute)
    return function


def _function(target: str) -> Callable[..., Dataset]:
    module, _, attribute = target.partition(":")
    function: Callable[..., Dataset] = getattr(importlib.import_module(module), attribute)
    return function


def _settings(
    base: str, function: Callable[..., Dataset], options: dict[str, str]
) -> dict[str, Any]:
    """Options as the types of the adapter's keyword-only parameters."""
    known = parameters_of(function)
    settings: dict[str, Any] = {}
    for name, text in options.items():
        if name not in known:
            raise UnknownNameError(f"option of {base}", name, known)
        settings[name] = _number(base, known[name], text)
    return settings


def _number(base: str, parameter: inspect.Parameter, text: str) -> int | str:
    if parameter.annotation not in (int, int | None):
        return text
    if not (text.isascii() and text.isdecimal() and len(text) <= 300) or int(text) < 1:
        raise ConfigError(
            f"option {parameter.name!r} of {base} must be a whole number above 0, got {brief(text)}"
        )
    return int(text)

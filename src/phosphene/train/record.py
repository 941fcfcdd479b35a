"""What ``run.json`` may hold, and how the JSON files of a run are read.

A run may come from anybody: every field is checked before it is used, and a file that is cut short
or of another shape is one sentence.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phosphene.catalog.kind import kind_of_record, kinds
from phosphene.core.checks import LONG, NAME, Check, is_object, number, or_none, whole
from phosphene.core.config import SCHEMA, decode
from phosphene.core.errors import PhospheneError, RunError

__all__ = ["check_record", "check_schema", "read_json", "read_lines"]

MOST_JSON = 16 * 2**20
"""Bytes of a JSON file of a run."""
MOST_LINES = 2**30
"""Bytes of ``metrics.jsonl``."""


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        RunError: The file is missing, too large, or holds something else.
    """
    text = _text(path, MOST_JSON)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        why = "it is empty" if not text.strip() else why
        raise RunError(f"{str(path)!r} cannot be read as JSON: {why}") from None
    if not isinstance(value, dict):
        raise RunError(f"{str(path)!r} does not hold a JSON object")
    return value


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines, up to one that a crash has cut off or damaged."""
    if not path.is_file():
        return []
    rows = []
    for line in _text(path, MOST_LINES, errors="replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(row, dict) or not _plain_row(row):
            break
        rows.append(row)
    return rows


_WORDS = ("split", "finished", "warning", "stage")


def _plain_row(row: Mapping[str, Any]) -> bool:
    """Whether a line is as a training writes it: numbers, but for what it says in words."""
    return all(_plain_entry(name, value) for name, value in row.items())


def _plain_entry(name: str, value: Any) -> bool:
    if name in _WORDS:
        return isinstance(value, str)
    if name == "examples_by_rank":
        return isinstance(value, list) and all(whole(v) for v in value)
    if name in ("step", "resumed_at"):
        return whole(value)
    if name == "seconds":
        return number(value)
    return isinstance(value, bool | float) or number(value)


def _text(path: Path, most: int, errors: str = "strict") -> str:
    try:
        if not path.is_file():
            raise RunError(f"{str(path)!r} is missing")
        size = path.stat().st_size
        if size > most:
            raise RunError(
                f"{str(path)!r} holds {size:,} bytes; such a file holds {most:,} at most"
            )
        return path.read_text(encoding="utf-8", errors=errors)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise RunError(f"{str(path)!r} cannot be read: {why}") from None


_FIELDS: dict[str, tuple[Check, str]] = {
    "system": (NAME, "a name"),
    "recipe": (NAME, "a name"),
    "model": (is_object, "an object"),
    "train": (is_object, "an object"),
    "budget": (NAME, "text like 60s"),
    "seed": (lambda v: isinstance(v, int) and abs(v) < 2**63, "a whole number"),
    "precision": (lambda v: v in ("fp32", "bf16", "auto"), "fp32 or bf16"),
    "compile": (lambda v: isinstance(v, bool), "true or false"),
}
"""What each run says."""
_OPTIONAL: dict[str, tuple[Check, str]] = {
    "versions": (
        lambda v: isinstance(v, dict) and all(isinstance(x, str) for x in v.values()),
        "an object of texts",
    ),
    "command": (LONG, "text"),
    "started": (NAME, "text"),
    "kind": (NAME, "a name"),
    "directory": (NAME, "text"),
    "threads": (or_none(lambda v: whole(v) and v > 0), "a whole number above 0"),
    "device": (NAME, "text"),
    "world": (lambda v: whole(v) and v > 0, "a whole number above 0"),
    "stages": (is_object, "an object"),
    "first": (or_none(NAME), "a path"),
    "init_from": (or_none(NAME), "a path"),
}
"""What some runs say."""


def check_schema(value: Mapping[str, Any], source: str) -> None:
    """Refuse JSON of another layout than this version reads."""
    if value.get("schema") != SCHEMA:
        raise RunError(
            f"{source} has schema {_shown(value.get('schema'))}; this version reads {SCHEMA}"
        )


def check_record(record: Mapping[str, Any], source: str) -> None:
    """Refuse a ``run.json`` with a field that is missing or is not what it should be.

    Raises:
        RunError: It names the field, the value and what is allowed.
    """
    check_schema(record, source)
    for name in _FIELDS:
        if name not in record:
            raise RunError(f"{source} lacks {name!r}: it is no record of a run, or is cut short")
    kind = kind_of_record(record)
    if kind is None:
        raise RunError(f"{source} does not name what it was trained on: it must say so once")
    for other in kinds():
        if other.option != kind.option and other.option in record:
            raise RunError(f"{source} names {kind.called} and {other.called}: a run has one")
    for name, (check, wanted) in {**_FIELDS, **_OPTIONAL, **kind.fields}.items():
        if name in record and not check(record[name]):
            raise RunError(f"{source}: {name!r} must be {wanted}, got {_shown(record[name])}")
    _check_settings(record["train"], source)
    for stage, told in record.get("stages", {}).items():
        whole = isinstance(told, dict) and told.keys() >= {"share", "train", "precision"}
        if not (whole and number(told["share"]) and 0 < told["share"] <= 1):
            raise RunError(f"{source}: stage {stage!r} is not described as a stage is")


def _check_settings(settings: Mapping[str, Any], source: str) -> None:
    from phosphene.train.settings import TrainSettings

    try:
        decoded = decode(settings)
    except PhospheneError as error:
        raise RunError(f"{source}: {error}") from None
    if not isinstance(decoded, TrainSettings):
        raise RunError(f"{source}: 'train' holds no trainer settings")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

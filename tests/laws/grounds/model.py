"""Models of data: an event of each kind that is claimed, small settings, labels."""

from typing import Any

from phosphene.catalog import System
from phosphene.core.model import Model
from tests.laws import small
from tests.laws.grounds import Ground
from tests.laws.library import LAWS
from tests.laws.support import LABELS


def _small(row: System) -> list[tuple[Any, dict[str, Any]]]:
    found: list[tuple[Any, dict[str, Any]]] = []
    for kind in row.events:
        event = small.events(row)[kind][0]
        context = (small.context(row.name, event) or LABELS) if row.context != "none" else None
        found += [(event, {**s, "context": context}) for s in small.settings(row.name, event)]
    return found


GROUND = Ground("model", Model, small.events, _small, LAWS, explains=True)

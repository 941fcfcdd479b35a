"""Rows of a table: values with names and units of their own."""

from phosphene.core.event import Event
from phosphene.data.dataset import Dataset
from phosphene.evaluate.data_kind import DataKind, data_kind


@data_kind
class Table(DataKind):
    """Columns are compared by their own spreads, so that units do not matter."""

    name, place = "table", 10.0

    def holds(self, event: Event, data: Dataset | None) -> bool:
        """Whether the values have names."""
        return data is not None and bool(data.columns)

    def features(self, data: Dataset) -> str:
        """Columns by their moments in the training split."""
        return "standardized"

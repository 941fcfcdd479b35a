"""Sequences of symbols, and text."""

import math
from dataclasses import replace

from phosphene.core.event import Event
from phosphene.data.dataset import Dataset
from phosphene.data.tokenizers import ByteTokenizer
from phosphene.evaluate.baselines import of_text
from phosphene.evaluate.data_kind import DataKind, data_kind
from phosphene.evaluate.score import Score


@data_kind
class Symbols(DataKind):
    """Sequences of codes without a tokenizer."""

    name, place = "symbols", 25.0
    events = frozenset({"tokens"})
    most_rows = 128


@data_kind
class Text(Symbols):
    """Sequences of codes with a tokenizer."""

    name, place = "text", 20.0
    ordered = False

    def holds(self, event: Event, data: Dataset | None) -> bool:
        """Whether there is a tokenizer."""
        return data is not None and bool(data.tokenizer)

    def features(self, data: Dataset) -> None:
        """None: distances between flat vectors say nothing about texts."""

    def baselines(self, test: Dataset, train: Dataset) -> dict[str, Score]:
        """An n-gram, and symbols that are independent."""
        return of_text(test, train) if super().holds(test.event, test) else {}

    def per_symbol(self, bits: Score, test: Dataset) -> dict[str, Score]:
        """Nats a character, or a byte."""
        name = "byte" if isinstance(test.tokenizer, ByteTokenizer) else "character"
        nats = math.log(2)
        error = None if bits.stderr is None else bits.stderr * nats
        return {f"nats_per_{name}": replace(bits, value=bits.value * nats, stderr=error)}

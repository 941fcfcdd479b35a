"""One number of an evaluation, with what it is and how far to trust it."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["Score", "mean_score", "standard_error"]


@dataclass(frozen=True)
class Score:
    """A value with its kind, its standard error and the value that real data would get.

    Args:
        value: The number, in the metric's units.
        kind: What it is: ``exact``, ``bound``, ``importance-weighted``, ``ode`` or ``estimate`` for
            likelihoods; ``pca features`` and the like for distances between sets of features;
            ``reconstruction`` for errors of reconstructions; ``count``; ``against true factors``.
        stderr: Its standard error, over examples unless the note says otherwise.
        floor: What the metric gives for real data against real data at the same sample counts.
        note: A sentence for the report.
        features: The name of the features it was computed on.

    Example:
        >>> Score(98.2, "importance-weighted", stderr=0.7).to_json()
        {'value': 98.2, 'kind': 'importance-weighted', 'stderr': 0.7}
    """

    value: float
    kind: str
    stderr: float | None = None
    floor: float | None = None
    note: str | None = None
    features: str | None = None

    def checked(self) -> "Score":
        """Itself, if it is as an evaluation writes it; scores are also read from files.

        Raises:
            TypeError: A field is not what it should be.
        """
        numbers = (self.value, *(v for v in (self.stderr, self.floor) if v is not None))
        texts = (self.kind, *(t for t in (self.note, self.features) if t is not None))
        for value in numbers:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{value!r} is no number")
        for text in texts:
            if not isinstance(text, str):
                raise TypeError(f"{text!r} is no text")
        return self

    def to_json(self) -> dict[str, Any]:
        """``value``, ``kind``, ``stderr`` and ``floor``, without those that make no sense here."""
        fields = {
            "value": self.value,
            "kind": self.kind,
            "stderr": self.stderr,
            "floor": self.floor,
        }
        return {name: value for name, value in fields.items() if value is not None}


def standard_error(values: Tensor) -> float | None:
    """Standard error of the mean of values (n,); None for a single value."""
    if len(values) < 2:
        return None
    return float(values.double().std() / len(values) ** 0.5)


def mean_score(values: Tensor, kind: str, note: str | None = None) -> Score:
    """The mean over examples and its standard error, accumulated in float64."""
    return Score(float(values.double().mean()), kind, standard_error(values), note=note)

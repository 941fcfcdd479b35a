"""The row of data sets among the kinds of subjects."""

from phosphene.catalog.kind import Kind
from phosphene.core.checks import NAME, flag, is_object, number, or_none, texts, whole

__all__ = ["KIND"]

KIND = Kind(
    name="dataset",
    option="data",
    trains="model",
    called="data",
    learner="a model of data",
    target="phosphene.subjects.dataset.handling:Datasets",
    options="phosphene.subjects.dataset.options",
    held_out="on the test split",
    listed="phosphene.subjects.dataset.listed:listed",
    place=10,
    fields={
        "data": (NAME, "text"),
        "examples": (or_none(whole), "a whole number or null"),
        "fingerprint": (or_none(NAME), "text or null"),
        "own_validation": (flag, "true or false"),
        "validation": (or_none(NAME), "text or null"),
        "own_data": (flag, "true or false"),
        "labels": (or_none(lambda v: whole(v) and v > 0), "a whole number above 0, or null"),
        "labelled_fraction": (
            or_none(lambda v: number(v) and 0 <= v <= 1),
            "a number from 0 to 1, or null",
        ),
        "labelled": (
            or_none(lambda v: isinstance(v, dict) and all(map(whole, v.values()))),
            "an object of whole numbers, or null",
        ),
        "context": (or_none(lambda v: texts(v, 64)), "texts or null"),
        "columns": (lambda v: texts(v, 10_000), "texts"),
        "vector_columns": (lambda v: texts(v, 10_000), "texts"),
        "classes": (lambda v: texts(v, 100_000), "texts"),
        "label_name": (NAME, "text"),
        "tokenizer": (or_none(is_object), "an object or null"),
        "sample_rate": (or_none(lambda v: whole(v) and 0 < v < 10**9), "a whole number or null"),
    },
)

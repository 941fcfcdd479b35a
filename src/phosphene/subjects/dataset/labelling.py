"""Which labels a semi-supervised training uses: all that there are, unless a number is asked for.

The number of a recipe is a benchmark's setting, and belongs to the embedded data set that the
recipe names; the labels that people bring are all used.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from phosphene.catalog.recipe import Recipe, recipes
from phosphene.core.errors import ConfigError, DataError, RunError
from phosphene.data.dataset import Dataset, balanced_order
from phosphene.data.labels import oversample_labelled

__all__ = ["Counts", "labelled", "labelled_again", "with_number"]

Counts: TypeAlias = dict[str, int]
"""How many labels of each class are used."""


def with_number(recipe: Recipe, data: str | Dataset | None, labels: int | None) -> Recipe:
    """The recipe with the number of labels that was asked for, if one was.

    Args:
        recipe: As it was chosen for the data.
        data: As they were given. A Dataset that was handed over is used as it is: whoever made it
            chose its labels.
        labels: The number asked for, or None.

    Raises:
        ConfigError: The system learns nothing from examples without labels.
    """
    if labels is None:
        return replace(recipe, labels=None) if isinstance(data, Dataset) else recipe
    if recipe.labelled_fraction is None:
        able = {repr(r.system) for r in recipes() if r.labelled_fraction is not None}
        raise ConfigError(
            f"labels={labels} is for systems that also learn from examples without labels, "
            f"{' and '.join(sorted(able))}; {recipe.system!r} does not"
        )
    return replace(recipe, labels=labels)


def labelled(
    dataset: Dataset, labels: int | None, fraction: float | None, seed: int
) -> tuple[Dataset, Counts | None]:
    """The training split with the labels that are used, repeated so that each batch holds some.

    Args:
        dataset: The training split.
        labels: How many are used; None for all.
        fraction: Of the examples that shall be labelled, by repeating them; None for a system that
            does not learn from examples without labels, whose data are left alone.
        seed: Draws which labels are used.

    Returns:
        The data set and the labels that are used, counted; no counts where it is left alone.

    Raises:
        DataError: No example has a label, or fewer have than are asked for.
    """
    if fraction is None:
        return dataset, None
    if dataset.y is None or not bool((dataset.y >= 0).any()):
        raise DataError(
            f"no example of the {dataset.split} split of {dataset.name!r} has a label: "
            "a semi-supervised model needs some of each class"
        )
    used = dataset if labels is None else dataset.with_labels(labels, seed)
    assert used.y is not None
    numbers = used.y[used.y >= 0].bincount(minlength=len(used.classes)).tolist()
    counts = dict(zip(used.classes, numbers, strict=True))
    notes = _notes(counts, int((dataset.y >= 0).sum()), len(used))
    used = replace(used, notes=(*used.notes, *notes))
    return oversample_labelled(used, fraction), counts


def labelled_again(dataset: Dataset, record: Mapping[str, Any], where: str) -> Dataset:
    """The same for a run that goes on, as its record says.

    Raises:
        RunError: The data have other labels than those that the run was trained on.
    """
    labels, fraction = record.get("labels"), record.get("labelled_fraction")
    seed = record["seed"]
    if "labelled" in record:
        again, counts = labelled(dataset, labels, fraction, seed)
        if counts != record["labelled"]:
            raise RunError(
                f"{where!r} was trained on {sum(record['labelled'].values()):,} labels of "
                f"{dataset.name!r} and these data have others: resume it with its own data"
            )
        return again
    # Before labels were counted, "unknown" had a class's share of the number, of a recipe alone.
    if labels is None or fraction is None or dataset.y is None:
        return dataset
    known = dataset.y[balanced_order(dataset.y, seed)[:labels]] >= 0
    return oversample_labelled(dataset.with_labels(int(known.sum()), seed), fraction)


def _notes(counts: Counts, known: int, examples: int) -> list[str]:
    """What is used, and the classes that nothing is known of."""
    least, most, total = min(counts.values()), max(counts.values()), sum(counts.values())
    of = f" of {known:,}" if known > total else ""
    each = f"{most:,} of each class" if least == most else f"{least:,} to {most:,} of a class"
    notes = [f"{total:,}{of} labels are used, {each}, among {examples:,} examples"]
    without = [repr(name) for name, n in counts.items() if n == 0]
    if without:
        more = f" and {len(without) - 3} more" if len(without) > 3 else ""
        notes.append(
            f"no label is of the class {', '.join(without[:3])}{more}: "
            "the model is not told what it looks like"
        )
    return notes

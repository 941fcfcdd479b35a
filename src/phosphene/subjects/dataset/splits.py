"""The splits of a training: training examples, validation examples, and their context."""

from dataclasses import replace

import torch

from phosphene import catalog
from phosphene.catalog.recipe import Recipe, recipes
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, DataError, PhospheneError
from phosphene.data.context_parts import Conditions, as_table, load_given
from phosphene.data.dataset import Dataset
from phosphene.data.loading import located

__all__ = ["context_for", "held_out_of", "load_split", "unused"]


def load_split(data: str | Dataset, split: str, said: Conditions | None = None) -> Dataset:
    """A split of a data set given by name, or the data set itself, with what conditions it."""
    if not isinstance(data, str | Dataset):
        raise ConfigError(
            f"data are a name, as 'mnist' or 'folder:./photos', or a Dataset; got a "
            f"{type(data).__name__}"
        )
    if isinstance(data, str):
        return load_given(data, split, None if said is None else said.text)
    if said is not None and said.label is not None:
        raise ConfigError("a Dataset has its labels in y: context='label' conditions on them")
    return data if said is None else said.applied(data)


def held_out_of(
    dataset: Dataset,
    data: str | Dataset | None,
    validation: str | Dataset | None,
    *,
    labelled: bool,
    said: Conditions | None = None,
    folder: str | None = None,
) -> tuple[Dataset | None, tuple[str, ...]]:
    """What a training is judged by, and what the user should know where there is nothing.

    Data that are known by name have a validation split; a Dataset of the caller's own has what he
    gives, whatever it is called. A training that may use few labels must not choose its weights by
    many: they are forgotten. A relative path in the name of the data lies in the folder, where one
    is given.
    """
    if validation is None and isinstance(data, Dataset):
        return None, ()
    try:
        judged = located(dataset.name, folder) if validation is None else validation
        held_out = load_split(judged, "validation", said)
        held_out = as_table(held_out, dataset.columns, dataset.vector_columns, dataset.classes)
    except PhospheneError as error:
        if validation is not None:
            raise
        return None, (f"no validation split, so that the last weights are handed out: {error}",)
    if held_out.event != dataset.event:
        raise DataError(f"validation holds {held_out.event}, and training {dataset.event}")
    if not labelled and held_out.y is not None:
        held_out = replace(held_out, y=torch.full_like(held_out.y, -1))
    return held_out, ()


def context_for(dataset: Dataset, recipe: Recipe) -> ContextSpec | None:
    """Those parts of the data's context that the recipe gives to the model.

    Raises:
        ConfigError: The data have no such part.
    """
    if not recipe.context:
        return None
    available = dataset.context
    fitting = (r.on for r in recipes(recipe.system) if r.context)
    fit = next((data for data in fitting if data and data != dataset.name), "")
    hint = f"; {fit!r} has" if fit else ""
    if dataset.columns:
        hint = "; columns are named, as label:COLUMN or vector:COLUMN,COLUMN"
    for name in recipe.context:
        if name not in available.names:
            raise ConfigError(
                f"{recipe.system} is conditioned on the {name}, and the data set "
                f"{dataset.name!r} has none{hint}"
            )
    return replace(ContextSpec(), **{n: getattr(available, n) for n in recipe.context})


def unused(
    recipe: Recipe,
    dataset: Dataset,
    told: ContextSpec | None,
    data: str | Dataset | None,
    *,
    asked: bool,
) -> tuple[str, ...]:
    """What the user's own data hold that the model could be told and is not."""
    own = isinstance(data, Dataset) or (data is not None and ":" in data)
    if asked or not own or _context_of(recipe) == "none":
        return ()
    left = [name for name in dataset.context.names if name not in (told or ContextSpec()).names]
    what = {"label": f"labels of {len(dataset.classes)} classes", "image": "images"}
    return tuple(
        f"{what.get(name, 'vectors')} in the data are not used: --context {name} conditions on them"
        for name in left
    )


def _context_of(recipe: Recipe) -> str:
    """What the catalogue says of contexts; nothing of a model of somebody's own."""
    rows = {row.name: row.context for row in catalog.systems()}
    return rows.get(recipe.system, "none")

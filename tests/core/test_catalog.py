import dataclasses
import json

import pytest

from phosphene.catalog import find, systems
from phosphene.core.errors import UnknownNameError


def test_names_are_unique_and_found() -> None:
    rows = systems()
    assert len({row.name for row in rows}) == len(rows)
    assert all(find(row.name) is row for row in rows)


def test_families_partition_the_table() -> None:
    rows = systems()
    for family in {row.family for row in rows}:
        assert systems(family) == [row for row in rows if row.family == family]


def test_rows_are_json() -> None:
    json.dumps([dataclasses.asdict(row) for row in systems()])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'vae'"):
        find("vaee")
    with pytest.raises(UnknownNameError, match="did you mean 'autoencoder'"):
        systems("autoencoders")


def test_recipes_stand_beside_the_rows_of_their_systems():
    from phosphene.catalog import systems
    from phosphene.catalog.recipe import recipes

    found = {id(recipe) for row in systems() for recipe in recipes(row.name)}
    assert found == {id(recipe) for recipe in recipes()}

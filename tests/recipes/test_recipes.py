"""Recipes as values: each builds its model on its data, and a network suits its event."""

import pytest

from phosphene.catalog import find
from phosphene.core.event import Event
from phosphene.recipes.planning import load_split
from phosphene.recipes.recipe import recipes, select, suited
from phosphene.train.building import build
from phosphene.train.settings import Budget, TrainSettings


def _name(recipe):
    return f"{recipe.system}-{recipe.name}-{recipe.data}"


@pytest.mark.parametrize("recipe", recipes(), ids=_name)
def test_each_recipe_builds(recipe):
    Budget.parse(recipe.budget)
    TrainSettings(**recipe.train)
    data = load_split(recipe.data, "train")
    context = data.context if recipe.context else None
    build(recipe.system, data.event, context, seed=0, **recipe.model)


def test_no_two_recipes_have_one_name():
    names = [_name(recipe) for recipe in recipes()]
    assert len(set(names)) == len(names)


def test_numbers_to_reach_say_on_how_many_seconds():
    for recipe in recipes():
        assert not recipe.reaches or recipe.cpu_seconds is not None, _name(recipe)


@pytest.mark.parametrize("system", sorted({recipe.system for recipe in recipes()}))
@pytest.mark.parametrize("event", [Event.real(2), Event.binary(9), Event.image(3, (9, 5))], ids=str)
def test_the_default_serves_other_data(system, event):
    recipe = suited(select(system, "npz:other.npz"), event)
    if recipe.context or event.kind not in find(system).events:
        return
    build(system, event, None, seed=0, **recipe.model)

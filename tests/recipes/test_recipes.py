"""Recipes as values: each builds its model on its data, and a network suits its event."""

import pytest

from phosphene.catalog import find, systems
from phosphene.core.context import ContextSpec
from phosphene.core.event import Event
from phosphene.decision.environments.table import names as listed_names
from phosphene.decision.environments.table import spec
from phosphene.recipes.planning import load_split
from phosphene.recipes.recipe import recipes, select, select_for, suited
from phosphene.train.building import build
from phosphene.train.settings import Budget, TrainSettings
from tests.laws.agents import ENVIRONMENTS

listed = listed_names()


def _name(recipe):
    return f"{recipe.system}-{recipe.name}-{recipe.data or recipe.env}"


DATA = [recipe for recipe in recipes() if recipe.data]
AGENTS = [recipe for recipe in recipes() if recipe.env]


@pytest.mark.parametrize("recipe", DATA, ids=_name)
def test_each_recipe_builds(recipe):
    Budget.parse(recipe.budget)
    TrainSettings(**recipe.train)
    data = load_split(recipe.data, "train")
    context = data.context if recipe.context else None
    build(recipe.system, data.event, context, seed=0, **recipe.model)


@pytest.mark.parametrize("recipe", AGENTS, ids=_name)
def test_each_agents_recipe_builds(recipe):
    if recipe.env.startswith("LunarLander"):
        pytest.importorskip("Box2D")
    Budget.parse(recipe.budget)
    TrainSettings(**recipe.train)
    kinds = ENVIRONMENTS.items() if recipe.env == "*" else [("", recipe.env)]
    names = [env for kind, env in kinds if not kind or kind in find(recipe.system).events]
    assert names
    for name in names:
        build(recipe.system, spec(name), seed=0, **recipe.model)


def test_every_agent_has_a_recipe_for_any_environment():
    for row in systems():
        if row.kind == "agent":
            assert select_for(row.name).env in listed, row.name
            assert select_for(row.name, "grid:gridworld").env == "grid:gridworld"


def test_no_two_recipes_have_one_name():
    names = [_name(recipe) for recipe in recipes()]
    assert len(set(names)) == len(names)


def test_numbers_to_reach_say_on_how_many_seconds():
    for recipe in recipes():
        assert not recipe.reaches or recipe.cpu_seconds is not None, _name(recipe)


@pytest.mark.parametrize("system", sorted({recipe.system for recipe in DATA}))
@pytest.mark.parametrize("event", [Event.real(2), Event.binary(9), Event.image(3, (9, 5))], ids=str)
def test_the_default_serves_other_data(system, event):
    recipe = suited(select(system, "npz:other.npz"), event)
    if recipe.context not in ((), ("label",)) or event.kind not in find(system).events:
        return
    context = ContextSpec(label=3) if recipe.context else None
    build(system, event, context, seed=0, **recipe.model)

"""Recipes as values: each builds its model on its data, and a network suits its event."""

from functools import cache

import pytest
import torch

from phosphene.catalog import find, systems
from phosphene.catalog.recipe import recipes
from phosphene.core.errors import EventError
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset
from phosphene.data.table import names
from phosphene.decision.environments.table import names as listed_names
from phosphene.decision.environments.table import spec
from phosphene.subjects.dataset.choosing import kind_of, select
from phosphene.subjects.dataset.handling import Datasets
from phosphene.subjects.dataset.splits import load_split
from phosphene.subjects.environment.choosing import select_for
from phosphene.subjects.plan import Request
from phosphene.train.building import build
from phosphene.train.settings import Budget, TrainSettings
from tests.laws.agents import ENVIRONMENTS

listed = listed_names()


def _name(recipe):
    return f"{recipe.system}-{recipe.name}-{recipe.on or recipe.event}"


DATA = [r for r in recipes() if r.on and find(r.system).kind == "model"]
OTHERS = [r for r in recipes() if r.event]
"""Of kinds of data that no name stands for."""
AGENTS = [r for r in recipes() if find(r.system).kind == "agent"]


@pytest.mark.parametrize("recipe", DATA, ids=_name)
def test_each_recipe_builds(recipe):
    Budget.parse(recipe.budget)
    TrainSettings(**recipe.train)
    data = load_split(recipe.on, "train")
    context = data.context if recipe.context else None
    build(recipe.system, data.event, context, seed=0, **recipe.model)


@pytest.mark.parametrize("recipe", AGENTS, ids=_name)
def test_each_agents_recipe_builds(recipe):
    if recipe.on.startswith("LunarLander"):
        pytest.importorskip("Box2D")
    Budget.parse(recipe.budget)
    TrainSettings(**recipe.train)
    kinds = ENVIRONMENTS.items() if recipe.on == "*" else [("", recipe.on)]
    names = [env for kind, env in kinds if not kind or kind in find(recipe.system).events]
    assert names
    for name in names:
        build(recipe.system, spec(name), seed=0, **recipe.model)


def test_every_agent_has_a_recipe_for_any_environment():
    for row in systems():
        if row.kind == "agent":
            assert select_for(row.name).on in listed, row.name
            assert select_for(row.name, "grid:gridworld").on == "grid:gridworld"


def test_no_two_recipes_have_one_name():
    names = [_name(recipe) for recipe in recipes()]
    assert len(set(names)) == len(names)


def test_numbers_to_reach_say_on_how_many_seconds():
    for recipe in recipes():
        assert not recipe.reaches or recipe.cpu_seconds is not None, _name(recipe)


KINDS = {
    "binary": Event.binary(9),
    "binary-image": Event.image(1, (9, 5), levels=2),
    "image": Event.image(3, (9, 5)),
    "real": Event.real(2),
    "real-image": Event.real(1, 4, 4),
    "tokens": Event.tokens(12, 5),
    "audio": Event.audio(20, 8),
}


@cache
def _kind_of(name):
    return kind_of(load_split(name, "train").event)


def _kind(recipe):
    return kind_of(Event.parse(recipe.event)) if recipe.event else _kind_of(recipe.on)


@pytest.mark.parametrize("system", sorted({recipe.system for recipe in DATA}))
@pytest.mark.parametrize("kind", KINDS)
def test_settings_never_come_from_another_kind_of_data(system, kind):
    own = [r for r in (*DATA, *OTHERS) if r.system == system]
    for name in sorted({r.name for r in own}):
        recipe = select(system, "npz:other.npz", name, KINDS[kind])
        assert recipe.on == "npz:other.npz"
        assert not recipe.reaches
        fitting = [r for r in own if _kind(r) == kind and r.name == name]
        same = [r for r in fitting if (r.model, r.train) == (recipe.model, recipe.train)]
        if recipe.plain:
            assert not fitting
            assert (recipe.model, recipe.train, recipe.stages) == ({}, {}, {})
            assert "constructor's defaults" in recipe.notes
        else:
            assert same, f"{system} {name} has settings of no recipe for {kind}"
        if name == "default" and not recipe.context and _builds(system, KINDS[kind]):
            build(system, KINDS[kind], None, seed=0, **recipe.model)


def _builds(system, event):
    try:
        build(system, event, None, seed=0)
    except EventError:
        return False
    return True


@pytest.mark.parametrize(
    ("system", "data", "event", "of"),
    [
        ("vae", "folder:./photos?size=64", Event.image(3, 64), "mnist"),
        ("wavenet", "wav:./recordings", Event.audio(8000), "speech"),
        ("srflow", "x4:folder:./photos?size=64", Event.image(3, 64), "openmoji-x4"),
        ("transformer", "text:./book.txt", Event.tokens(256, 90), "moby-dick"),
        ("pixelcnn", "npz:small.npz", Event.image(1, 8, levels=2), "digits-binary"),
        ("realnvp", "npz:points.npz", Event.real(2), "moons"),
    ],
)
def test_other_data_get_the_nearest_recipe_of_their_kind(system, data, event, of):
    recipe = select(system, data, event=event)
    source = next(r for r in DATA if r.system == system and r.on == of)
    assert (recipe.model, recipe.train) == (source.model, source.train)
    if not data.startswith("npz"):  # help names a recipe of the kind before anything is loaded
        kinds = [
            _kind(r) for r in DATA if (r.system, r.model) == (system, select(system, data).model)
        ]
        assert kind_of(event) in kinds


def test_the_table_says_what_the_data_are():
    for recipe in DATA:
        row = next(row for row in names() if row.name == recipe.on)
        assert Event.parse(row.event) == load_split(recipe.on, "train").event


def test_a_note_tells_of_constructor_defaults(tmp_path):
    ask = Request(system="made", options={"data": "markov3"}, name="a", folder=tmp_path)
    notes = Datasets().plan(ask).subject.notes
    assert any("no recipe of made is for tokens" in note for note in notes)


TABLES = [r for r in OTHERS if kind_of(Event.parse(r.event)) == "real"]


@pytest.mark.parametrize("recipe", TABLES, ids=_name)
def test_tables_get_settings_of_their_own(recipe):
    """Three columns and more; those of two are densities in the plane."""
    TrainSettings(**recipe.train)
    for columns in (3, 13, 30):
        event = Event.real(columns)
        assert select(recipe.system, "npz:table.npz", event=event).model == recipe.model
        build(recipe.system, event, None, seed=0, **recipe.model)
    assert select(recipe.system, "npz:points.npz", event=Event.real(2)).model != recipe.model
    assert select(recipe.system).on, "without data a recipe names some"


def test_patience_of_a_recipe_needs_no_validation(tmp_path):
    """A table of one's own may have none: the recipe's patience is left out, and that is said."""
    x = torch.randn(40, 4)
    own = Dataset(name="own", split="train", event=Event.real(4), x=x)
    plan = Datasets().plan(Request(system="maf", options={"data": own}, name="a", folder=tmp_path))
    assert plan.settings.patience is None
    assert any("there is none" in note for note in plan.subject.notes)

"""Recipes reach their numbers on the test split, and a trivial baseline does not."""

import pytest
import torch

import phosphene as ph
from phosphene.evaluate.likelihood import likelihood
from phosphene.recipes.recipe import recipes

NUMBERED = [recipe for recipe in recipes() if recipe.reaches]


def independent_bernoulli(train, test):
    """Nats of a model that knows each pixel's frequency and nothing else."""
    p = (train.x.double().sum(0) + 1) / (len(train) + 2)
    x = test.x.double()
    return float(-(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1).mean())


def test_a_trivial_baseline_does_not_reach_the_numbers():
    for recipe in NUMBERED:
        train, test = ph.data.load(recipe.data, "train"), ph.data.load(recipe.data, "test")
        least = next(iter(recipe.reaches.values()))
        assert independent_bernoulli(train, test) > 1.3 * least, (recipe.system, recipe.name)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "recipe", NUMBERED, ids=[f"{r.system}-{r.data}-{r.name}" for r in NUMBERED]
)
def test_recipe_reaches_its_number(recipe, tmp_path):
    run = ph.train(recipe.system, data=recipe.data, recipe=recipe.name, folder=tmp_path, name="run")
    torch.set_num_threads(2)
    found = likelihood(run.model, ph.data.load(recipe.data, "test"), particles=500)
    for name, least in recipe.reaches.items():
        print(recipe.data, recipe.name, name, found[name])
        assert found[name].value <= least, (name, found[name])

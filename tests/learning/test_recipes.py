"""Recipes reach their numbers on the test split, and a trivial baseline does not."""

import math

import pytest
import torch

import phosphene as ph
from phosphene.catalog import find
from phosphene.catalog.recipe import recipes
from phosphene.evaluate.likelihood import likelihood
from phosphene.evaluate.super_resolution import super_resolution

NUMBERED = [r for r in recipes() if r.reaches and r.on and find(r.system).kind == "model"]


def independent(train, test):
    """Nats of a model that knows how often each value occurs and nothing else."""
    if train.event.levels is None:
        x, mean, std = test.x.double(), train.x.double().mean(0), train.x.double().std(0)
        log_p = -0.5 * ((x - mean) / std) ** 2 - std.log() - 0.5 * math.log(2 * math.pi)
        return -float(log_p.flatten(1).sum(1).mean())
    levels, x = train.event.levels, train.x.flatten(1)
    if train.event.kind in ("tokens", "audio"):  # every position alike
        counts = torch.stack([torch.bincount(c.long(), minlength=levels) for c in x[:2000]]).sum(0)
        log_p = ((counts + 1.0) / (counts + 1.0).sum()).log()
        return -float(log_p[test.x.flatten(1).long()].sum(1).mean())
    d = train.event.dimensions
    cells = x.long() + levels * torch.arange(d)
    counts = torch.bincount(cells.flatten(), minlength=d * levels).view(d, levels) + 1.0
    log_p = (counts / counts.sum(1, keepdim=True)).log()
    return -float(log_p.gather(1, test.x.flatten(1).long().T).sum(0).mean())


def test_a_trivial_baseline_does_not_reach_the_numbers():
    for recipe in NUMBERED:
        train, test = ph.data.load(recipe.on, "train"), ph.data.load(recipe.on, "test")
        name, least = next(iter(recipe.reaches.items()))
        trivial = independent(train, test)
        if name == "bits_per_dim":
            trivial /= math.log(2) * train.event.dimensions
        assert trivial > 1.05 * least, (recipe.system, recipe.name)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("recipe", NUMBERED, ids=[f"{r.system}-{r.on}-{r.name}" for r in NUMBERED])
def test_recipe_reaches_its_number(recipe, tmp_path):
    run = ph.train(recipe.system, data=recipe.on, recipe=recipe.name, folder=tmp_path, name="run")
    torch.set_num_threads(2)
    particles = getattr(run.model, "scoring_particles", 500)
    found = likelihood(run.model, ph.data.load(recipe.on, "test"), particles=particles)
    for name, least in recipe.reaches.items():
        print(recipe.on, recipe.name, name, found[name])
        assert found[name].value <= least, (name, found[name])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_srflow_beats_interpolation_and_gives_its_input_back(tmp_path):
    """By half a decibel at temperature 0, and to 40 dB; and its answers differ."""
    run = ph.train("srflow", data="mnist-x4", folder=tmp_path, name="run")
    found = super_resolution(run.model, ph.data.load("mnist-x4", "test"))
    print(found)
    assert found["psnr_gain"].value >= 0.5, found
    assert found["lr_consistency"].value >= 40.0, found
    assert found["solution_diversity"].value >= 1.0, found

"""Every generative model stands at one leaf of the tree, and what it can do is what that says."""

import json
from dataclasses import replace

import pytest
import torch

from phosphene.catalog import Leaf, System, find, systems
from phosphene.catalog.taxonomy import BRANCHES, tree
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.protocols import (
    Bounded,
    Conditionals,
    Density,
    Estimated,
    Invertible,
    Posterior,
    Samples,
    SamplesPath,
    may_be,
)
from phosphene.core.rng import generator, seeded
from tests.laws.library import Case, cases

MODELS = [row for row in systems() if row.kind == "model"]
CASES = [case for row in MODELS for case in cases(row)]
MANY = Event.binary(40)
"""More states than a machine would sum over."""


def agrees(model: Model, row: System) -> None:
    """Raise where a model's capabilities are not those of its leaf."""
    leaf = row.leaf
    assert leaf is not None
    exact, bound, estimate = (isinstance(model, c) for c in (Density, Bounded, Estimated))
    said = model.likelihood
    assert exact == (said == "exact"), "an exact likelihood is one, and nothing else is"
    if leaf.branch == "tractable":
        dequantized = said == "bound" and bound and model.event.discrete
        assert exact or dequantized or said == "ode", f"tractable, but it has {said!r}"
        if dequantized:
            by_solving = "solver" in model.bound_note  # whose inverse is as inexact as its density
            assert by_solving or isinstance(model, Invertible), (
                "codes that are no density's have an exact one"
            )
            assert "dequantization" in model.bound_note, "a bound says that it is one, and why"
    elif leaf.branch == "variational":
        # Reals have the density of a diffusion's probability flow too, up to its solver.
        flows = said == "ode" and estimate and not model.event.discrete
        assert said == "bound" or flows, f"variational, but it has {said!r}"
        assert bound != flows, "a bound has an elbo"
        assert not may_be(type(model), Density), "a bound is never called a likelihood"
    elif leaf.branch == "markov-chain":
        assert said in ("exact", "estimate", "none"), f"up to a normalizer, but it has {said!r}"
        large = type(model)(MANY, hidden=30)
        assert not isinstance(large, Density), "nobody has summed that many states"
        assert large.likelihood != "exact"
    else:
        assert said == "none", f"it has no density, but {said!r}"
        assert not any((exact, bound, estimate)), "it has no density, and yet a likelihood"


def is_sampled_so(model: Model, row: System) -> None:
    """Raise where an example is not drawn as the leaf says, as far as that shows."""
    leaf = row.leaf
    assert leaf is not None
    assert may_be(type(model), Samples) == (leaf.sampling != "none")
    if leaf.sampling == "direct" and leaf.branch == "tractable":
        by_steps = isinstance(model, SamplesPath)  # of a solver, from noise
        assert by_steps or isinstance(model, Invertible), "a function of noise, as bijections are"
    if leaf.sampling == "direct" and leaf.branch == "none":
        assert not isinstance(model, Samples), "nothing is drawn until a distribution is fitted"
    if leaf.sampling == "ancestral":
        parents = (Conditionals, Posterior, Bounded, SamplesPath)
        assert any(isinstance(model, c) for c in parents), "it has neither conditionals nor latents"
        assert not isinstance(model, Invertible)
    if leaf.sampling == "chain":
        runs_a_chain(model)


def runs_a_chain(small: Model) -> None:
    """A longer chain from the same noise ends elsewhere."""
    length = next(name for name in ("burn_in", "gibbs", "sweeps") if hasattr(small, name))
    hidden = (30,) if isinstance(small.hidden, tuple) else 30
    drawn = []
    for steps in (1, 40):
        with seeded(3):
            model = type(small)(MANY, hidden=hidden, **{length: steps})
        drawn.append(model.sample(200, generator=generator(5)))
    assert not torch.equal(*drawn), "its state after 40 steps is that after one"


def test_every_model_declares_one_leaf_and_nothing_else_does():
    for row in systems():
        assert (row.leaf is not None) == (row.kind == "model"), row.name
        if row.leaf is not None:
            assert row.leaf.path == BRANCHES[row.leaf.branch]


def test_the_tree_has_each_model_once_and_leaves_room_for_others():
    standing = [(row.name, row.leaf) for row in MODELS if row.leaf]
    lines = tree(standing)
    text = "\n".join(lines)
    words = [w.strip() for line in lines for w in line.partition(": ")[2].split(",") if w]
    assert sorted(words) == sorted(row.name for row in MODELS)
    for path in BRANCHES.values():
        assert all(word in text for word in path)
    others = [(name, leaf) for name, leaf in standing if leaf.branch != "implicit"]
    assert "sampled directly" in "\n".join(tree(others)), "a branch with nothing on it"
    assert "sampled directly" not in "\n".join(tree(others, empty=False))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_is_known_of_the_density_agrees(case: Case):
    agrees(case.make(), case.row)


@pytest.mark.parametrize("row", MODELS, ids=[row.name for row in MODELS])
def test_how_it_is_sampled_agrees(row: System):
    is_sampled_so(next(iter(cases(row))).make(), row)


@pytest.mark.parametrize(
    ("name", "leaf"),
    [
        ("vae", Leaf("tractable", "ancestral")),
        ("fvsbn", Leaf("variational", "ancestral")),
        ("fvsbn", Leaf("implicit", "direct")),
        ("rbm", Leaf("tractable", "direct")),
        ("gsn", Leaf("markov-chain", "chain")),
        ("gsn", Leaf("variational", "ancestral")),
        ("realnvp", Leaf("tractable", "ancestral")),
        ("realnvp", Leaf("none", "direct")),
        ("vae", Leaf("none", "none")),
        ("vq-vae", Leaf("none", "direct")),
        ("autoencoder", Leaf("tractable", "direct")),
    ],
)
def test_a_wrong_leaf_is_noticed(name, leaf):
    row = replace(find(name), leaf=leaf)
    model = next(iter(cases(row))).make()
    with pytest.raises((AssertionError, TypeError)):
        _both(model, row)


def _both(model: Model, row: System) -> None:
    agrees(model, row)
    is_sampled_so(model, row)


def test_a_branch_is_sampled_in_its_own_ways_only():
    with pytest.raises(ValueError, match="variational is not sampled by 'chain'"):
        Leaf("variational", "chain")


def test_the_command_draws_it(capsys):
    from phosphene.cli.main import main

    assert main(["systems", "--tree"]) == 0
    out = capsys.readouterr().out
    assert "by a Markov chain" in out
    assert f"{len(MODELS)} generative models" in out
    assert main(["systems", "--tree", "--family", "energy"]) == 0
    out = capsys.readouterr().out
    assert "rbm" in out
    assert "vae" not in out
    assert main(["systems", "--tree", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [branch["branch"] for branch in told] == list(BRANCHES)
    found = {s["name"]: s["sampling"] for branch in told for s in branch["systems"]}
    assert found["made"] == "ancestral"
    assert len(found) == len(MODELS)
    assert main(["systems", "--tree", "--family", "no-such"]) == 2

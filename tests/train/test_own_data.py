"""Data and validation of one's own: who judges, what the record says, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.core.errors import PhospheneError, RunError
from phosphene.data.dataset import Dataset
from phosphene.subjects.dataset import drawing
from phosphene.train.folder import load

QUICK = {"data": "digits-binary", "threads": 1, "latent_dim": 2, "hidden": (4,)}


def train(tmp_path, **more):
    return ph.train("vae", **{**QUICK, "folder": tmp_path, "name": "a", "budget": "4steps", **more})


def weights(run, which="last"):
    return load(run.path, which).state_dict()


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


# -- data and validation of one's own -------------------------------------------------------------


def own(n=300, seed=0, name="digits-binary"):
    x = np.random.default_rng(seed).integers(0, 2, (n, 1, 8, 8), dtype=np.uint8)
    return Dataset(name=name, split="train", event=ph.Event.image(1, 8, levels=2),
                   x=torch.from_numpy(x))  # fmt: skip


def test_a_dataset_of_ones_own_is_not_judged_by_an_embedded_one_of_its_name(tmp_path):
    run = train(tmp_path, data=own())
    assert not [row for row in run.metrics if row.get("split") == "validation"]
    assert "best" not in run.weights
    with pytest.raises(RunError, match="somebody's own"):
        ph.evaluate(run.path, samples=20, particles=1)
    scores = ph.evaluate(run, samples=20, particles=1, data=own(seed=1), reference=own())
    assert "elbo" in scores


def test_validation_of_ones_own_judges(tmp_path):
    run = train(tmp_path, data=own(), validation=own(60, 1), evaluate_every=2, ema=None)
    found = [row["elbo"] for row in run.metrics if row.get("split") == "validation"]
    assert len(found) == 2
    assert run.weights[0] == "best"
    with pytest.raises(RunError, match="validation="):
        train(tmp_path, data=own(), resume=True, budget="6steps")
    more = train(tmp_path, data=own(), validation=own(60, 1), resume=True, budget="6steps")
    assert more.metrics[-1]["step"] == 6


def test_validation_of_another_event_is_refused(tmp_path):
    with pytest.raises(PhospheneError, match="validation holds"):
        train(tmp_path, data=own(), validation="moons")


def test_patience_needs_something_to_wait_for(tmp_path):
    with pytest.raises(PhospheneError, match="patience"):
        train(tmp_path, data=own(), patience=2)
    assert not (tmp_path / "a").exists()


def test_a_record_says_whose_data_it_was(tmp_path):
    run = train(tmp_path, data=own(name="mine"))
    assert json.loads((run.path / "run.json").read_text())["own_data"] is True


def test_a_run_is_not_resumed_on_other_examples(tmp_path):
    train(tmp_path, data=own(), validation=own(60, 1))
    with pytest.raises(RunError, match="other examples"):
        train(tmp_path, data=own(seed=9), validation=own(60, 1), resume=True, budget="8steps")


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"data": torch.zeros(3, 2)}, "Dataset"), ({"validation": 3}, "Dataset"),
        ({"budget": 5}, "60s"), ({"data": replace(own(), x=own().x + 4)}, "codes must lie"),
    ],
    ids=["data", "validation", "budget", "codes"],
)  # fmt: skip
def test_what_is_no_data_or_budget_is_said(tmp_path, told, says):
    with pytest.raises(PhospheneError, match=says):
        train(tmp_path, **told)
    assert not (tmp_path / "a").exists()


def test_a_dataset_says_what_is_wrong_with_its_parts():
    with pytest.raises(PhospheneError, match="from_numpy"):
        replace(own(), x=np.zeros((4, 1, 8, 8), np.uint8))
    with pytest.raises(PhospheneError, match="rows of y"):
        replace(own(), y=torch.zeros(7, dtype=torch.long))
    with pytest.raises(PhospheneError, match="expected a batch"):
        replace(own(), x=torch.zeros(300, 8, dtype=torch.uint8))


def test_other_data_must_be_of_the_models_event_wherever_they_are_used(tmp_path):
    run = ph.Run(train(tmp_path).path, data="mnist-binary")
    for draw in (drawing.interpolate, drawing.inpaint):
        with pytest.raises(PhospheneError, match=r"28x28.* models .*8x8"):
            draw(run, 2)

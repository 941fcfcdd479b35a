"""Repeating the labelled examples: all of them, evenly, and nothing else."""

import pytest
import torch

from phosphene.core.errors import ConfigError, DataError
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset
from phosphene.data.labels import oversample_labelled


def toy(n=500, labels=30):
    x = torch.arange(n, dtype=torch.float32)[:, None]
    y = torch.arange(n) % 5
    whole = Dataset(
        name="toy", split="train", event=Event.real(1), x=x, y=y, classes=tuple("abcde")
    )
    return whole.with_labels(labels, seed=1)


@pytest.mark.parametrize("fraction", [0.1, 0.125, 0.5, 0.9])
def test_fraction_is_reached_evenly(fraction):
    dataset = toy()
    more = oversample_labelled(dataset, fraction)
    known = more.y >= 0
    assert float(known.float().mean()) == pytest.approx(fraction, abs=1e-3)
    counts = torch.bincount(more.x[:, 0].long(), minlength=500)
    repeated = counts[dataset.y >= 0]
    assert int(repeated.max() - repeated.min()) <= 1
    assert (counts[dataset.y < 0] == 1).all()
    assert torch.equal(more.y[known], (more.x[known, 0].long() % 5))
    assert len(more.notes) == 1


def test_same_seed_same_rows():
    a, b = oversample_labelled(toy(), 0.3, seed=4), oversample_labelled(toy(), 0.3, seed=4)
    assert torch.equal(a.x, b.x)
    assert not torch.equal(a.x, oversample_labelled(toy(), 0.3, seed=5).x)


def test_enough_labels_are_left_alone():
    dataset = toy(labels=300)
    assert oversample_labelled(dataset, 0.1) is dataset


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_bad_fraction(fraction):
    with pytest.raises(ConfigError, match=r"must be in \(0, 1\)"):
        oversample_labelled(toy(), fraction)


def test_no_labels():
    dataset = toy()
    none = Dataset(name="x", split="train", event=dataset.event, x=dataset.x, y=None)
    with pytest.raises(DataError, match="no labelled examples"):
        oversample_labelled(none)

"""Embedded data: the files are the recorded ones, the splits and the binarization are fixed."""

import hashlib
import json
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.data.embedded import bernoulli, read_asset

ASSETS = Path(str(files("phosphene.data") / "assets"))
CHECKSUMS = json.loads((ASSETS / "checksums.json").read_text())


def digest(x: torch.Tensor) -> str:
    return hashlib.sha256(x.contiguous().numpy().tobytes()).hexdigest()[:16]


def test_every_asset_is_recorded_and_attributed() -> None:
    attribution = (ASSETS / "ATTRIBUTION.md").read_text()
    stored = {p.name for p in ASSETS.iterdir() if p.suffix not in {".md", ".json", ".py"}}
    assert stored == set(CHECKSUMS)
    for name, row in CHECKSUMS.items():
        assert f"## {name}" in attribution
        assert set(row["source"]) == {"package", "sha256", "license"}


@pytest.mark.parametrize("name", CHECKSUMS)
def test_checksums(name: str) -> None:
    row, path = CHECKSUMS[name], ASSETS / name
    assert path.stat().st_size == row["bytes"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
    arrays = read_asset(path.stem)
    assert set(arrays) == set(row["arrays"])
    for key, array in arrays.items():
        assert hashlib.sha256(array.tobytes()).hexdigest() == row["arrays"][key]


@pytest.mark.parametrize("row", ph.data.names(), ids=lambda row: row.name)
def test_every_name_loads_as_its_row_says(row: ph.data.Row) -> None:
    if row.requires is not None:
        pytest.importorskip({"scikit-image": "skimage"}[row.requires])
    parts = [ph.data.load(row.name, split) for split in ("train", "validation", "test")]
    assert tuple(map(len, parts)) == row.examples
    for part in parts:
        assert str(part.event) == row.event
        part.event.check(part.x)
        assert part.x.is_contiguous() or part.tokenizer or part.sample_rate  # overlapping chunks
        assert part.x.dtype == (torch.uint8 if part.event.discrete else torch.float32)
        assert part.event == parts[0].event
        assert part.classes == parts[0].classes
        assert part.context == parts[0].context
        if part.y is not None:
            assert part.y.dtype == torch.int64
            assert 0 <= part.y.min() <= part.y.max() < len(part.classes)
    again = ph.data.load(row.name, "train")
    assert torch.equal(again.x, parts[0].x)
    again.x.zero_()  # a caller who writes into a data set must not change the next one
    assert torch.equal(ph.data.load(row.name, "train").x, parts[0].x)


@pytest.mark.parametrize("name", ["mnist", "digits"])
def test_splits_are_disjoint_and_complete(name: str) -> None:
    arrays = read_asset(name)
    index = np.concatenate([arrays[s] for s in ("train", "validation", "test")])
    assert np.array_equal(np.sort(index), np.arange(len(arrays["x"])))


def test_mnist_is_stratified_and_in_random_order() -> None:
    whole = np.bincount(read_asset("mnist")["y"])
    for split, n in (("train", 8000), ("validation", 1000), ("test", 1000)):
        data = ph.data.load("mnist", split)
        assert data.y is not None
        assert np.abs(np.bincount(data.y) - whole * n / 10_000).max() < 2
        assert torch.unique(data.y[:100]).numel() == 10
    mean = read_asset("mnist")["x"].mean() / 255
    assert mean == pytest.approx(0.1311, abs=1e-4)


def test_digits_follow_the_published_split() -> None:
    order = np.random.RandomState(0).permutation(1797)
    arrays = read_asset("digits")
    assert np.array_equal(arrays["train"], order[:1297])
    assert np.array_equal(arrays["validation"], order[1297:1497])
    assert np.array_equal(arrays["test"], order[1497:])


def test_digits_are_scikit_learns() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    theirs = datasets.load_digits()
    assert np.array_equal(read_asset("digits")["x"], theirs.images)
    assert np.array_equal(read_asset("digits")["y"], theirs.target)
    binary = ph.data.load("digits-binary", "test")
    order = np.random.RandomState(0).permutation(1797)
    assert np.array_equal(binary.x[:, 0].numpy(), (theirs.images >= 8)[order[1497:]])


def test_mnist_binary_is_one_fixed_draw() -> None:
    found = {s: digest(ph.data.load("mnist-binary", s).x) for s in ("train", "validation", "test")}
    assert found == {
        "train": "0ed7c8996e1db39b",
        "validation": "1c9d4e5e63e257a8",
        "test": "d0249db4f3359c31",
    }


def test_mnist_binary_has_the_greys_as_probabilities() -> None:
    grey, bits = ph.data.load("mnist").x, ph.data.load("mnist-binary").x
    assert not bits[grey == 0].any()
    assert bits[grey == 255].all()
    p = torch.arange(256) / 255
    count = torch.bincount(grey.flatten(), minlength=256)
    ones = torch.bincount(grey.flatten(), bits.flatten(), minlength=256)
    z = (ones - count * p)[1:255] / (count * p * (1 - p))[1:255].sqrt()
    assert z.abs().max() < 4.5  # 254 normal deviates
    assert 0.8 < (z**2).mean() < 1.25


def test_bernoulli_draws_are_independent_of_their_neighbors() -> None:
    bits = bernoulli(np.full((1000, 1000), 51, dtype=np.uint8), 0).astype(float) - 0.2
    for shift in (1, 2, 1000):
        correlation = (bits.ravel()[shift:] * bits.ravel()[:-shift]).mean() / 0.16
        assert abs(correlation) < 4e-3  # four standard errors


def test_loading_mnist_is_quick() -> None:
    seconds = []
    for _ in range(3):
        read_asset.cache_clear()
        start = time.process_time()
        ph.data.load("mnist")
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.15


def test_listing_names_does_not_import_torch() -> None:
    code = "import sys, phosphene as ph; ph.data.names(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

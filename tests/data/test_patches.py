"""Patches of photographs: no pixel in two parts, and a sentence where scikit-image is missing."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.cli.main import main
from phosphene.core.errors import DataError
from phosphene.data import patches

SPLITS = ("train", "validation", "test")
needed = pytest.mark.skipif(
    importlib.util.find_spec("skimage") is None, reason="scikit-image is not installed"
)


def numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put regions whose codes say which they are in the place of photographs."""
    regions = np.zeros((40, 64, 64, 3), np.uint8)
    regions[..., 0] = np.arange(40)[:, None, None]
    regions[..., 1] = np.arange(64)[:, None]
    regions[..., 2] = np.arange(64)
    monkeypatch.setattr(patches, "_folder", lambda: Path())
    monkeypatch.setattr(patches, "_regions", lambda _: (regions, np.arange(40) % 3))


def test_no_region_is_in_two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    numbered(monkeypatch)
    parts = [patches.natural_patches(s) for s in SPLITS]
    seen = [set(p.x[:, 0].flatten().tolist()) for p in parts]
    assert [len(regions) for regions in seen] == [30, 5, 5]
    assert len(set.union(*seen)) == 40
    assert [len(p) for p in parts] == [30 * 49, 5 * 16, 5 * 16]
    for part in parts:
        assert part.y is not None
        assert torch.equal(part.y, part.x[:, 0, 0, 0].long() % 3)
        assert (part.x[:, 1] == part.x[:, 1, :1, :1] + torch.arange(16)[:, None]).all()
        assert (part.x[:, 2] == part.x[:, 2, :1, :1] + torch.arange(16)).all()
    corners = parts[2].x[:, :, 0, 0]  # region, row, column
    assert len(torch.unique(corners, dim=0)) == 5 * 16
    assert not (corners[:, 1:] % 16).any()  # side by side
    assert len(corners[:16, 0].unique()) > 1  # in no order


@needed
def test_patches_are_of_natural_images() -> None:
    train = ph.data.load("natural-patches")
    assert train.classes == ("astronaut", "chelsea", "coffee")
    gray = train.x.double().mean(1)
    a, b = gray[:, :, 1:].flatten(), gray[:, :, :-1].flatten()
    assert torch.corrcoef(torch.stack([a, b]))[0, 1] > 0.95
    assert all((train.y == k).any() for k in range(3))


@needed
def test_loading_does_not_import_scikit_image() -> None:
    load = "import sys, phosphene as ph; ph.data.load('natural-patches')"
    code = f"{load}; print('skimage' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_scikit_image_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(patches, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"needs the package 'scikit-image'.*phosphene\[images\]"):
        ph.data.load("natural-patches")
    assert main(["data", "natural-patches"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_missing_photograph_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no photograph 'astronaut\.png'"):
        patches._regions(tmp_path)
    assert not os.listdir(tmp_path)

"""Samples are of the label that was asked for, and files say which it was."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.subjects.dataset.drawing import sample
from phosphene.subjects.dataset.writing import save_drawn
from phosphene.train.folder import Run

CLASSES = 6


class Told(Model):
    """Draws an image that is as bright as its label."""

    def __init__(self, context: ContextSpec) -> None:
        super().__init__(Event.image(1, 2, levels=CLASSES), context=context)

    def sample(self, n: int, context: Context | None = None, *, generator: Any = None) -> Tensor:
        label = torch.zeros(n) if context is None or context.label is None else context.label
        return label.to(torch.uint8)[:, None, None, None].expand(n, 1, 2, 2).contiguous()


def run_of(model: Model, folder: Path) -> Run:
    about = SimpleNamespace(path=folder, model=model, config={}, place=lambda name: folder / name)
    return cast(Run, about)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_of(Told(ContextSpec(label=CLASSES)), tmp_path)


@pytest.mark.parametrize("label", range(CLASSES))
def test_one_label_is_given_to_every_sample(run: Run, label: int) -> None:
    drawn = sample(run, 7, label=label)
    assert drawn.x.unique().tolist() == [label]
    assert drawn.labels is not None
    assert drawn.labels.tolist() == [label] * 7


def test_without_one_labels_come_in_turn(run: Run) -> None:
    drawn = sample(run, 8)
    assert drawn.x[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
    assert drawn.labels is not None
    assert drawn.labels.tolist() == [0, 1, 2, 3, 4, 5, 0, 1]


@pytest.mark.parametrize("label", [None, 4])
def test_arrays_hold_the_labels_of_their_rows(run: Run, label: int | None, tmp_path: Path) -> None:
    drawn = sample(run, 8, label=label)
    (path,) = save_drawn(run, drawn, tmp_path / "drawn.npz")
    with np.load(path) as arrays:
        assert np.array_equal(arrays["x"][:, 0, 0, 0], arrays["y"])
        assert arrays["x"].dtype == np.uint8


@pytest.mark.parametrize("label", [-1, CLASSES])
def test_other_labels_are_refused(run: Run, label: int) -> None:
    with pytest.raises(ConfigError, match=f"label {label}"):
        sample(run, 3, label=label)


def test_a_model_without_labels_is_asked_for_none(tmp_path: Path) -> None:
    plain = run_of(Told(ContextSpec()), tmp_path)
    assert sample(plain, 3).labels is None
    with pytest.raises(ConfigError, match="not conditioned on a label"):
        sample(plain, 3, label=0)

"""p(y) is the frequency of labels in the whole training split, and not in the first batch."""

from pathlib import Path

import pytest
import torch

from phosphene.core.context import ContextSpec
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.data.dataset import Dataset
from phosphene.generative.autoregressive.fvsbn import FVSBN
from phosphene.generative.autoregressive.made import MADE
from phosphene.generative.composed.code_prior import CodePrior
from phosphene.subjects.dataset.source import DatasetSource
from phosphene.train.engine import Engine
from phosphene.train.runtime import Runtime
from phosphene.train.settings import Budget, TrainSettings

COUNTS = torch.tensor([60, 25, 5])
FREQUENCIES = (COUNTS + 1.0) / (COUNTS + 1.0).sum()
LABELS = ContextSpec(label=3)


def engine(model: Model, folder: Path, budget: str, labels: torch.Tensor = COUNTS) -> Engine:
    """Trains on examples of which 30 have no label, in batches of 10."""
    y = torch.cat((torch.arange(3).repeat_interleave(labels), torch.full((30,), -1)))
    shape = (len(y), *model.event.shape)
    x = torch.randint(2, shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    data = Dataset(
        name="skewed", split="train", event=model.event, x=x, y=y, classes=("a", "b", "c")
    )
    for name in ("model", "checkpoint"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return Engine(
        model, DatasetSource(data, 10, 0), TrainSettings(batch_size=10), Budget.parse(budget),
        folder, Runtime("cpu"), judge=None, listeners=(),
    )  # fmt: skip


@pytest.mark.parametrize("kind", [FVSBN, MADE])
def test_the_prior_over_labels_is_that_of_all_training_data(kind: type, tmp_path: Path) -> None:
    model = kind(Event.binary(6), context=LABELS)
    engine(model, tmp_path, "1steps").run()
    assert torch.allclose(model.log_prior.exp(), FREQUENCIES)


def test_a_prior_over_codes_is_told_too(tmp_path: Path) -> None:
    model = CodePrior(
        Event.image(1, 8, levels=2), context=LABELS, codes={"codes": 2, "hidden": 8},
        prior_system="fvsbn",
    )  # fmt: skip
    engine(model, tmp_path, "1steps").run()
    assert torch.allclose(model.prior.log_prior.exp(), FREQUENCIES)


def test_a_resumed_run_keeps_the_frequencies_that_it_has(tmp_path: Path) -> None:
    engine(FVSBN(Event.binary(6), context=LABELS), tmp_path, "1steps").run()
    model = FVSBN(Event.binary(6), context=LABELS)
    other = torch.tensor([10, 10, 70])
    engine(model, tmp_path, "2steps", other).run(resume=True)
    assert torch.allclose(model.log_prior.exp(), FREQUENCIES)


def test_labels_that_are_not_used_are_not_learned(tmp_path: Path) -> None:
    model = FVSBN(Event.binary(6))
    engine(model, tmp_path, "1steps").run()
    assert not hasattr(model, "log_prior")

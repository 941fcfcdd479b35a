"""Faults of training and of data: batches, noise, ranks, checkpoints, validation, splits."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from phosphene.core import batch
from phosphene.core.context import Context
from phosphene.data import splits
from phosphene.data.adapters import arrays
from phosphene.data.dataset import Dataset
from phosphene.subjects.dataset import source
from phosphene.subjects.dataset import subject as training
from phosphene.subjects.dataset.source import DatasetSource
from phosphene.train import folder, record
from phosphene.train.ema import EMA
from phosphene.train.judging import Judging
from tests.api import test_held_out
from tests.core import test_batch
from tests.data import test_splits
from tests.faults.fault import planted
from tests.train import test_engine, test_parts
from tests.train.toys import OnePhase

SMOOTH = {"ema": 0.9}


def no_moments(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torch.optim.Optimizer, "load_state_dict", lambda self, state: None)


def no_average(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EMA, "load_state_dict", lambda self, state: None)


planted("a resume drops the moments of the optimizer", "checkpoint",
        test_engine.test_resume_is_bit_exact, no_moments, OnePhase, {})  # fmt: skip
planted("the average of the weights is not restored", "average",
        test_engine.test_resume_is_bit_exact, no_average, OnePhase, SMOOTH)  # fmt: skip


def a_history(patch: pytest.MonkeyPatch) -> None:
    plain, asked = DatasetSource.indices, []

    def indices(self: DatasetSource, k: int) -> torch.Tensor:
        asked.append(k)
        return plain(self, len(asked))

    patch.setattr(DatasetSource, "indices", indices)


def one_seed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(source, "mix", lambda seed, *more: more[0])


def one_block(patch: pytest.MonkeyPatch) -> None:
    plain = batch.generator
    patch.setattr(batch, "generator", lambda *key, device="cpu": plain(*key[:-1], device=device))


def one_share(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(source, "share", lambda total, rank, world: (0, total // world))


planted("batch k depends on the batches before it", "source",
        test_parts.test_batches_are_functions_of_seed_and_number, a_history)  # fmt: skip
planted("the order of examples ignores the seed", "order of examples",
        test_parts.test_batches_are_functions_of_seed_and_number, one_seed)  # fmt: skip
planted("a block of noise is used again", "noise",
        test_batch.test_draws_steps_and_seeds_differ, one_block, "normal")  # fmt: skip
planted("ranks see the same rows", "ranks", test_parts.test_ranks_share_the_global_batch,
        one_share, 2)  # fmt: skip


def every_weight_is_the_best(patch: pytest.MonkeyPatch) -> None:
    plain = Judging.__call__

    def judged(self: Judging, progress: float) -> object:
        self.best = float("inf")
        return plain(self, progress)

    patch.setattr(Judging, "__call__", judged)


def judged_on_training(patch: pytest.MonkeyPatch) -> None:
    plain = training.DatasetSource
    seen: list[Dataset] = []

    def kept(dataset: Dataset, *more: object) -> DatasetSource:
        seen.append(dataset)
        return plain(dataset, *more)

    held_out = training.HeldOut
    patch.setattr(training, "DatasetSource", kept)
    patch.setattr(training, "HeldOut", lambda dataset, *more: held_out(seen[-1], *more))


def validation_split(tmp_path: Path) -> None:
    """What :mod:`tests.api.test_held_out` asks, of one run."""
    patch, judged = pytest.MonkeyPatch(), []
    inner = training.HeldOut

    def watched(*told: object) -> object:
        made = inner(*told)
        judged.append(made.dataset)
        return made

    with patch.context() as p:
        p.setattr(training, "HeldOut", watched)
        training_of = test_held_out.ph.train
        training_of("vae", data="digits-binary", budget="2steps", folder=tmp_path, threads=1,
                    name="run", latent_dim=2, hidden=(4,))  # fmt: skip
    (by,) = judged
    assert torch.equal(by.x, test_held_out.load("digits-binary", "validation").x)


planted("weights that are worse take the place of the best", "best weights",
        test_engine.test_the_best_is_remembered_when_a_run_goes_on, every_weight_is_the_best,
        (3.0, 1.0, 2.0, 2.0))  # fmt: skip
planted("weights are chosen by the training split", "validation", validation_split,
        judged_on_training)  # fmt: skip


def shifted_labels(patch: pytest.MonkeyPatch) -> None:
    plain = arrays.labels

    def labels(*told: object) -> object:
        label, classes = plain(*told)
        return np.roll(label, 1), classes

    patch.setattr(arrays, "labels", labels)


def leaking_split(patch: pytest.MonkeyPatch) -> None:
    whole = splits.divide
    patch.setattr(splits, "divide", lambda n, *held: dict.fromkeys(whole(n), np.arange(n)))


def rows_apart(patch: pytest.MonkeyPatch) -> None:
    plain = batch.Batch.__getitem__

    def cut(self: batch.Batch, rows: slice) -> batch.Batch:
        part, label = plain(self, rows), self.context.label
        assert label is not None
        return replace(part, context=Context(label=label[: len(part)]))

    patch.setattr(batch.Batch, "__getitem__", cut)


planted("labels are those of the examples before", "data adapter",
        test_splits.test_a_sorted_file_is_split_fairly, shifted_labels, "train")  # fmt: skip
planted("a split holds examples of another", "split",
        test_splits.test_a_limit_draws_from_the_whole_split, leaking_split)  # fmt: skip
planted("a micro-batch gets the context of another", "micro-batch",
        test_batch.test_a_batch_cuts_all_its_parts, rows_apart)  # fmt: skip


def links_are_refused(tmp_path: Path) -> None:
    """A part of a run that is a link would be written to where it leads."""
    (tmp_path / "run.json").write_text("{}")
    os.symlink(tmp_path.parent, tmp_path / "model")
    with pytest.raises(folder.RunError, match="is a link"):
        folder.Run(tmp_path).place("model")


def bombs_are_refused(tmp_path: Path) -> None:
    """A record of more bytes than any of ours is not read, whatever it holds."""
    path = tmp_path / "run.json"
    with path.open("wb") as file:
        file.write(b'{"a": 1}')
        file.truncate(record.MOST_JSON + 1)  # a hole, which takes no room
    with pytest.raises(folder.RunError, match="bytes"):
        record.read_json(path)


def follows_links(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(folder, "refuse_links", lambda path: None)


def reads_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(record, "_text", lambda path, most, errors="strict": '{"a": 1}')


planted("a run folder leads out of itself", "run folder", links_are_refused, follows_links)
planted("a record of any size is read", "run record", bombs_are_refused, reads_all)

"""Text: the embedded novel, its parts, and the user's own files."""

import json
from pathlib import Path

import pytest
import torch

import phosphene as ph
from phosphene.data.embedded import read_asset
from phosphene.data.text import STRIDE, chunks, cuts
from phosphene.data.tokenizers import CharacterTokenizer


def whole_text() -> str:
    arrays = read_asset("moby-dick")
    letters = arrays["vocabulary"].tobytes().decode("utf-8")
    return "".join(letters[i] for i in arrays["codes"].tolist())


def test_the_novel_is_whole_and_in_order() -> None:
    text = whole_text()
    assert len(text) == 1_190_317
    assert text.startswith("CHAPTER 1. Loomings.\n\nCall me Ishmael.")
    assert text.endswith("rolled on as it rolled five thousand years ago.\n")


def test_the_parts_follow_one_another_and_the_test_part_is_covered() -> None:
    text = whole_text()
    train, validation, test = (ph.data.load("moby-dick", s) for s in ("train", "val", "test"))
    for part in (train, validation, test):
        assert isinstance(part.tokenizer, CharacterTokenizer)
        assert part.tokenizer == train.tokenizer
    first, second = cuts(len(text), 256)
    assert test.tokenizer.decode(test.x) == text[second:]
    assert len(text[second:]) / len(text) == pytest.approx(0.1, abs=1e-4)
    assert validation.tokenizer.decode(validation.x) == text[first:second]
    assert train.tokenizer.decode(train.x[0]) == text[:256]
    assert train.tokenizer.decode(train.x[-1]) == text[:first][STRIDE * (len(train) - 1) :][:256]
    # No training chunk reaches into the validation part.
    assert STRIDE * (len(train) - 1) + 256 <= first
    # The vocabulary is that of the training part, and nothing else occurs.
    assert set(train.tokenizer.vocabulary) == set(text[:first]) == set(text)


def test_training_chunks_take_the_memory_of_the_text() -> None:
    train = ph.data.load("moby-dick", "train")
    assert train.x.untyped_storage().nbytes() < 1_000_000 < train.x.numel()
    index = torch.tensor([5, 0, 59_498])
    x, _ = train.take(index)
    assert torch.equal(x, train.x[index])


def test_chunks() -> None:
    x = torch.arange(23)
    assert torch.equal(chunks(x, 5, 5), torch.arange(20).view(4, 5))
    assert torch.equal(chunks(x, 5, 2)[:, 0], torch.arange(0, 19, 2))


def test_a_run_remembers_its_tokenizer(tmp_path: Path) -> None:
    run = ph.train("fvsbn", data="digits-binary", budget="1steps", folder=tmp_path, threads=1)
    assert json.loads((run.path / "run.json").read_text())["tokenizer"] is None

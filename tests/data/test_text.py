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


# -- the user's own text ----------------------------------------------------------------------


def test_a_file_is_cut_in_three_one_after_another(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    words = "".join(f"{i} " for i in range(700))
    path.write_text(words, encoding="utf-8")
    train, validation, test = (
        ph.data.load(f"text:{path}?length=16", s) for s in ("train", "validation", "test")
    )
    assert train.event == validation.event == test.event == ph.Event.tokens(16, 11)
    assert train.tokenizer == CharacterTokenizer(" 0123456789")
    first, second = cuts(len(words), 16)
    assert test.tokenizer.decode(test.x) == words[second:][: len(test) * 16]
    assert validation.tokenizer.decode(validation.x) == words[first:second]
    assert train.tokenizer.decode(train.x[::1][:, 0]) == words[:first][::STRIDE][: len(train)]
    assert any("left out" in note for note in test.notes) == bool(len(words[second:]) % 16)


def test_bytes_need_no_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Größe und Maß. " * 60, encoding="utf-8")
    data = ph.data.load(f"text:{path}?length=32&level=byte")
    assert data.event == ph.Event.tokens(32, 256)
    assert data.tokenizer.decode(data.x[0]).startswith("Größe und Maß.")


def test_a_folder_of_texts_and_its_named_parts(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("b" * 300)
    (tmp_path / "a.txt").write_text("a" * 300)
    (tmp_path / "ignored.md").write_text("z" * 300)
    data = ph.data.load(f"text:{tmp_path}?length=8")
    assert data.tokenizer.vocabulary == "\nab"
    assert data.tokenizer.decode(data.x[0]) == "a" * 8
    assert "2 files" in data.notes[0]
    for name, letter in (("train", "x"), ("val", "y"), ("test", "y")):
        (tmp_path / f"{name}.txt").write_text((letter + " ") * 30)
    data = ph.data.load(f"text:{tmp_path}?length=8", "test")
    assert data.tokenizer.decode(data.x[0]) == "� " * 4  # y is unknown to training
    assert data.tokenizer.vocabulary == " x�"
    assert "1 characters occur in held-out text alone" in data.notes[0]


def test_a_byte_order_mark_and_line_ends_are_no_characters(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf" + b"ab\r\n" * 50)
    assert ph.data.load(f"text:{path}?length=8").tokenizer.vocabulary == "\nab"


def test_more_than_256_characters_take_wider_codes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("".join(map(chr, range(0x4E00, 0x4E00 + 600))) * 3, encoding="utf-8")
    data = ph.data.load(f"text:{path}?length=20")
    assert data.event.levels == 600
    assert data.x.dtype == torch.int64
    assert data.tokenizer.decode(data.x[0]) == "".join(map(chr, range(0x4E00, 0x4E00 + 20)))

"""Text and sound that cannot be read, and questions that a model of them cannot answer."""

from pathlib import Path

import numpy as np
import pytest

import phosphene as ph
from phosphene.core.errors import ConfigError, DataError, PhospheneError, UnknownNameError
from phosphene.data.sound import wav_bytes


def refused(name: str, kind: type[PhospheneError], *parts: str, split: str = "train") -> None:
    """Loading raises one sentence of this kind that holds all parts."""
    with pytest.raises(kind) as caught:
        ph.data.load(name, split)
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


# Text


def test_missing_empty_and_short_text(tmp_path: Path) -> None:
    refused(f"text:{tmp_path / 'none.txt'}", DataError, "none.txt", "does not exist")
    refused(f"text:{tmp_path}", DataError, "holds no text (.txt)")
    empty = tmp_path / "a.txt"
    empty.touch()
    refused(f"text:{empty}", DataError, "a.txt", "it is empty")
    refused(f"text:{tmp_path}", DataError, "it is empty")
    empty.write_text("short text")
    refused(f"text:{empty}", DataError, "10 characters", "length must be 3 or less, got 256")
    refused(f"text:{empty}?length=0", ConfigError, "'length'", "above 0", "'0'")
    empty.write_text("a" * 900)
    refused(f"text:{empty}", DataError, "only the character 'a'")
    refused(f"text:{empty}?level=word", UnknownNameError, "level of text 'word'", "character")
    refused(f"text:{empty}?lenght=8", UnknownNameError, "did you mean 'length'?")


def test_text_in_another_encoding_names_file_and_place(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"caf\xe9 " * 500)
    refused(f"text:{path}", DataError, "latin.txt", "not UTF-8", "byte 3")


def test_a_named_part_may_not_miss_or_be_short(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("ab" * 400)
    refused(f"text:{tmp_path}", DataError, "none called validation")
    (tmp_path / "val.txt").write_text("ab")
    (tmp_path / "test.txt").write_text("ab")
    refused(f"text:{tmp_path}", DataError, "test part", "2 characters", "got 256", split="test")


def test_a_bare_path_says_what_reads_it(tmp_path: Path) -> None:
    for ending, reader in (("txt", "text"), ("wav", "wav"), ("npz", "npz")):
        path = tmp_path / f"a.{ending}"
        path.touch()
        refused(str(path), DataError, f"'{reader}:{path}'")


# Sound


def test_missing_empty_and_short_sound(tmp_path: Path) -> None:
    refused(f"wav:{tmp_path / 'none.wav'}", DataError, "none.wav", "does not exist")
    refused(f"wav:{tmp_path}", DataError, "holds no sound (.wav)")
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(np.zeros(0), 8000))
    refused(f"wav:{path}", DataError, "a.wav", "holds no samples")
    path.write_bytes(b"ID3 this is another format")
    refused(f"wav:{path}", DataError, "a.wav", "cannot be read as WAV", "PCM")
    path.write_bytes(wav_bytes(np.zeros(100), 8000))
    refused(f"wav:{path}", DataError, "100 samples", "length must be 33 or less, got 8000")
    refused(f"wav:{path}?levels=1", ConfigError, "levels must be from 2 to 65536, got 1")
    refused(f"wav:{path}?rate=0", ConfigError, "'rate'", "'0'")


def test_one_broken_file_of_many_is_named(tmp_path: Path) -> None:
    for i in range(6):
        (tmp_path / f"{i}.wav").write_bytes(wav_bytes(np.zeros(2000), 8000))
    refused(f"wav:{tmp_path}?length=9000", DataError, "the longest file", "2000 samples")
    for i in range(6):
        (tmp_path / f"{i}.wav").write_bytes(b"broken")
    refused(f"wav:{tmp_path}?length=100", DataError, ".wav'", "cannot be read as WAV")

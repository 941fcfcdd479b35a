"""Splits: disjoint, whole, drawn at random once and for all, whatever the order of the source."""

import itertools
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import phosphene as ph
from phosphene.data.splits import divide, locate

SPLITS = ("train", "validation", "test")


@given(st.integers(3, 3000))
def test_parts_are_disjoint_and_whole(n):
    parts = divide(n)
    every = np.concatenate([parts[s] for s in SPLITS])
    assert np.array_equal(np.sort(every), np.arange(n))
    assert len(parts["validation"]) == len(parts["test"]) == max(1, n // 10)


def test_each_part_of_a_sorted_source_holds_every_class():
    y = np.arange(2000) // 200
    for part in divide(2000).values():
        assert np.bincount(y[part], minlength=10).min() > 0.05 * len(part)


def test_the_order_is_the_one_of_all_runs_before():
    """Another order would score yesterday's models on what they were trained on."""
    parts = divide(20)
    assert parts["train"][:6].tolist() == [18, 1, 19, 8, 10, 17]
    assert parts["validation"].tolist() == [3, 0]
    assert parts["test"].tolist() == [15, 12]


def test_a_limit_draws_from_the_whole_split():
    y = np.arange(2000) // 200
    found = {split: locate("toy", split, {"all": 2000}, 100)[1] for split in SPLITS}
    for split, index in found.items():
        assert len(np.unique(index)) == 100
        assert np.isin(index, divide(2000)[split]).all(), "a limit takes from another split"
        assert (np.bincount(y[index], minlength=10) > 0).all()
    again = locate("toy", "train", {"all": 2000}, 100)[1]
    assert np.array_equal(again, found["train"])


def test_a_limit_of_a_stored_part_is_drawn_at_random():
    part, index = locate("toy", "test", {"train": 50, "test": 1000, "val": 50}, 200)
    assert part == "test"
    assert len(np.unique(index)) == 200
    # The mean of 200 of 0..999, within five deviations.
    assert abs(index.mean() - 499.5) < 5 * 289 / 200**0.5
    assert not np.array_equal(np.sort(index), np.arange(200))


@pytest.mark.parametrize("split", SPLITS)
def test_a_sorted_file_is_split_fairly(split, tmp_path):
    y = np.arange(400) // 100
    np.savez(tmp_path / "sorted.npz", x=np.eye(4)[y].astype(np.float32), y=y)
    for limit in ("", "?limit=30"):
        data = ph.data.load(f"npz:{tmp_path / 'sorted.npz'}{limit}", split)
        assert set(data.y.tolist()) == {0, 1, 2, 3}
        assert np.array_equal(data.x.argmax(1), data.y), "labels of other examples"


# -- one after another in time ----------------------------------------------------------------


def wav_of(path, signal, rate=8000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((signal * 32767).astype("<i2").tobytes())


def rising_sound(folder):
    wav_of(folder / "a.wav", np.linspace(-1, 1, 4000))
    return f"wav:{folder / 'a.wav'}?length=100&levels=4096"


def rising_sounds(folder):
    for name, part in zip("ab", np.split(np.linspace(-1, 1, 4000), 2), strict=True):
        wav_of(folder / f"{name}.wav", part)
    return f"wav:{folder}?length=100&levels=4096"


def rising_text(folder):
    (folder / "a.txt").write_text("".join(chr(0x4E00 + k) for k in range(2000)), encoding="utf-8")
    return f"text:{folder / 'a.txt'}?length=50"


@pytest.mark.parametrize("made", [rising_sound, rising_sounds, rising_text])
def test_a_sequence_is_cut_in_time(made, tmp_path):
    """Of a sequence that only rises, each part lies above the one before: none is met twice."""
    source = made(tmp_path)
    places = []
    for split in SPLITS:
        data = ph.data.load(source, split)
        if data.tokenizer is None:
            place = data.x.double()
        else:  # held-out characters are unknown to the tokenizer: those that are known rise
            told = [data.tokenizer.decode(row) for row in data.x]
            known = [[ord(c) for c in row if c != "\N{REPLACEMENT CHARACTER}"] for row in told]
            place = [v for row in known for v in row]
            if split != "train":
                assert not place, "held-out text was trained on"
                continue
            assert max(place) < 0x4E00 + 0.9 * 2000
            continue
        places.append((float(place.min()), float(place.max())))
    for (_, before), (after, _) in itertools.pairwise(places):
        assert before <= after, f"{source}: {places}"

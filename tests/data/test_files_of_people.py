"""Folders as people have them: what is a split, a class, a link, an image; what is passed over."""

import os
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import phosphene as ph
from phosphene.core.errors import DataError
from phosphene.data.adapters.files import files_below
from phosphene.data.adapters.keys import roles
from phosphene.data.splits import divide_by_name, named_splits
from tests.helpers.inputs import idx, picture, pictures

SPLITS = ("train", "validation", "test")


def shades(source: str) -> dict[str, tuple[float, float, int, tuple[str, ...]]]:
    found = {}
    for split in SPLITS:
        data = ph.data.load(source, split)
        found[split] = (float(data.x.min()), float(data.x.max()), len(data), data.classes)
    return found


# -- splits and classes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "layout",
    [
        "{Split}/{kind}", "{SPLIT}/{kind}", "seg_{split}/{kind}", "{split}2017/{kind}",
        "archive/scans/{Split}/{kind}", "{kind}/{split}", "archive/{kind}/{Split}",
    ],
)  # fmt: skip
def test_splits_are_recognized_however_they_are_written(tmp_path: Path, layout: str) -> None:
    for split, n, base in (("train", 20, 0), ("test", 6, 100)):
        for kind, shade in (("ill", 0), ("well", 100)):
            names = {"split": split, "Split": f"{split}ing".title(), "SPLIT": split.upper()}
            pictures(tmp_path / layout.format(kind=kind, **names), n, base + shade)
    source = f"folder:{tmp_path}?size=16"
    found = shades(source)
    assert [found[s][2] for s in SPLITS] == [36, 4, 12]
    assert {found[s][3] for s in SPLITS} == {("ill", "well")}
    test = ph.data.load(source, "test")
    assert float(test.x.min()) >= 100, "training images are tested on"
    assert (test.y.numpy() == (test.x.numpy().max((1, 2, 3)) >= 200)).all()


def test_splits_of_pairs_lie_on_either_side(tmp_path: Path) -> None:
    for split, n in (("Train", 12), ("Test", 5)):
        for side in ("Images", "Conditions"):
            pictures(tmp_path / "a" / side / split, n)
            pictures(tmp_path / "b" / split / side, n)
    for layout in "ab":
        found = [len(ph.data.load(f"folder:{tmp_path / layout}?size=8", s)) for s in SPLITS]
        assert found == [11, 1, 5]


def test_splits_of_sound_text_and_arrays(tmp_path: Path) -> None:
    for split, value in (("Training", 0.1), ("Testing", 0.9)):
        for k in range(4):
            place = tmp_path / "sound" / split / f"{k}.WAV"
            place.parent.mkdir(parents=True, exist_ok=True)
            with wave.open(str(place), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(np.full(400, value * 32767).astype("<i2").tobytes())
    sound = [ph.data.load(f"wav:{tmp_path / 'sound'}?length=100", s) for s in SPLITS]
    assert len(sound[2]) == 16
    assert len(sound[2].x.unique()) == len(sound[0].x.unique()) == 1
    assert int(sound[2].x.min()) != int(sound[0].x.min())

    (tmp_path / "text").mkdir()
    for split, letter in (("train", "ab"), ("valid", "ba"), ("test", "bb")):
        (tmp_path / "text" / f"x.{split}.TXT").write_text(letter * 50)
    (tmp_path / "text" / "about.txt").write_text("z")
    text = ph.data.load(f"text:{tmp_path / 'text'}?length=4", "test")
    assert text.tokenizer.decode(text.x[0]) == "bbbb"
    assert any("about.txt" in note for note in text.notes)

    x = np.arange(60, dtype=np.float32).reshape(30, 2)
    np.savez(tmp_path / "a.npz", X_Train=x[:20], X_Test=x[20:], Y_Train=np.arange(20) % 2)
    found = [len(ph.data.load(f"npz:{tmp_path / 'a.npz'}", s)) for s in SPLITS]
    assert found == [18, 2, 10]


def test_names_that_only_begin_like_splits_are_classes(tmp_path: Path) -> None:
    assert named_splits("a", ["train fare", "test tube", "strain"]) == {}
    for kind in ("valid", "invalid"):
        pictures(tmp_path / "coins" / kind, 10)
    data = ph.data.load(f"folder:{tmp_path / 'coins'}?size=8")
    assert data.classes == ("invalid", "valid")
    assert "taken for a class" in data.notes[0]
    for kind in ("val", "test"):
        pictures(tmp_path / "parts" / kind, 3)
    with pytest.raises(DataError, match="none called train"):
        ph.data.load(f"folder:{tmp_path / 'parts'}?size=8")
    with pytest.raises(DataError, match="would all be the validation part"):
        named_splits("a", ["train", "val", "dev"])
    with pytest.raises(DataError, match="would both be x"):
        roles("a.npz", ["x", "X"])


# -- links, hidden folders, endings, pixels ---------------------------------------------------


@pytest.mark.timeout(20)
def test_links_are_followed_once_and_hidden_folders_never(tmp_path: Path) -> None:
    for kind, shade in (("cats", 0), ("dogs", 100), ("birds", 180)):
        pictures(tmp_path / "store" / kind, 12, shade)
    root = tmp_path / "linked"
    pictures(root / "cats", 12)
    pictures(root / ".cache", 5)
    for kind in ("dogs", "birds"):
        (root / kind).symlink_to(tmp_path / "store" / kind)
    (root / "cats" / "above").symlink_to(root)
    (root / "again").symlink_to(root / "cats")
    found = shades(f"folder:{root}?size=16")
    assert sum(found[s][2] for s in SPLITS) == 36
    assert found["train"][3] == ("birds", "cats", "dogs")
    notes = ph.data.load(f"folder:{root}?size=16").notes
    assert any("1 hidden" in note for note in notes)
    assert any("2 links" in note for note in notes)
    (root / ".hidden.txt").write_text("h")
    (root / ".more").mkdir()
    (root / ".more" / "a.txt").write_text("h")
    assert files_below(root, (".txt",)).names == []


def test_every_format_that_is_decoded_is_read_and_the_rest_is_counted(tmp_path: Path) -> None:
    for k in range(4):
        picture(tmp_path / f"{k}.PNG", 80, k)
        picture(tmp_path / f"phone{k}.jfif", 80, k, format="JPEG")
        picture(tmp_path / f"scan{k}.tga", 80, k)
        picture(tmp_path / f"old{k}.pcx", 80, k)
        (tmp_path / f"{k}.heic").write_bytes(b"0")
    source = f"folder:{tmp_path}?size=16"
    assert sum(len(ph.data.load(source, s)) for s in SPLITS) == 16
    (note,) = ph.data.load(source).notes
    assert note == "left out 4 files of other endings: .heic (4)"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.float32([[0.0, 0.5], [1.0, 0.2]]), [0, 128, 255, 51]),
        (np.float32([[0.0, 127.0], [255.0, 3.0]]), [0, 127, 255, 3]),
        (np.uint16([[0, 257], [65535, 514]]), [0, 1, 255, 2]),
        (np.float32([[-1.0, 0.0], [1.0, 0.5]]), None),
        (np.float32([[0.0, 4000.0], [1.0, 0.5]]), None),
        (np.float32([[np.nan, 0.0], [1.0, 0.5]]), None),
        (np.int32([[0, 1], [2, 3]]), None),
    ],
)
def test_pixels_become_gray_levels_or_are_refused_by_name(tmp_path: Path, values, expected) -> None:
    for k in range(3):
        Image.fromarray(values).save(tmp_path / f"{k}.tif")
    source = f"folder:{tmp_path}?size=2"
    if expected is None:
        with pytest.raises(DataError, match=r"none of the 1 images .*tif \((reals|whole numbers)"):
            ph.data.load(source)
    else:
        assert ph.data.load(source).x.flatten().tolist() == expected


@pytest.mark.parametrize("inside", [True, False])
def test_a_folder_of_nearly_the_name_of_a_file_is_no_file(tmp_path: Path, inside: bool) -> None:
    x = np.arange(30 * 16, dtype=np.uint8).reshape(30, 4, 4)
    for part in ("train", "t10k"):
        for what, codes in (("images-idx3", x), ("labels-idx1", x[:, 0, 0])):
            name = f"{part}-{what}-ubyte"
            (tmp_path / name).mkdir()
            dotted = f"{part}-{what.replace('-', '.')}-ubyte"
            idx(tmp_path / name / name if inside else tmp_path / dotted, codes)
    data = ph.data.load(f"idx:{tmp_path}", "test")
    assert np.array_equal(data.x[:, 0].numpy(), x)
    assert np.array_equal(data.y.numpy(), x[:, 0, 0])


# -- data that grow ---------------------------------------------------------------------------


@given(
    names=st.sets(st.integers(0, 10**6), min_size=3, max_size=60),
    more=st.sets(st.integers(10**6, 10**7), max_size=60),
    held_out=st.sampled_from([SPLITS[1:], SPLITS[1:2], SPLITS[2:]]),
)
def test_what_was_trained_on_is_never_tested_later(names, more, held_out) -> None:
    before = [f"{k}.png" for k in sorted(names)]
    after = sorted([*before, *(f"{k}.png" for k in sorted(more)[: len(before)])])
    first, later = divide_by_name(before, held_out), divide_by_name(after, held_out)
    assert sorted(np.concatenate(list(first.values()))) == list(range(len(before)))
    assert all(len(part) for part in first.values())
    trained = {before[i] for i in first["train"]}
    if "test" in held_out:
        assert not trained & {after[i] for i in later["test"]}


def test_a_name_that_is_no_text_is_a_name(tmp_path: Path) -> None:
    for folder, shade in ((b"caf\xe9", 120), (b"tea", 0)):
        pictures(Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), folder))), 6, shade)
    data = ph.data.load(f"folder:{tmp_path}?size=8")
    assert data.classes == ("caf\udce9", "tea")

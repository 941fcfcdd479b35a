"""Data that cannot be read, or is not what it says it is: one sentence that says what to do."""

import gzip
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import phosphene as ph
from phosphene.core.errors import ConfigError, DataError, PhospheneError, UnknownNameError


def refused(name: str, kind: type[PhospheneError], *parts: str, split: str = "train") -> None:
    """Loading raises one sentence of this kind that holds all parts."""
    with pytest.raises(kind) as caught:
        ph.data.load(name, split)
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


def pictures(folder: Path, n: int, mode: str = "RGB", prefix: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        noise = np.random.RandomState(i).randint(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).convert(mode).save(folder / f"{prefix}{i}.png")


# Names and options


def test_unknown_names_offer_the_nearest() -> None:
    refused("mnits", UnknownNameError, "unknown data set 'mnits'", "did you mean 'mnist'?")
    refused("foldr:x", UnknownNameError, "did you mean 'folder'?")
    refused("digits", UnknownNameError, "unknown split 'tset'", "did you mean 'test'", split="tset")


def test_options_are_checked(tmp_path: Path) -> None:
    pictures(tmp_path, 3)
    refused("digits?size=3", ConfigError, "takes no argument or options")
    refused("folder:", ConfigError, "needs an argument", "folder:./photos")
    refused(f"folder:{tmp_path}?sise=3", UnknownNameError, "option of folder", "'size'")
    refused(f"folder:{tmp_path}?size=big", ConfigError, "size must be pixels", "'big'")
    refused(f"folder:{tmp_path}?size=0", ConfigError, "'0'")
    refused(f"folder:{tmp_path}?channels=2", ConfigError, "channels must be 1 (grey) or 3 (color)")
    refused(f"folder:{tmp_path}?levels=300", ConfigError, "levels must be from 2 to 256, got 300")
    refused(f"folder:{tmp_path}?limit=-1", ConfigError, "'limit'", "whole number above 0")


def test_a_bare_path_says_which_adapter(tmp_path: Path) -> None:
    refused(str(tmp_path), DataError, f"'folder:{tmp_path}'")


# Folders


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    refused(f"folder:{tmp_path / 'nowhere'}", DataError, "does not exist", "nowhere")
    refused(f"folder:{tmp_path}", DataError, "holds no images", ".png")
    (tmp_path / "a.txt").write_text("text")
    refused(f"folder:{tmp_path}", DataError, "holds no images")
    refused(f"folder:{tmp_path / 'a.txt'}", DataError, "is not a folder")


def test_mixed_channels_are_counted(tmp_path: Path) -> None:
    pictures(tmp_path, 7, "RGB", "color")
    pictures(tmp_path, 4, "L", "grey")
    parts = ("mixes 4 grey and 7 color images", "?channels=1 or ?channels=3")
    refused(f"folder:{tmp_path}", DataError, *parts)
    assert ph.data.load(f"folder:{tmp_path}?channels=1").event == ph.Event.image(1, 32)
    assert ph.data.load(f"folder:{tmp_path}?channels=3").event == ph.Event.image(3, 32)


def test_damaged_images_are_named_skipped_and_counted(tmp_path: Path) -> None:
    for part, n in (("train", 10), ("val", 3), ("test", 3)):
        pictures(tmp_path / part / "a", n)
        pictures(tmp_path / part / "b", n)
    whole = (tmp_path / "train" / "a" / "3.png").read_bytes()
    (tmp_path / "train" / "a" / "3.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "train" / "b" / "0.png").write_bytes(b"not an image at all")
    (tmp_path / "train" / "b" / "1.png").write_bytes(b"")
    train = ph.data.load(f"folder:{tmp_path}")
    assert len(train) == 17
    assert train.y is not None
    assert train.y.bincount().tolist() == [9, 8]
    (note,) = train.notes
    assert note.startswith("skipped 3 of 20 images that cannot be read: ")
    for named in ("a/3.png (truncated)", "b/0.png (not an image)", "b/1.png (not an image)"):
        assert named in note
    assert ph.data.load(f"folder:{tmp_path}", "test").notes == ()


def test_a_folder_of_damaged_images_only(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.jpg").write_bytes(b"\xff\xd8\xff broken")
    refused(f"folder:{tmp_path}", DataError, "none of the", "can be read", ".jpg")


def test_too_few_images_to_hold_any_out(tmp_path: Path) -> None:
    pictures(tmp_path, 2)
    assert len(ph.data.load(f"folder:{tmp_path}")) == 2
    refused(f"folder:{tmp_path}", DataError, "2 examples", "validation", split="validation")


# npz


def saved(tmp_path: Path, **arrays: np.ndarray) -> str:
    np.savez(tmp_path / "a.npz", **arrays)
    return f"npz:{tmp_path / 'a.npz'}"


def test_npz_with_nan_or_infinity(tmp_path: Path) -> None:
    x = np.zeros((20, 3), np.float32)
    x[4, 2], x[5, 0], x[19, 1] = np.nan, np.inf, -np.inf
    refused(saved(tmp_path, x=x), DataError, "3 NaN or infinite values", "the first at (4, 2)")
    x = np.zeros((20, 3))
    x[1, 1] = 1e300  # finite, but not as float32
    with np.errstate(all="raise"):
        refused(saved(tmp_path, x=x), DataError, "1 NaN or infinite value in x", "(1, 1)")


def test_npz_without_x(tmp_path: Path) -> None:
    arrays = {"images": np.zeros((3, 2)), "targets": np.zeros(3)}
    refused(saved(tmp_path, **arrays), DataError, "no array 'x'", "images, targets")


def test_npz_of_other_types(tmp_path: Path) -> None:
    x = np.zeros((20, 3))
    refused(saved(tmp_path, x=x.astype(np.int64)), DataError, "int64", "?levels=")
    refused(saved(tmp_path, x=x.astype(complex)), DataError, "complex128")
    refused(saved(tmp_path, x=np.array(["a"] * 20)), DataError, "x of type")
    refused(saved(tmp_path, x=np.array([None] * 20)), DataError, "objects, which are not loaded")
    refused(saved(tmp_path, x=np.float32(3)), DataError, "single number")
    refused(saved(tmp_path, x=np.zeros((20, 2, 2, 2, 2), np.uint8)), DataError, "(20, 2, 2, 2, 2)")
    refused(saved(tmp_path, x=np.zeros((0, 4), np.float32)), DataError, "0 examples")
    refused(saved(tmp_path, x=np.zeros((20, 0), np.float32)), PhospheneError, "size below 1")


def test_npz_codes_out_of_range(tmp_path: Path) -> None:
    x = np.zeros((20, 4), np.uint8)
    x[3, 1] = 17
    refused(saved(tmp_path, x=x) + "?levels=17", DataError, "1 code outside 0..16 in x", "(3, 1)")
    refused(saved(tmp_path, x=x / 2) + "?levels=17", DataError, "1 value that is not a whole code")
    refused(saved(tmp_path, x=x) + "?levels=1", ConfigError, "levels must be 2 or more, got 1")


def test_npz_labels_that_do_not_fit(tmp_path: Path) -> None:
    x = np.zeros((20, 3), np.float32)
    refused(saved(tmp_path, x=x, y=np.zeros(19)), DataError, "20 examples", "(19,)")
    refused(saved(tmp_path, x=x, y=np.full(20, 0.5j)), DataError, "not whole numbers")
    refused(saved(tmp_path, x=x, y=np.full(20, np.nan)), DataError, "not whole numbers")
    y = np.append(np.full(19, 0.5), np.nan)
    refused(saved(tmp_path, x=x, y=y), DataError, "1 NaN or infinite value in y", "(19)")
    refused(saved(tmp_path, x=x, y=np.full(20, -5)), DataError, "from -5 to -5")


def test_npz_that_is_damaged_or_something_else(tmp_path: Path) -> None:
    name = saved(tmp_path, x=np.random.RandomState(0).rand(100, 30))
    raw = (tmp_path / "a.npz").read_bytes()
    for cut in (len(raw) // 2, len(raw) - 10, 50):
        (tmp_path / "a.npz").write_bytes(raw[:cut])
        refused(name, DataError, "a.npz", "damaged or truncated")
    flipped = bytearray(raw)
    flipped[len(raw) // 2] ^= 255
    (tmp_path / "a.npz").write_bytes(flipped)
    refused(name, DataError, "damaged or truncated")
    (tmp_path / "a.npz").write_bytes(b"")
    refused(name, DataError, "damaged or truncated")
    np.save(tmp_path / "b.npy", np.zeros((4, 2)))
    refused(f"npz:{tmp_path / 'b.npy'}", DataError, "single array", "np.savez")
    refused(f"npz:{tmp_path / 'c.npz'}", DataError, "does not exist")


# IDX


def test_idx_damage(tmp_path: Path) -> None:
    header = bytes([0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 2])
    file, name = tmp_path / "train-images-idx3-ubyte", f"idx:{tmp_path}"
    refused(name, DataError, "no file train-images-idx3-ubyte")
    file.write_bytes(b"PNG!" + bytes(80))
    refused(name, DataError, "begins with 504e4721", "000008")
    file.write_bytes(header[:10])
    refused(name, DataError, "truncated or damaged")
    file.write_bytes(header + bytes(79))
    refused(name, DataError, "promises 20x2x2 bytes", "holds 79")
    file.write_bytes(bytes([0, 0, 13, 3]) + header[4:] + bytes(320))
    refused(name, DataError, "begins with 00000d03")
    file.write_bytes(gzip.compress(header + bytes(80))[:-12])
    refused(name, DataError, "damaged or truncated gzip")
    file.write_bytes(b"")
    refused(name, DataError, "begins with nothing")
    refused(f"idx:{tmp_path / 'nowhere'}", DataError, "does not exist")
    file.write_bytes(header + bytes(80))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3]))
    refused(name, DataError, "20 examples", "(3,)")


# Optional packages


@pytest.mark.parametrize(
    ("package", "name"), [("datasets", "hf:anything"), ("webdataset", "webdataset:a.tar")]
)
def test_missing_optional_packages_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.tar").write_bytes(b"")
    monkeypatch.setitem(sys.modules, package, None)
    refused(name, DataError, f"needs the package {package!r}", "pip install 'phosphene[hub]'")


def test_hugging_face_folders_that_are_none(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    refused(f"hf:{tmp_path}", DataError, "cannot be loaded")
    part = datasets.Dataset.from_dict({"text": ["a"] * 20})
    part.save_to_disk(str(tmp_path / "texts"))
    refused(f"hf:{tmp_path / 'texts'}", DataError, "no column of images, only text")
    name = f"hf:{tmp_path / 'texts'}?image=txt"
    refused(name, UnknownNameError, "column", "did you mean 'text'")


def test_webdataset_shards_that_are_none(tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    refused(f"webdataset:{tmp_path}/{{0..1}}.tar", DataError, "0.tar", "does not exist")
    with tarfile.open(tmp_path / "a.tar", "w"):
        pass
    refused(f"webdataset:{tmp_path}/a.tar", DataError, "hold no images")
    (tmp_path / "b.tar").write_bytes(b"this is no tar" * 100)
    refused(f"webdataset:{tmp_path}/b.tar", DataError, "cannot be read")

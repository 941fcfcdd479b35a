"""Adapters read what the tests write: folders of images, npz, IDX, Hugging Face, webdataset."""

import gzip
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import phosphene as ph
from phosphene.data.adapters.images import decode
from phosphene.data.splits import divide, locate

SPLITS = ("train", "validation", "test")


def picture(path: Path, color: object, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}
    Image.new(mode, size, color).save(path, **options)


def png(color: object, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (20, 20), color).save(file, "png")
    return file.getvalue()


# Splits


def test_division_is_fixed_disjoint_and_complete() -> None:
    parts = divide(103)
    assert [len(parts[s]) for s in SPLITS] == [83, 10, 10]
    assert sorted(np.concatenate(list(parts.values()))) == list(range(103))
    assert np.array_equal(parts["test"], divide(103)["test"])
    assert [len(v) for v in divide(3).values()] == [1, 1, 1]


def test_stored_splits_are_kept_in_order_and_missing_ones_are_cut_from_train() -> None:
    sizes = {"train": 20, "test": 7}
    assert locate("s", "test", sizes)[1].tolist() == list(range(7))
    train, validation = locate("s", "train", sizes)[1], locate("s", "validation", sizes)[1]
    assert sorted([*train, *validation]) == list(range(20))
    full = {"train": 20, "val": 3, "test": 7}
    assert locate("s", "train", full)[1].tolist() == list(range(20))
    assert locate("s", "validation", full)[0] == "val"


# Folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for i in range(10):
        picture(tmp_path / "cat" / f"{i}.png", (250, 20, 10 * i), size=(30 + i, 50))
        picture(tmp_path / "dog" / f"{i}.jpg", (20, 250, 10 * i), size=(64, 20 + i))
    return tmp_path


def test_folder_of_any_sizes_with_class_subfolders(photos: Path) -> None:
    parts = [ph.data.load(f"folder:{photos}?size=16", s) for s in SPLITS]
    assert [len(p) for p in parts] == [16, 2, 2]
    for part in parts:
        assert part.event == ph.Event.image(3, 16)
        assert part.classes == ("cat", "dog")
        assert part.context.label == 2
        assert part.x.dtype == torch.uint8
        assert part.x.is_contiguous()
        assert part.notes == ()
        assert part.y is not None
        assert torch.equal((part.x[:, 1, 8, 8] > 128).long(), part.y)
    # Each picture has its own blue: together the splits hold every picture once.
    blues = torch.cat([p.x[:, 2, 8, 8].float() + 1000 * p.y for p in parts])
    assert len(torch.unique((blues / 10).round())) == 20


def test_folder_is_the_same_every_time(photos: Path) -> None:
    once, again = (ph.data.load(f"folder:{photos}?size=8") for _ in range(2))
    assert torch.equal(once.x, again.x)
    assert once.name == f"folder:{photos}?size=8"


def test_folder_respects_split_subfolders(tmp_path: Path) -> None:
    for part, n, grey in (("train", 20, 10), ("val", 3, 100), ("test", 4, 200)):
        for i in range(n):
            picture(tmp_path / part / "ab"[i % 2] / f"{i}.png", grey, mode="L")
    for split, n, grey in zip(SPLITS, (20, 3, 4), (10, 100, 200), strict=True):
        part = ph.data.load(f"folder:{tmp_path}", split)
        assert part.x.shape == (n, 1, 32, 32)
        assert (part.x == grey).all()
        assert part.classes == ("a", "b")


def test_folder_without_classes_has_no_labels(tmp_path: Path) -> None:
    for i in range(5):
        picture(tmp_path / "only" / f"{i}.png", i, mode="L")
    part = ph.data.load(f"folder:{tmp_path}")
    assert part.y is None
    assert not part.context


def test_images_beside_class_subfolders_have_unknown_labels(photos: Path) -> None:
    picture(photos / "stray.png", (1, 2, 3))
    y = torch.cat([ph.data.load(f"folder:{photos}?size=8", s).y for s in SPLITS])
    assert torch.bincount(y + 1).tolist() == [1, 10, 10]


def test_hidden_and_other_files_are_left_out(photos: Path) -> None:
    (photos / "notes.txt").write_text("no image")
    picture(photos / ".cache" / "x.png", (0, 0, 0))
    picture(photos / "cat" / "._0.png", (0, 0, 0))
    assert sum(len(ph.data.load(f"folder:{photos}?size=8", s)) for s in SPLITS) == 20


def test_rectangles_and_limits(photos: Path) -> None:
    part = ph.data.load(f"folder:{photos}?size=12x18&channels=1&limit=5")
    assert part.x.shape == (5, 1, 12, 18)
    assert part.event == ph.Event.image(1, (12, 18))
    assert part.y is not None
    assert len(torch.unique(part.y)) == 2


def test_fewer_levels(tmp_path: Path) -> None:
    for i, grey in enumerate((0, 127, 128, 255)):
        picture(tmp_path / "train" / f"{i}.png", grey, mode="L")
        picture(tmp_path / "test" / f"{i}.png", grey, mode="L")
    for levels, codes in ((2, [0, 0, 1, 1]), (32, [0, 15, 16, 31]), (256, [0, 127, 128, 255])):
        part = ph.data.load(f"folder:{tmp_path}?levels={levels}", "test")
        assert part.event == ph.Event.image(1, 32, levels=levels)
        assert part.x[:, 0, 0, 0].tolist() == codes


def test_large_jpegs_are_resized_as_well_as_small_ones(tmp_path: Path) -> None:
    row, column = np.indices((800, 1000))
    wave = (128 + 60 * np.sin(row / 90) + 60 * np.cos(column / 70)).astype(np.uint8)
    Image.fromarray(wave).save(tmp_path / "a.jpg", quality=95)
    Image.fromarray(wave).save(tmp_path / "a.png")
    fast, exact = (decode(tmp_path / f"a.{kind}", (32, 32), 1) for kind in ("jpg", "png"))
    assert np.abs(fast.astype(int) - exact).max() <= 4


def test_images_are_cropped_around_their_center(tmp_path: Path) -> None:
    wide = np.zeros((10, 30), dtype=np.uint8)
    wide[:, 10:20] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (decode(tmp_path / "wide.png", (10, 10), 1) == 200).all()
    Image.fromarray(wide.T).save(tmp_path / "tall.png")
    assert (decode(tmp_path / "tall.png", (10, 10), 1) == 200).all()


def test_shrinking_is_antialiased(tmp_path: Path) -> None:
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "board.png")
    small = decode(tmp_path / "board.png", (16, 16), 1)
    assert np.abs(small.astype(int) - 127).max() <= 3


def test_exif_orientation_turns_the_image_upright(tmp_path: Path) -> None:
    image = Image.new("L", (40, 20), 0)
    image.paste(255, (0, 0, 20, 20))  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    image.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    upright = decode(tmp_path / "turned.jpg", (40, 20), 1)[0]
    assert upright[:18].min() > 240
    assert upright[22:].max() < 15


@pytest.mark.parametrize(
    ("mode", "color", "channels", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), 3, [255, 255, 255]),
        ("RGBA", (255, 0, 0, 255), 3, [255, 0, 0]),
        ("RGBA", (0, 0, 0, 51), 1, [204]),
        ("LA", (0, 0), 1, [255]),
        ("1", 1, 1, [255]),
        ("P", 0, 3, [0, 0, 0]),
        ("I;16", 257 * 77, 1, [77]),
        ("L", 9, 3, [9, 9, 9]),
        ("RGB", (0, 255, 0), 1, [150]),
    ],
)
def test_every_kind_of_png(
    tmp_path: Path, mode: str, color: object, channels: int, expected: list[int]
) -> None:
    picture(tmp_path / "a.png", color, mode=mode)
    codes = decode(tmp_path / "a.png", (4, 4), channels)
    assert codes.shape == (channels, 4, 4)
    assert codes[:, 0, 0].tolist() == expected
    assert (codes == codes[:, :1, :1]).all()


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 1), ("1", 1), ("RGB", 3)])
def test_channels_are_inferred(tmp_path: Path, mode: str, channels: int) -> None:
    for i in range(4):
        picture(tmp_path / f"{i}.png", 0 if mode != "LA" else (0, 255), mode=mode)
    assert ph.data.load(f"folder:{tmp_path}").event == ph.Event.image(channels, 32)


def test_a_palette_of_greys_is_grey(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / f"{i}.gif")
    assert ph.data.load(f"folder:{tmp_path}").event.shape[0] == 1


# npz


@pytest.mark.parametrize(
    ("x", "event"),
    [
        (np.zeros((20, 3, 8, 8), np.uint8), ph.Event.image(3, 8)),
        (np.zeros((20, 8, 6), np.uint8), ph.Event.image(1, (8, 6))),
        (np.zeros((20, 5), np.float64), ph.Event.real(5)),
        (np.zeros((20,), np.float32), ph.Event.real()),
        (np.zeros((20, 2, 3, 3), np.float16), ph.Event.real(2, 3, 3)),
        (np.zeros((20, 9), bool), ph.Event.binary(9)),
        (np.zeros((20, 9), np.uint8), ph.Event.tokens(9, 256)),
    ],
)
def test_npz_events(tmp_path: Path, x: np.ndarray, event: ph.Event) -> None:
    np.savez(tmp_path / "a.npz", x=x)
    parts = [ph.data.load(f"npz:{tmp_path / 'a.npz'}", s) for s in SPLITS]
    assert [len(p) for p in parts] == [16, 2, 2]
    for part in parts:
        assert part.event == event
        assert part.x.dtype == (torch.uint8 if event.discrete else torch.float32)
        event.check(part.x)


def test_npz_levels(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(60).reshape(20, 1, 1, 3) % 17)
    part = ph.data.load(f"npz:{tmp_path / 'a.npz'}?levels=17")
    assert part.event == ph.Event.image(1, (1, 3), levels=17)
    np.savez(tmp_path / "b.npz", x=np.ones((20, 4), np.uint8))
    assert ph.data.load(f"npz:{tmp_path / 'b.npz'}?levels=2").event == ph.Event.binary(4)
    assert "?levels=2" in ph.data.load(f"npz:{tmp_path / 'b.npz'}").notes[0]


def test_npz_labels_stay_with_their_examples(tmp_path: Path) -> None:
    x = np.arange(40, dtype=np.float32)[:, None]
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(40) % 4)
    np.savez(tmp_path / "b.npz", x=x, y=np.array(["dcba"[i % 4] for i in range(40)]))
    for split in SPLITS:
        part = ph.data.load(f"npz:{tmp_path / 'a.npz'}", split)
        assert part.classes == ("0", "1", "2", "3")
        assert torch.equal(part.x[:, 0].long() % 4, part.y)
        part = ph.data.load(f"npz:{tmp_path / 'b.npz'}", split)
        assert part.classes == ("a", "b", "c", "d")
        assert torch.equal(3 - part.x[:, 0].long() % 4, part.y)


def test_npz_with_splits(tmp_path: Path) -> None:
    arrays = {f"x_{s}": np.full((n, 2), n, np.float32) for s, n in (("train", 20), ("test", 7))}
    np.savez(tmp_path / "a.npz", **arrays, y_train=np.zeros(20, int), y_test=np.zeros(7, int))
    sizes = [len(ph.data.load(f"npz:{tmp_path / 'a.npz'}", s)) for s in SPLITS]
    assert sizes == [18, 2, 7]


# IDX


def write_idx(path: Path, x: np.ndarray) -> None:
    raw = bytes([0, 0, 8, x.ndim]) + struct.pack(f">{x.ndim}I", *x.shape) + x.tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_folder(tmp_path: Path, ending: str) -> None:
    x = np.arange(30 * 12, dtype=np.uint8).reshape(30, 3, 4)
    y = np.arange(30, dtype=np.uint8) % 10
    for prefix, n in (("train", 30), ("t10k", 10)):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte{ending}", x[:n])
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte{ending}", y[:n])
    test = ph.data.load(f"idx:{tmp_path}", "test")
    assert test.event == ph.Event.image(1, (3, 4))
    assert np.array_equal(test.x[:, 0].numpy(), x[:10])
    assert np.array_equal(test.y.numpy(), y[:10])
    assert [len(ph.data.load(f"idx:{tmp_path}", s)) for s in SPLITS] == [27, 3, 10]


def test_idx_single_file_with_and_without_labels(tmp_path: Path) -> None:
    x = np.arange(20 * 4, dtype=np.uint8).reshape(20, 2, 2)
    write_idx(tmp_path / "train-images.idx3-ubyte", x)
    assert ph.data.load(f"idx:{tmp_path / 'train-images.idx3-ubyte'}").y is None
    write_idx(tmp_path / "train-labels.idx1-ubyte", x[:, 0, 0])
    part = ph.data.load(f"idx:{tmp_path / 'train-images.idx3-ubyte'}")
    assert len(part) == 16
    assert torch.equal(part.x[:, 0, 0, 0].long(), part.y)


# Hugging Face


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["red", "blue"])}
    )

    def part(n: int) -> object:
        rows = {
            "picture": [
                {"bytes": png((255, 0, 0) if i % 2 == 0 else (0, 0, 255))} for i in range(n)
            ],
            "kind": [i % 2 for i in range(n)],
        }
        return datasets.Dataset.from_dict(rows, features=features)

    datasets.DatasetDict({"train": part(20), "test": part(6)}).save_to_disk(str(tmp_path / "two"))
    part(10).save_to_disk(str(tmp_path / "one"))
    return tmp_path


def test_hugging_face_saved_to_disk(saved: Path) -> None:
    sizes = []
    for split in SPLITS:
        part = ph.data.load(f"hf:{saved / 'two'}?size=8", split)
        sizes.append(len(part))
        assert part.event == ph.Event.image(3, 8)
        assert part.classes == ("red", "blue")
        assert torch.equal((part.x[:, 2, 4, 4] == 255).long(), part.y)
    assert sizes == [18, 2, 6]
    whole = [len(ph.data.load(f"hf:{saved / 'one'}?size=8", s)) for s in SPLITS]
    assert whole == [8, 1, 1]
    grey = ph.data.load(f"hf:{saved / 'one'}?size=8&channels=1&image=picture&label=kind&limit=3")
    assert grey.x.shape == (3, 1, 8, 8)


# webdataset


def write_shard(path: Path, first: int, n: int, *, labels: bool = True) -> None:
    with tarfile.open(path, "w") as tar:
        for i in range(first, first + n):
            files = {"png": png((10 * i, 0, 0))} | ({"cls": str(i % 3).encode()} if labels else {})
            for ending, data in files.items():
                info = tarfile.TarInfo(f"sample{i:04d}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("pattern", ["shard-{000..001}.tar", "shard-*.tar"])
def test_webdataset_shards(tmp_path: Path, pattern: str) -> None:
    pytest.importorskip("webdataset")
    write_shard(tmp_path / "shard-000.tar", 0, 12)
    write_shard(tmp_path / "shard-001.tar", 12, 8)
    reds = []
    for split, n in zip(SPLITS, (16, 2, 2), strict=True):
        part = ph.data.load(f"webdataset:{tmp_path}/{pattern}?size=8", split)
        assert part.x.shape == (n, 3, 8, 8)
        assert part.classes == ("0", "1", "2")
        assert torch.equal(part.x[:, 0, 0, 0].long() // 10 % 3, part.y)
        reds += part.x[:, 0, 0, 0].tolist()
    assert sorted(reds) == [10 * i for i in range(20)]
    limited = ph.data.load(f"webdataset:{tmp_path}/{pattern}?size=8&limit=10")
    assert len(limited) == 8


def test_webdataset_without_classes(tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    write_shard(tmp_path / "a.tar", 0, 5, labels=False)
    assert ph.data.load(f"webdataset:{tmp_path}/a.tar?size=8").y is None

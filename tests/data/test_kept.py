"""A folder of images is decoded once for all that is done with it, and again where it changed."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

import phosphene as ph
from phosphene.api.report import report
from phosphene.data.adapters import images, kept


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.RandomState(0).randint(0, 256, (40, 9, 9, 3), np.uint8)
    for k, one in enumerate(pixels):
        Image.fromarray(one).save(folder / f"{k:03}.png")
    return folder


@pytest.fixture
def decoded(monkeypatch):
    """The names of files as they are decoded."""
    seen, decode = [], images.decode
    kept._entries.clear()

    def counted(source, *told):
        seen.append(source.name)
        return decode(source, *told)

    monkeypatch.setattr(images, "decode", counted)
    return seen


def test_training_scores_and_report_decode_each_image_once(photos, decoded, tmp_path):
    run = ph.train(
        "vae", data=f"folder:{photos}?size=8", budget="4steps", folder=tmp_path, name="run",
        threads=1, hidden=(8,), latent_dim=2,
    )  # fmt: skip
    ph.evaluate(run, samples=20, particles=1)
    report(run, {})
    assert sorted(decoded) == sorted(path.name for path in photos.iterdir())


def test_what_has_changed_is_decoded_again(photos, decoded):
    name = f"folder:{photos}?size=8"
    first = ph.data.load(name, "train")
    n = len(decoded)
    assert torch.equal(ph.data.load(name, "train").x, first.x)
    assert len(decoded) == n
    other = photos / decoded[0]
    Image.new("RGB", (9, 9), "red").save(other)
    again = ph.data.load(name, "train")
    assert len(decoded) == 2 * n
    assert not torch.equal(again.x, first.x)


@pytest.mark.parametrize("what", ["changed", "written again in the same second"])
def test_times_tell_a_file_of_the_same_size(tmp_path, decoded, what):
    """Bitmaps are of one size whatever they show."""
    folder = tmp_path / "bitmaps"
    folder.mkdir()
    for k in range(10):
        Image.new("L", (9, 9), 20 * k).save(folder / f"{k}.bmp")
    before = ph.data.load(f"folder:{folder}?size=8", "train").x
    told = os.stat(folder / decoded[0])
    with (folder / decoded[0]).open("r+b") as file:  # the same file, so that its number stays
        file.seek(-99, os.SEEK_END)
        file.write(bytes([250] * 99))
    if what == "changed":
        os.utime(folder / decoded[0], ns=(told.st_atime_ns, told.st_mtime_ns + 10**9))
    else:  # by a copy that keeps dates: what changed the file's record is all that tells
        os.utime(folder / decoded[0], ns=(told.st_atime_ns, told.st_mtime_ns))
    assert not torch.equal(ph.data.load(f"folder:{folder}?size=8", "train").x, before)


def test_other_sizes_are_others(photos, decoded):
    shapes = [ph.data.load(f"folder:{photos}?size={s}", "test").x.shape[2] for s in (8, 6, 8)]
    assert shapes == [8, 6, 8]


def test_what_somebody_wrote_into_is_not_handed_out(photos, decoded):
    name = f"folder:{photos}?size=8"
    first = ph.data.load(name, "train").x
    before = first.clone()
    first.zero_()
    assert torch.equal(ph.data.load(name, "train").x, before)


def test_what_is_kept_takes_a_share_of_the_memory(photos, decoded, monkeypatch):
    name = f"folder:{photos}?size=8"
    monkeypatch.setattr(kept, "allowed", lambda: 4 * 5000)
    ph.data.load(name, "train")  # 32 images of 192 bytes
    assert not any(entry.pixels is not None for entry in kept._entries.values())
    ph.data.load(name, "test")
    assert sum(entry.size for entry in kept._entries.values()) <= 5000

"""Images, and shards of them, that would take more memory than data may."""

import bz2
import gzip
import os
import struct
import tarfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import phosphene as ph
from phosphene.data.adapters import images
from phosphene.data.condition_images import read_conditions
from tests.bad_input.limits import MIB, blank, modest, png, refused, shard, small_pictures

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("small_memory")]


# Images


def test_images_too_large_to_be_decoded_are_skipped_and_named(tmp_path: Path) -> None:
    small_pictures(tmp_path / "train", 10)
    for part in ("val", "test"):
        small_pictures(tmp_path / part, 3)
    blank(tmp_path / "train" / "wide.png", 12_000, 12_000)
    blank(tmp_path / "train" / "wider.png", 50_000, 50_000 // 40)
    blank(tmp_path / "train" / "huge.png", 60_000, 4)
    raw = (tmp_path / "train" / "huge.png").read_bytes()
    at = raw.index(b"IHDR") + 4
    fields = struct.pack(">II", 60_000, 60_000) + raw[at + 8 : at + 13]
    check = struct.pack(">I", zlib.crc32(b"IHDR" + fields))
    (tmp_path / "train" / "huge.png").write_bytes(raw[:at] + fields + check + raw[at + 17 :])
    frames = [Image.new("P", (8000, 6000), i) for i in range(3)]
    frames[0].save(tmp_path / "train" / "moves.gif", save_all=True, append_images=frames[1:])
    data = modest(f"folder:{tmp_path}?size=8")
    assert len(data) == 10
    (note,) = data.notes
    assert note.startswith("skipped 4 of 14 images that cannot be read: ")
    assert "wide.png (too large: 12000x12000 pixels would take 1.6 GiB of memory)" in note
    for name in ("huge.png (", "wider.png (too large", "moves.gif (too large"):
        assert name in note
    blank(tmp_path / "only.png", 12_000, 12_000)
    refused(
        lambda: read_conditions(tmp_path / "only.png", ph.Event.image(1, 8)),
        "only.png",
        "12000x12000 pixels",
    )


def test_many_large_images_wait_for_one_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lock, now, most = threading.Lock(), 0, 0
    plain = images.plain

    def watched(image: Image.Image) -> Image.Image:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        with lock:
            now -= 1
        return plain(image)

    monkeypatch.setattr(images, "plain", watched)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    for i in range(16):
        blank(tmp_path / f"{i}.png", 1000, 950)  # each may take 10.9 MiB
    for memory, together in (("16MiB", 1), ("32MiB", 2), ("1GiB", 8)):
        monkeypatch.setenv("PHOSPHENE_DATA_MEMORY", memory)
        most = 0
        data = ph.data.load(f"folder:{tmp_path}?size=8")
        assert len(data) == 14
        assert data.notes == ()
        assert most == together


def test_large_codes_are_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    small_pictures(tmp_path, 10)
    text = refused(f"folder:{tmp_path}?size=4096", "8 images of 1x4096x4096", "?limit=N")
    assert "128.0 MiB" in text
    blank(tmp_path / "large.png", 1000, 1000)
    # It could be decoded alone, but not beside the others.
    (tmp_path / "9.png").unlink()
    refused(f"folder:{tmp_path}?size=1150", "images while the largest are decoded")


def test_files_larger_than_memory_are_skipped(tmp_path: Path) -> None:
    small_pictures(tmp_path / "train", 5)
    for part in ("val", "test"):
        small_pictures(tmp_path / part, 3)
    for kind, begin in (("webp", b"RIFF\xff\xff\xff\x7fWEBPVP8 "), ("png", b"\x89PNG\r\n\x1a\n")):
        with (tmp_path / "train" / f"z.{kind}").open("wb") as file:
            file.write(begin)
            file.truncate(400 * MIB)  # takes no disk
    script = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n"
    (tmp_path / "train" / "zz.png").write_text(script)
    (note,) = ph.data.load(f"folder:{tmp_path}?limit=100").notes
    assert note.count("a file of 400.0 MiB would take") == 2
    assert "zz.png (PostScript is not run)" in note


# Shards


def test_names_of_files_are_never_run_or_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("webdataset")
    monkeypatch.chdir(tmp_path)
    for k, name in enumerate(("pipe:touch ran;.tar", "http:x.tar", "plain.tar")):
        shard(tmp_path / name, {f"{k}{i}.png": png() for i in range(5)})
    parts = [ph.data.load("webdataset:*.tar?size=8", s) for s in ("train", "val", "test")]
    assert sum(map(len, parts)) == 15
    assert not (tmp_path / "ran").exists()
    # What the user typed as a command is one.
    assert len(ph.data.load("webdataset:pipe:cat plain.tar && touch ran?size=8")) == 3
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, bytes])
def test_members_of_shards_that_are_large_when_unpacked(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    pytest.importorskip("webdataset")
    many = {f"a{i}.png": png() for i in range(12)}
    shard(tmp_path / "a.tar", many | {"b.png": bytes(100 * MIB)}, pack)
    name = f"webdataset:{tmp_path}/a.tar"
    refused(name, "the files of its images", "?limit=N")
    assert len(modest(f"{name}?size=8&limit=10")) == 8
    shard(tmp_path / "b.tar", {"a0.mp4": bytes(100 * MIB)} | many, pack)
    assert len(modest(f"webdataset:{tmp_path}/b.tar?size=8")) == 10


def test_headers_of_shards_have_an_end(tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 100 * MIB
    raw = info.tobuf() + b"a" * (100 * MIB) + bytes(1024)
    (tmp_path / "a.tar").write_bytes(gzip.compress(raw, 1))
    refused(f"webdataset:{tmp_path}/a.tar", "a header of more than 1.0 MiB")


def test_samples_end_with_their_shard(tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    for k in range(2):
        files = {"__meta__": b"x", "same.png": png(), "same.cls": str(k).encode(), "no-ending": b""}
        shard(tmp_path / f"{k}.tar", files | {"z.seg.png": b"mask", "z.PNG": png()})
    name = f"webdataset:{tmp_path}/*.tar?size=8"
    assert sum(len(ph.data.load(name, s)) for s in ("train", "val", "test")) == 4
    shard(tmp_path / "2.tar", {"a.png": png(), "a.PNG": png()})
    refused(name, "'a.PNG' twice")


# Hugging Face


def test_hugging_face_images_that_are_too_many(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [{"bytes": png() + bytes(MIB)} for _ in range(80)]
    features = datasets.Features({"image": datasets.Image()})
    part = datasets.Dataset.from_dict({"image": rows}, features=features)
    part.save_to_disk(str(tmp_path / "a"))
    del part, rows
    refused(f"hf:{tmp_path / 'a'}", "the files of the first 16 images", "?limit=N")
    assert ph.data.load(f"hf:{tmp_path / 'a'}?limit=10&size=8").x.shape == (10, 1, 8, 8)

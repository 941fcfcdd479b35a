"""Files that would exhaust the machine: refused in one sentence before they take its memory."""

import bz2
import gzip
import io
import os
import socket
import struct
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import phosphene as ph
from phosphene.core.errors import ConfigError, DataError, PhospheneError
from phosphene.data.adapters import images
from phosphene.data.condition_images import read_conditions

MIB = 2**20
SMALL = 16 * MIB
"""The memory that data may take here; the bombs would take 6 times as much."""

SLACK = 16 * MIB
"""Of the interpreter and its allocators."""

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOSPHENE_DATA_MEMORY", "16MiB")


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))


def peak(work: Callable[[], object]) -> int:
    """How much more memory the process had, at most, than before."""
    clear = Path("/proc/self/clear_refs")
    if not os.access(clear, os.W_OK):
        pytest.skip("the peak of memory cannot be measured here")
    clear.write_text("5")
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def refused(work: Callable[[], object] | str, *parts: str) -> str:
    """One sentence that holds all parts, and no more memory than is allowed."""
    load = (lambda: ph.data.load(work)) if isinstance(work, str) else work
    caught: list[PhospheneError] = []

    def attempt() -> None:
        with pytest.raises(DataError) as error:
            load()
        caught.append(error.value)

    assert peak(attempt) < SMALL + SLACK
    text = str(caught[0])
    assert "\n" not in text
    for part in parts:
        assert part in text, text
    return text


def modest(name: str) -> ph.data.Dataset:
    """A data set that is read within what is allowed."""
    found: list[ph.data.Dataset] = []
    assert peak(lambda: found.append(ph.data.load(name))) < SMALL + SLACK
    return found[0]


# The memory that is allowed


def test_the_variable_takes_units_and_refuses_what_is_no_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2000, 100), np.float32))
    for text in ("4GiB", "500 MB", "30000000", "1.5gib"):
        monkeypatch.setenv("PHOSPHENE_DATA_MEMORY", text)
        assert len(ph.data.load(f"npz:{tmp_path / 'a.npz'}")) == 1600
    monkeypatch.delenv("PHOSPHENE_DATA_MEMORY")
    assert len(ph.data.load(f"npz:{tmp_path / 'a.npz'}")) == 1600
    for text in ("lots", "0", "-1GiB", "", "1e9", "9" * 5000):
        monkeypatch.setenv("PHOSPHENE_DATA_MEMORY", text)
        with pytest.raises(ConfigError, match="PHOSPHENE_DATA_MEMORY must be memory such as 8GiB"):
            ph.data.load(f"npz:{tmp_path / 'a.npz'}")


def test_memory_that_runs_out_anyway_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((20, 4), np.float32))
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("phosphene.data.adapters.npz.from_arrays", fail)
        refused(f"npz:{tmp_path / 'a.npz'}", "a.npz", "more memory than", "?limit=N")


# npz


def header(shape: str, descr: str = "'<f4'", order: str = "False") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def archive(path: Path, **members: bytes) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stored:
        for name, content in members.items():
            stored.writestr(f"{name}.npy", content)
    return f"npz:{path}"


def bomb(path: Path, mode: str = "C") -> str:
    """100 MB of zeros in 100 kB."""
    x = np.zeros((25_000, 1000), np.float32, order="C" if mode == "C" else "F")
    np.savez_compressed(path, x=x, y=np.arange(25_000) % 3)
    return f"npz:{path}"


def test_npz_that_is_large_when_unpacked_is_refused_or_read_within_limit(tmp_path: Path) -> None:
    name = bomb(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").stat().st_size < 2 * MIB
    refused(
        name, "a.npz", "MiB of memory for x (25000, 1000)", "data may take 16.0 MiB", "?limit=N"
    )
    few = modest(f"{name}?limit=50")
    assert few.x.shape == (50, 1000)
    assert few.classes == ("0", "1", "2")


def test_npz_in_fortran_order_has_no_rows_and_is_admitted_whole(tmp_path: Path) -> None:
    refused(bomb(tmp_path / "a.npz", "F") + "?limit=50", "of memory for x (25000, 1000)")
    x = np.asfortranarray(np.random.RandomState(0).rand(300, 7))
    np.savez(tmp_path / "b.npz", x=x)
    np.savez(tmp_path / "c.npz", x=np.ascontiguousarray(x))
    both = [ph.data.load(f"npz:{tmp_path / f}?limit=9").x for f in ("b.npz", "c.npz")]
    assert torch.equal(*both)


def test_npz_limit_keeps_the_rows_that_it_would_of_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    x = np.random.RandomState(0).randint(0, 17, (9000, 5, 6), dtype=np.int16)
    np.savez_compressed(tmp_path / "a.npz", x=x, y=np.arange(9000), image=x.astype(np.uint8))
    name = f"npz:{tmp_path / 'a.npz'}?levels=17"
    few, whole = ph.data.load(f"{name}&limit=40"), ph.data.load(name)
    assert few.y is not None
    assert whole.y is not None
    assert torch.equal(few.x[:, 0], torch.from_numpy(x[few.y.numpy()]))
    assert torch.equal(whole.x[:, 0], torch.from_numpy(x[whole.y.numpy()]))
    assert few.image is not None
    assert torch.equal(few.image, few.x)


def test_npz_faults_are_counted_over_all_rows_whatever_the_limit(tmp_path: Path) -> None:
    x = np.zeros((200_000, 3), np.float32)
    x[[150_000, 190_000], 1] = np.nan
    np.savez(tmp_path / "a.npz", x=x)
    found = "2 NaN or infinite values in x, the first at (150000, 1)"
    refused(f"npz:{tmp_path / 'a.npz'}?limit=5", found)


def test_npz_headers_that_promise_what_is_not_there(tmp_path: Path) -> None:
    for shape in ("(1000000000, 1000)", "(100, 1)", f"({10**30}, 3)", "(2, 2)"):
        name = archive(tmp_path / "a.npz", x=header(shape) + bytes(40))
        refused(name, "a.npz", "damaged or truncated", "promises", "there are 40")
    for damaged in ("(-2, 3)", "(1.5, 3)", "x", "(" * 3000, str((1,) * 70)):
        refused(archive(tmp_path / "a.npz", x=header(damaged) + bytes(40)), "damaged or truncated")
    # Ten gigabytes of a header, of which one is there.
    raw = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + bytes(100 * MIB)
    refused(archive(tmp_path / "b.npz", x=raw), "damaged or truncated")


def test_npz_arrays_of_no_bytes_have_no_order(tmp_path: Path) -> None:
    for shape in ("(1000000000000, 0)", f"({10**18}, 0, 5)"):
        refused(archive(tmp_path / "a.npz", x=header(shape)), "the order of 10000000")
    refused(archive(tmp_path / "a.npz", x=header("(20, 0)", "'|u1'")), "size below 1")
    refused(archive(tmp_path / "a.npz", x=header("(20, 100000000000, 0)")), "size below 1")


def test_npz_directories_that_lie_about_sizes(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    name = archive(path, x=header("(20, 4)") + bytes(320))
    whole = path.read_bytes()
    at = whole.rindex(b"PK\x01\x02")
    for size in (0, 5, 2**31):
        path.write_bytes(whole[: at + 24] + struct.pack("<I", size) + whole[at + 28 :])
        refused(name, "damaged or truncated")
    # 300 MiB that the directory says are 400 bytes: they are not unpacked.
    archive(path, x=header("(20, 4)") + bytes(100 * MIB))
    whole = path.read_bytes()
    at = whole.rindex(b"PK\x01\x02")
    lie = len(header("(20, 4)")) + 320
    path.write_bytes(whole[: at + 24] + struct.pack("<I", lie) + whole[at + 28 :])
    refused(name, "damaged or truncated")


def test_npz_arrays_that_are_not_used_are_not_read(tmp_path: Path) -> None:
    plain = header("(20, 2)") + np.arange(40, dtype="<f4").tobytes()
    big = header("(25000, 1000)") + bytes(100_000_000)
    data = modest(archive(tmp_path / "a.npz", x=plain, other=big, x_train=big))
    assert len(data) == 16
    np.savez(tmp_path / "b.npz", x=np.zeros((20, 2)), names=np.array([None] * 3))
    assert len(ph.data.load(f"npz:{tmp_path / 'b.npz'}")) == 16


def test_npz_labels_are_looked_at_before_they_are_read(tmp_path: Path) -> None:
    plain = header("(20, 2)") + bytes(160)
    big = header("(25000000,)") + bytes(100_000_000)
    refused(archive(tmp_path / "a.npz", x=plain, y=big), "20 examples", "(25000000,)")
    wide = header("(20,)", "'<U1250000'") + bytes(100_000_000)
    refused(archive(tmp_path / "a.npz", x=plain, y=wide), "of memory for y", "whole numbers")
    wide = header("(20, 1000, 5000)", "'|u1'") + bytes(100_000_000)
    refused(archive(tmp_path / "a.npz", x=plain, image=wide), "of memory for image")


def test_npz_of_types_without_meaning(tmp_path: Path) -> None:
    record = header("(20,)", "[('a', '<f4'), ('b', '<i8')]") + bytes(240)
    refused(archive(tmp_path / "a.npz", x=record), "x of type")
    for descr, size in (("'<c8'", 8), ("'|S8'", 8), ("'<M8[s]'", 8)):
        name = archive(tmp_path / "a.npz", x=header("(20,)", descr) + bytes(20 * size))
        refused(f"{name}?levels=5", "x of type")
    refused(archive(tmp_path / "a.npz", x=header("(20,)", "'|V0'")), "damaged")
    np.savez(tmp_path / "b.npz", x=np.array([None] * 20))
    refused(f"npz:{tmp_path / 'b.npz'}", "objects, which are not loaded")


def test_npz_compressed_in_other_ways_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_BZIP2) as stored:
        stored.writestr("x.npy", header("(25000, 1000)") + bytes(100_000_000))
    refused(f"npz:{tmp_path / 'a.npz'}?limit=5", "compressed as np.savez_compressed does not")


# IDX


def idx_file(path: Path, n: int, body: int, pack: bool = True) -> str:
    raw = bytes([0, 0, 8, 3]) + struct.pack(">3I", n, 100, 100) + bytes(body)
    path.write_bytes(gzip.compress(raw) if pack else raw)
    return f"idx:{path}"


def test_idx_that_is_large_when_unpacked_is_refused_or_read_within_limit(tmp_path: Path) -> None:
    name = idx_file(tmp_path / "images-ubyte.gz", 10_000, 100_000_000)
    refused(name, "of memory for x (10000, 100, 100)", "?limit=N")
    assert modest(f"{name}?limit=30").x.shape == (30, 1, 100, 100)


def test_idx_bombs_stop_at_what_their_header_promises(tmp_path: Path) -> None:
    name = idx_file(tmp_path / "images-ubyte.gz", 20, 100_000_000)
    refused(name, "promises 20x100x100 bytes, and it holds more")
    name = idx_file(tmp_path / "images-ubyte.gz", 20, 199_999)
    refused(name, "promises 20x100x100 bytes, and it holds fewer")
    name = idx_file(tmp_path / "images-ubyte", 2**32 - 1, 1000, pack=False)
    refused(name, "promises 4294967295x100x100 bytes, and it holds 1000")


# Images


def blank(path: Path, width: int, height: int) -> None:
    """A PNG of black, gray pixels, in a thousandth of their size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", size) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def small_pictures(folder: Path, n: int) -> None:
    folder.mkdir(exist_ok=True)
    for i in range(n):
        Image.new("L", (20, 20), i).save(folder / f"{i}.png")


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


# Sound


def sound(path: Path, n: int, *, rate: int = 8000, channels: int = 1, bits: int = 8) -> bytes:
    body = bytes([128]) * n
    frame = channels * bits // 8
    head = struct.pack("<HHLLHH", 1, channels, rate, 0, frame % 65536, bits)
    path.write_bytes(
        b"RIFF" + bytes(4) + b"WAVEfmt " + struct.pack("<L", 16) + head
        + b"data" + struct.pack("<L", 2**32 - 1) + body
    )  # fmt: skip
    return path.read_bytes()


def test_sound_whose_rate_would_make_it_thousands_of_times_longer(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", 5000, rate=1)
    refused(f"wav:{tmp_path / 'a.wav'}", "a.wav", "5000 samples at 1 Hz", "shorter files")
    sound(tmp_path / "b.wav", 5000, rate=2**32 - 1)
    refused(f"wav:{tmp_path / 'b.wav'}", "5000 samples at 4294967295 Hz")
    sound(tmp_path / "c.wav", 5000)
    refused(f"wav:{tmp_path / 'c.wav'}?rate={10**12}", "5000 samples at 8000 Hz")
    refused(f"wav:{tmp_path / 'c.wav'}?length={10**30}", "length must be 1666 or less")


def test_long_sound_is_refused_before_it_is_read(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", 100)
    with (tmp_path / "a.wav").open("r+b") as file:
        file.truncate(400 * MIB)  # takes no disk
    refused(f"wav:{tmp_path / 'a.wav'}", "samples at 8000 Hz", "GiB of memory")


def test_a_data_chunk_that_claims_more_gives_what_is_there(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", 4000)
    assert len(modest(f"wav:{tmp_path / 'a.wav'}?length=100")) > 0
    sound(tmp_path / "b.wav", 65535 * 90, channels=65535)
    notes = modest(f"wav:{tmp_path / 'b.wav'}?length=30").notes
    assert any("65535 channels were averaged" in note for note in notes)


# Text


def test_text_larger_than_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"some text ")
    with (tmp_path / "a.txt").open("r+b") as file:
        file.truncate(200 * MIB)
    refused(f"text:{tmp_path / 'a.txt'}", "of memory for 200.0 MiB of text", "less text")
    refused(f"text:{tmp_path}", "of memory for 200.0 MiB of text")
    for split in ("train", "val", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "a.txt").write_text("some text " * 60_000)
    refused(f"text:{tmp_path}", "of memory for 1.7 MiB of text")


def test_text_within_its_estimate_takes_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    letters = "".join(map(chr, range(0x4E00, 0x4E00 + 300))) + "\U0001f600"
    for name, text in (("ascii", "plain text\r\n" * 400_000), ("wide", letters * 16_000)):
        path = tmp_path / f"{name}.txt"
        path.write_text(text, encoding="utf-8", newline="")
        allowed = 12 * path.stat().st_size
        monkeypatch.setenv("PHOSPHENE_DATA_MEMORY", str(allowed))
        assert peak(lambda path=path: ph.data.load(f"text:{path}")) < allowed + SLACK
        monkeypatch.setenv("PHOSPHENE_DATA_MEMORY", str(allowed - 1))
        with pytest.raises(DataError, match="of memory"):
            ph.data.load(f"text:{path}")


# Shards


def shard(path: Path, files: dict[str, bytes], pack: Callable[[bytes], bytes] = bytes) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    path.write_bytes(pack(raw.getvalue()))


def png() -> bytes:
    file = io.BytesIO()
    Image.new("L", (20, 20)).save(file, "png")
    return file.getvalue()


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


# What is no file


def no_files(folder: Path, ending: str) -> list[Path]:
    """A pipe, a socket, a device and a folder, by a link or not, of the name that is expected."""
    os.mkfifo(folder / f"pipe{ending}")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(folder)  # names of sockets are short
        server.bind(f"socket{ending}")
        os.chdir(here)
    (folder / f"zero{ending}").symlink_to("/dev/zero")
    (folder / f"link{ending}").symlink_to(folder / f"pipe{ending}")
    (folder / f"loop{ending}").symlink_to(folder / f"loop{ending}")
    return [folder / f"{kind}{ending}" for kind in ("pipe", "socket", "zero", "link", "loop")]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["npz", "idx", "text", "wav", "webdataset"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    if kind == "webdataset":
        pytest.importorskip("webdataset")
    for path in no_files(tmp_path, ".x"):
        if path.stem == "loop":
            continue
        what = {"pipe": "a pipe", "socket": "a socket", "zero": "a device", "link": "a pipe"}
        refused(f"{kind}:{path}", f"it is {what[path.stem]}, not a file")
    if kind not in ("idx", "text", "wav"):
        (tmp_path / "folder").mkdir()
        refused(f"{kind}:{tmp_path / 'folder'}", "it is a folder, not a file")


@pytest.mark.timeout(20)
def test_what_is_no_file_is_refused_or_skipped_in_folders(tmp_path: Path) -> None:
    small_pictures(tmp_path / "train", 10)
    for part in ("val", "test"):
        small_pictures(tmp_path / part, 3)
    no_files(tmp_path / "train", ".png")
    (text,) = ph.data.load(f"folder:{tmp_path}").notes
    for name in (
        "pipe.png (it is a pipe, not a file)",
        "link.png (it is a pipe, not a file)",
        "socket.png (it is a socket, not a file)",
        "zero.png (it is a device, not a file)",
        "loop.png (Too many levels",
    ):
        assert name in text
    (tmp_path / "sounds").mkdir()
    no_files(tmp_path / "sounds", ".wav")
    refused(f"wav:{tmp_path / 'sounds'}", "cannot be read: ")
    (tmp_path / "texts").mkdir()
    os.mkfifo(tmp_path / "texts" / "train.txt")
    for name in ("validation", "test"):
        (tmp_path / "texts" / f"{name}.txt").write_text("text")
    refused(f"text:{tmp_path / 'texts'}", "it is a pipe, not a file")
    (tmp_path / "idx").mkdir()
    os.mkfifo(tmp_path / "idx" / "train-images-idx3-ubyte")
    refused(f"idx:{tmp_path / 'idx'}", "it is a pipe, not a file")


@pytest.mark.timeout(20)
def test_conditions_and_maps_that_are_no_files(tmp_path: Path) -> None:
    from phosphene.decision.environments.tabular import grid

    for path in no_files(tmp_path, ".txt"):
        if path.stem != "loop":
            refused(lambda path=path: grid(str(path)), "not a file")
            refused(lambda path=path: read_conditions(path, ph.Event.image(1, 8)), "not a file")
    (tmp_path / "maze.txt").write_text("\n".join(["S" + "." * 999] * 1000))
    refused(lambda: grid(str(tmp_path / "maze.txt")), "of memory", "a smaller map")


# Options


def test_options_that_are_absurd(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((20, 4), np.uint8))
    with pytest.raises(ConfigError, match="levels must be 16777216 or less"):
        ph.data.load(f"npz:{tmp_path / 'a.npz'}?levels={10**20}")
    assert len(ph.data.load(f"npz:{tmp_path / 'a.npz'}?limit={10**30}")) == 16
    small_pictures(tmp_path, 5)
    with pytest.raises(ConfigError, match="size must be pixels"):
        ph.data.load(f"folder:{tmp_path}?size={'9' * 5000}")
    (tmp_path / "a.txt").write_text("some text " * 100)
    refused(f"text:{tmp_path / 'a.txt'}?length={10**30}", "length must be 333 or less")
    pytest.importorskip("webdataset")
    shard(tmp_path / "a.tar", {f"{i}.png": png() for i in range(5)})
    assert len(ph.data.load(f"webdataset:{tmp_path}/a.tar?limit={10**30}")) == 3

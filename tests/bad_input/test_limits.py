"""Files that would exhaust the machine: refused in one sentence before they take its memory."""

import os
import socket
import struct
from pathlib import Path

import numpy as np
import pytest

import phosphene as ph
from phosphene.core.errors import ConfigError, DataError
from phosphene.data.condition_images import read_conditions
from tests.bad_input.limits import MIB, SLACK, modest, peak, png, refused, shard, small_pictures

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("small_memory")]


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

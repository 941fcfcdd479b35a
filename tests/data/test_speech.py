"""Sound: the embedded speech, WAV files of every kind, resampling, mu-law."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.core.errors import DataError
from phosphene.data.embedded import read_asset
from phosphene.data.sound import mu_law_codes, read_wav, resample, signal_of, wav_bytes

SPLITS = ("train", "validation", "test")


def tone(hertz: float, seconds: float, rate: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def write_pcm(path: Path, signal: np.ndarray, rate: int, width: int, channels: int = 1) -> Path:
    whole = np.rint(signal * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    if width == 1:
        raw = (whole + 128).astype(np.uint8).tobytes()
    else:
        raw = b"".join(int(v).to_bytes(width, "little", signed=True) for v in whole.reshape(-1))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(raw)
    return path


# -- the embedded speech ----------------------------------------------------------------------


def test_no_phrase_is_in_two_parts() -> None:
    arrays = read_asset("speech")
    assert set(arrays["cuts"].tolist()) <= set(arrays["ends"].tolist())
    names = arrays["names"].tobytes().decode().split("\n")
    assert len(set(names)) == len(names) == len(arrays["ends"])


def test_held_out_windows_lie_side_by_side() -> None:
    arrays = read_asset("speech")
    _, second = arrays["cuts"].tolist()
    test = ph.data.load("speech", "test")
    flat = torch.tensor(arrays["codes"][second:])
    assert torch.equal(test.x.reshape(-1), flat[: len(test) * 4000])
    assert len(flat) - test.x.numel() < 4000


def test_speech_is_speech() -> None:
    train = ph.data.load("speech", "train")
    assert train.sample_rate == 8000
    assert train.x.untyped_storage().nbytes() < 2_000_000 < train.x.numel()
    signal = signal_of(train.x[::10].reshape(-1), 256)
    assert abs(signal.mean()) < 0.01 < signal.std()
    # Neighbouring samples of speech at 8 kHz resemble one another; those of noise do not.
    assert np.corrcoef(signal[1:], signal[:-1])[0, 1] > 0.8


# -- WAV files --------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width_gives_the_signal(tmp_path: Path, width: int) -> None:
    signal = tone(440, 0.05, 8000)
    found, rate, notes = read_wav(write_pcm(tmp_path / "a.wav", signal, 8000, width))
    assert rate == 8000
    assert np.abs(found - signal).max() < 2.0 ** (2 - 8 * width)
    assert bool(notes) == (width != 2)
    assert all(str(8 * width) in note for note in notes)


def test_an_extensible_header_is_read(tmp_path: Path) -> None:
    signal = tone(440, 0.05, 8000)
    plain = write_pcm(tmp_path / "a.wav", signal, 8000, 3).read_bytes()
    at = plain.index(b"fmt ")
    body = plain[at + 8 : at + 24]
    guid = b"\1\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
    wide = b"\xfe\xff" + body[2:] + b"\x16\0\x18\0\4\0\0\0" + guid
    header = b"RIFF" + (len(plain) + 16).to_bytes(4, "little") + b"WAVE"
    whole = header + b"fmt " + len(wide).to_bytes(4, "little") + wide + plain[at + 24 :]
    (tmp_path / "b.wav").write_bytes(whole)
    found, rate, _ = read_wav(tmp_path / "b.wav")
    assert rate == 8000
    assert np.abs(found - signal).max() < 1e-6


def test_channels_are_averaged_and_that_is_said(tmp_path: Path) -> None:
    left, right = tone(300, 0.02, 8000), tone(500, 0.02, 8000)
    path = write_pcm(tmp_path / "a.wav", np.stack([left, right], 1), 8000, 2, channels=2)
    found, _, notes = read_wav(path)
    assert np.abs(found - (left + right) / 2).max() < 1e-4
    assert notes == ("2 channels were averaged to one",)


def test_what_is_written_is_read_again() -> None:
    signal = tone(200, 0.1, 16000)
    with wave.open(io.BytesIO(wav_bytes(signal, 16000))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        found = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
    assert np.abs(found - signal).max() < 2e-5


def test_too_loud_a_signal_is_clipped_not_wrapped() -> None:
    with wave.open(io.BytesIO(wav_bytes(np.array([2.0, -2.0]), 8000))) as file:
        assert np.frombuffer(file.readframes(2), "<i2").tolist() == [32767, -32767]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be read as WAV"),
        (b"not a sound", "cannot be read as WAV"),
        (b"RIFF\x00\x00\x00\x00WAVE", "cannot be read as WAV"),
        (wav_bytes(np.zeros(0), 8000), "holds no samples"),
        (wav_bytes(np.zeros(9), 8000).replace(b"fmt \x10\0\0\0\1", b"fmt \x10\0\0\0\3"), "PCM"),
    ],
)
def test_a_file_that_is_no_sound_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"broken\.wav.*{says}"):
        read_wav(path)


def test_a_file_that_is_cut_short_gives_what_is_there(tmp_path: Path) -> None:
    whole = wav_bytes(tone(440, 0.1, 8000), 8000)
    path = tmp_path / "cut.wav"
    path.write_bytes(whole[:-101])
    assert len(read_wav(path)[0]) == 749


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.wav.*No such file"):
        read_wav(tmp_path / "none.wav")


# -- resampling and codes ---------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "wanted"), [(16000, 8000), (8000, 16000), (44100, 8000)])
def test_a_tone_stays_a_tone(rate: int, wanted: int) -> None:
    found = resample(tone(440, 0.2, rate), rate, wanted)
    expected = tone(440, 0.2, wanted)
    assert len(found) == len(expected)
    inner = slice(len(found) // 4, -len(found) // 4)
    assert np.abs(found[inner] - expected[inner]).max() < 2e-3


def test_what_is_above_half_the_new_rate_is_removed() -> None:
    found = resample(tone(6000, 0.2, 16000), 16000, 8000)
    assert np.abs(found[200:-200]).max() < 2e-3


def test_a_rate_that_is_the_same_changes_nothing() -> None:
    signal = tone(440, 0.01, 8000)
    assert resample(signal, 8000, 8000) is signal


@pytest.mark.parametrize("levels", [16, 256, 1024])
def test_mu_law_codes_come_back(levels: int) -> None:
    codes = torch.arange(levels)
    assert np.array_equal(mu_law_codes(signal_of(codes, levels), levels), codes.numpy())


# -- the user's own sound ---------------------------------------------------------------------


def test_one_file_is_cut_in_time(tmp_path: Path) -> None:
    write_pcm(tmp_path / "a.wav", tone(100, 2.0, 8000), 8000, 2)
    parts = [ph.data.load(f"wav:{tmp_path / 'a.wav'}?length=400", s) for s in SPLITS]
    assert [p.event for p in parts] == [ph.Event.audio(400, 256)] * 3
    assert parts[0].sample_rate == 8000
    assert [len(p) for p in parts] == [(12800 - 400) // 100 + 1, 4, 4]
    assert not parts[0].classes
    expected = mu_law_codes(tone(100, 2.0, 8000), 256)
    found = parts[2].x.reshape(-1).numpy().astype(int)
    assert np.abs(found - expected[-1600:]).max() <= 1  # 16 bits decide which side of 0 is near


def test_a_folder_is_split_by_file_and_its_subfolders_are_classes(tmp_path: Path) -> None:
    for name, hertz in (("low", 100.0), ("high", 1000.0)):
        (tmp_path / name).mkdir()
        for i in range(10):
            write_pcm(tmp_path / name / f"{i}.wav", tone(hertz, 0.2 + 0.01 * i, 8000), 8000, 2)
    parts = [ph.data.load(f"wav:{tmp_path}?length=800", s) for s in SPLITS]
    for part in parts:
        assert part.classes == ("high", "low")
        signal = signal_of(part.x, 256)
        crossings = (np.diff(np.sign(signal), axis=1) != 0).sum(1)
        assert np.array_equal(crossings > 100, part.y.numpy() == 0)
    assert len(parts[1]) >= 2
    assert any("do not fill a window" in note for note in parts[1].notes)


def test_conversions_are_counted_and_said(tmp_path: Path) -> None:
    for i in range(3):
        stereo = np.stack([tone(200, 0.3, 16000)] * 2, 1)
        write_pcm(tmp_path / f"a{i}.wav", stereo, 16000, 3, channels=2)
    for i in range(3):
        write_pcm(tmp_path / f"b{i}.wav", tone(200, 0.01, 8000), 8000, 2)
    for part in ("train", "val", "test"):
        (tmp_path / part).mkdir()
    for i, path in enumerate(sorted(tmp_path.glob("*.wav"))):
        path.rename(tmp_path / {4: "val", 5: "test"}.get(i, "train") / path.name)
    notes = "; ".join(ph.data.load(f"wav:{tmp_path}?length=1000").notes)
    assert "channels were averaged to one (3 of 4 files)" in notes
    assert "24 bits were converted (3 of 4 files)" in notes
    assert "16000 Hz was resampled to 8000 Hz (3 of 4 files)" in notes
    assert "1 files shorter than 1000 samples were filled with silence" in notes


def test_rate_and_levels_are_options(tmp_path: Path) -> None:
    write_pcm(tmp_path / "a.wav", tone(100, 1.0, 8000), 8000, 2)
    data = ph.data.load(f"wav:{tmp_path}?length=500&rate=4000&levels=16")
    assert (data.event, data.sample_rate) == (ph.Event.audio(500, 16), 4000)
    assert int(data.x.max()) < 16

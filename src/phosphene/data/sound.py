"""Sound: reading and writing WAV files, resampling, and mu-law codes.

The standard library reads the files; everything else is a few lines of numpy, so that sound needs
no package of its own.
"""

import io
import math
import struct
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.errors import DataError
from phosphene.data.codecs import MuLaw
from phosphene.data.limits import BLOCK, admit, regular

__all__ = [
    "ADVICE",
    "Wav",
    "mu_law_codes",
    "read_header",
    "read_wav",
    "resample",
    "resampling",
    "signal_of",
    "wav_bytes",
]

Signal = NDArray[np.float64]

_ZEROS = 16
"""Zero crossings of the resampling filter on each side."""

_EXTENSIBLE = 0xFFFE
ADVICE = "give fewer or shorter files"
"""What to do about sound that takes too much memory."""

_CHUNKS = 1000
"""That a file may have before its samples."""

_AT_ONCE = 4096
_MOST = 1 << 17
"""Samples that are resampled at once, and how many of their weights; of others, how many."""


@dataclass(frozen=True)
class Wav:
    """What the header of a PCM file says.

    Args:
        path: The file.
        width: Bytes of a sample.
        channels: How many there are.
        rate: Samples a second.
        frames: Samples of each channel that are there, whatever the header says.
        start: Where they begin.
    """

    path: Path
    width: int
    channels: int
    rate: int
    frames: int
    start: int


def read_header(path: Path) -> Wav:
    """Look at a file without reading its samples.

    Raises:
        DataError: The file is missing or no file, is no PCM WAV, or holds no samples.
    """
    size = regular(path)
    try:
        with path.open("rb") as file:
            kind, (start, held) = _chunks(file, size)
    except ValueError as error:
        raise DataError(
            f"{str(path)!r} cannot be read as WAV ({error}); uncompressed PCM files can"
        ) from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    _, channels, rate, _, _, bits = kind
    width = (bits + 7) // 8
    if width not in (1, 2, 3, 4) or rate < 1 or channels < 1:
        raise DataError(
            f"{str(path)!r} has {channels} channels of {bits} bits at {rate} Hz, not 8 to 32 bits"
        )
    frames = held // (width * channels)
    if not frames:
        raise DataError(f"{str(path)!r} holds no samples")
    return Wav(path, width, channels, rate, frames, start)


def _chunks(file: IO[bytes], size: int) -> tuple[tuple[int, ...], tuple[int, int]]:
    """The numbers of the format, and where samples begin and how many bytes of them there are."""
    begins = file.read(12)
    if begins[:4] != b"RIFF" or begins[8:] != b"WAVE":
        raise ValueError("it does not begin with RIFF and WAVE")
    kind, at = None, 12
    for _ in range(_CHUNKS):
        if len(head := file.read(8)) < 8:
            break
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"fmt ":
            body = file.read(min(length, 40))
            if len(body) < 16:
                raise ValueError("its format is cut short")
            kind = struct.unpack("<HHLLHH", body[:16])
            # 24 bits often have an extensible header, which says further on what it extends.
            code = body[24:26] if kind[0] == _EXTENSIBLE else body[:2]
            if code != b"\x01\x00":
                raise ValueError(f"its format is {int.from_bytes(code, 'little')}, not PCM")
        if head[:4] == b"data":
            if kind is None:
                raise ValueError("its samples come before their format")
            return kind, (at + 8, min(length, max(size - at - 8, 0)))
        at += 8 + length + length % 2
        file.seek(at)
    raise ValueError("it is cut short, and has no samples")


def read_wav(path: Path) -> tuple[Signal, int, tuple[str, ...]]:
    """The signal (n,) in [-1, 1] of a PCM file, its rate, and what was converted.

    Reads 8, 16, 24 and 32 bits; channels are averaged.

    Raises:
        DataError: The file is missing, is no PCM WAV, or holds no samples, or more than memory
            allows.
    """
    found = read_header(path)
    notes = []
    if found.channels > 1:
        notes.append(f"{found.channels} channels were averaged to one")
    if found.width != 2:
        notes.append(f"samples of {8 * found.width} bits were converted")
    admit(str(path), 8 * found.frames + 16 * BLOCK, f"{found.frames} samples", ADVICE)
    return _signal(found), found.rate, tuple(notes)


def _signal(wav: Wav) -> Signal:
    """The mean of the channels, read some frames at a time."""
    signal, frame = np.empty(wav.frames), wav.width * wav.channels
    step = max(1, _MOST // 4 // wav.channels)
    with wav.path.open("rb") as file:
        file.seek(wav.start)
        for start in range(0, wav.frames, step):
            stop = min(wav.frames, start + step)
            block = _reals(file.read((stop - start) * frame), wav.width)
            signal[start:stop] = block.reshape(-1, wav.channels).mean(1)
    return signal


def _reals(raw: bytes, width: int) -> Signal:
    """PCM samples on the scale [-1, 1]; 8 bits are unsigned, as the format has it."""
    if width == 1:
        return (np.frombuffer(raw, dtype=np.uint8).astype(np.float64) - 128) / 128
    if width == 3:  # put each three bytes in the upper part of four
        wide: NDArray[Any] = np.zeros((len(raw) // 3, 4), dtype=np.uint8)
        wide[:, 1:] = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3)
        return wide.reshape(-1).view("<i4").astype(np.float64) / 2**31
    return np.frombuffer(raw, dtype=f"<i{width}").astype(np.float64) / 2.0 ** (8 * width - 1)


def resample(signal: Signal, rate: int, wanted: int) -> Signal:
    """The signal at another rate, band-limited by a windowed sinc.

    With r = wanted/rate and c = min(1, r) the cutoff, y[m] = sum_k x[k] h(m / r - k), where
    h(t) = c sinc(c t) under a Hann window of 16 zero crossings on each side. Weights are divided by
    their sum, so that a constant stays one.

    Example:
        >>> resample(np.ones(8), 8000, 4000)
        array([1., 1., 1., 1.])
    """
    if rate == wanted:
        return signal
    common = math.gcd(rate, wanted)
    up, down = wanted // common, rate // common
    cutoff = min(1.0, up / down)
    reach = _reach(rate, wanted)
    n = -(-len(signal) * up // down)
    padded = np.pad(signal, reach + 1)
    inside = np.pad(np.ones_like(signal), reach + 1)
    offsets = np.arange(-reach, reach + 2)
    y = np.empty(n)
    step = max(1, min(_AT_ONCE, _MOST // len(offsets)))
    for start in range(0, n, step):
        m = np.arange(start, min(start + step, n))
        base, phase = np.divmod(m * down, up)
        t = phase[:, None] / up - offsets
        window = np.cos(0.5 * np.pi * np.clip(t * cutoff / _ZEROS, -1, 1)) ** 2
        h = np.sinc(cutoff * t) * window
        at = base[:, None] + offsets + reach + 1
        at = np.minimum(at, len(padded) - 1)
        y[m] = (padded[at] * h).sum(1) / (inside[at] * h).sum(1)
    return y


def _reach(rate: int, wanted: int) -> int:
    """Samples on each side that the filter looks at."""
    return math.ceil(_ZEROS / min(1.0, wanted / rate))


def resampling(n: int, rate: int, wanted: int) -> tuple[int, int]:
    """How many samples n become at another rate, and the bytes that it takes with the signal.

    Example:
        >>> resampling(8, 1, 8000)[0]
        64000
    """
    if rate == wanted:
        return n, 8 * n
    most = -(-n * wanted // rate)
    reach = _reach(rate, wanted)
    weights = max(_MOST, 2 * reach + 4)
    return most, 8 * (2 * n + most + 2 * (n + 2 * reach + 2) + 8 * weights)


def mu_law_codes(signal: Signal, levels: int) -> NDArray[Any]:
    """Codes of a signal in [-1, 1]; uint8, or int64 above 256 levels."""
    parts = torch.from_numpy(np.ascontiguousarray(signal)).split(_MOST)
    return torch.cat([MuLaw(levels).decode(part) for part in parts]).numpy()


def signal_of(codes: Tensor, levels: int) -> Signal:
    """The signal in [-1, 1] of mu-law codes, of their shape."""
    signal: Signal = MuLaw(levels).encode(codes.double().unsqueeze(0))[0].squeeze(0).numpy()
    return signal


def wav_bytes(signal: Signal, rate: int) -> bytes:
    """A WAV file of a signal (n,) in [-1, 1]: 16 bits, one channel.

    Example:
        >>> len(wav_bytes(np.zeros(100), 8000))
        244
    """
    pcm = np.rint(np.clip(signal, -1, 1) * 32767).astype("<i2")
    memory = io.BytesIO()
    with wave.open(memory, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.tobytes())
    return memory.getvalue()

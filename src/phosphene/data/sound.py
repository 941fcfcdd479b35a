"""Sound: reading and writing WAV files, resampling, and mu-law codes.

The standard library reads the files; everything else is a few lines of numpy, so that sound needs
no package of its own.
"""

import io
import math
import wave
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.errors import DataError
from phosphene.data.codecs import MuLaw

__all__ = ["mu_law_codes", "read_wav", "resample", "signal_of", "wav_bytes"]

Signal = NDArray[np.float64]

_ZEROS = 16
"""Zero crossings of the resampling filter on each side."""


def read_wav(path: Path) -> tuple[Signal, int, tuple[str, ...]]:
    """The signal (n,) in [-1, 1] of a PCM file, its rate, and what was converted.

    Reads 8, 16, 24 and 32 bits; channels are averaged.

    Raises:
        DataError: The file is missing, is no PCM WAV, or holds no samples.
    """
    try:
        with wave.open(io.BytesIO(_plain(path.read_bytes())), "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        why = str(error) or "it is cut short"
        raise DataError(
            f"{str(path)!r} cannot be read as WAV ({why}); uncompressed PCM files can"
        ) from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    if width not in (1, 2, 3, 4) or rate < 1:
        raise DataError(f"{str(path)!r} has samples of {8 * width} bits at {rate} Hz, not 8 to 32")
    whole = len(raw) - len(raw) % (width * channels)
    if not whole:
        raise DataError(f"{str(path)!r} holds no samples")
    signal = _reals(raw[:whole], width).reshape(-1, channels).mean(1)
    notes = []
    if channels > 1:
        notes.append(f"{channels} channels were averaged to one")
    if width != 2:
        notes.append(f"samples of {8 * width} bits were converted")
    return signal, rate, tuple(notes)


def _plain(data: bytes) -> bytes:
    """The file with an extensible header of PCM, as 24 bits often have, marked as plain PCM."""
    at = data.find(b"fmt ", 0, 4096) + 8
    extensible = at >= 8 and data[at : at + 2] == b"\xfe\xff"
    if extensible and data[at + 24 : at + 26] == b"\x01\x00":  # the kind of the extension
        return data[:at] + b"\x01\x00" + data[at + 2 :]
    return data


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
    reach = math.ceil(_ZEROS / cutoff)
    n = -(-len(signal) * up // down)
    padded = np.pad(signal, reach + 1)
    inside = np.pad(np.ones_like(signal), reach + 1)
    offsets = np.arange(-reach, reach + 2)
    y = np.empty(n)
    for start in range(0, n, 4096):
        m = np.arange(start, min(start + 4096, n))
        base, phase = np.divmod(m * down, up)
        t = phase[:, None] / up - offsets
        window = np.cos(0.5 * np.pi * np.clip(t * cutoff / _ZEROS, -1, 1)) ** 2
        h = np.sinc(cutoff * t) * window
        at = base[:, None] + offsets + reach + 1
        at = np.minimum(at, len(padded) - 1)
        y[m] = (padded[at] * h).sum(1) / (inside[at] * h).sum(1)
    return y


def mu_law_codes(signal: Signal, levels: int) -> NDArray[Any]:
    """Codes of a signal in [-1, 1]; uint8, or int64 above 256 levels."""
    return MuLaw(levels).decode(torch.from_numpy(np.ascontiguousarray(signal))).numpy()


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

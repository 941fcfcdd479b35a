"""``wav:PATH``: a WAV file, or a folder of them, in windows of mu-law codes."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.core.errors import ConfigError, DataError, listed
from phosphene.core.event import Event
from phosphene.core.paths import expanded
from phosphene.data.adapters.files import Named, classes_of, files_below, in_parts
from phosphene.data.dataset import Dataset, Split
from phosphene.data.limits import BLOCK, admit, within_memory
from phosphene.data.sound import ADVICE, mu_law_codes, read_header, read_wav, resample, resampling
from phosphene.data.splits import locate
from phosphene.data.text import cuts

__all__ = ["wav"]

Codes = NDArray[Any]
ENDINGS = (".wav", ".wave")
"""Of the names of sound files."""


@within_memory
def wav(
    argument: str,
    split: Split,
    *,
    length: int = 8000,
    rate: int = 8000,
    levels: int = 256,
) -> Dataset:
    """Read sound of any rate, width and number of channels; subfolders are classes.

    Subfolders or files called ``train``, ``validation`` (or ``val``) and ``test``, in small letters
    or capitals, are the splits; without them the names of the files decide which are held out,
    about a tenth for each, and fewer than three files are cut in time.
    Windows lie within a file: side by side in held-out parts, overlapping by three quarters in
    training. A file that is shorter than a window is filled up with silence. What was averaged,
    converted, resampled, filled up or left out is in the notes.

    Args:
        argument: A file, or a folder that holds ``.wav`` files.
        split: Which part.
        length: Samples in one example.
        rate: Samples a second; files at another rate are resampled.
        levels: Of the mu-law codes.

    Raises:
        ConfigError: There are fewer than 2 levels.
        DataError: There is no sound there, a file is no PCM WAV or is empty, it is too short, or
            it takes more memory than data may.
    """
    if not 2 <= levels <= 65536:
        raise ConfigError(f"levels must be from 2 to 65536, got {levels}")
    root = expanded(argument)
    parts, passed = _parts(argument, root)
    everything = [file for found in parts.values() for file in found]
    in_time = "" in parts and len(everything) < 3
    part, index = "", np.arange(len(everything))
    if not in_time:
        sizes = {name: len(found) for name, found in parts.items()}
        called = {name: [file.name for file in found] for name, found in parts.items()}
        part, index = locate(argument, split, sizes, None, called)
    chosen = [parts[part][i] for i in index]
    files = [root / file.path for file in chosen]
    sounds, notes = _sounds(argument, files, rate, levels)
    if in_time:
        sounds = [_in_time(argument, np.concatenate(sounds), split, length)]
    step = max(1, length // 4) if split == "train" else length
    windows, told = _windows(argument, sounds, length, step, levels)
    classes, numbers = classes_of([file.name for file in everything])
    number = {file.path: k for file, k in zip(everything, numbers, strict=True)}
    classes = () if in_time else classes
    y = [number[file.path] for file in chosen]
    counts = torch.tensor([len(found) for found in windows])
    return Dataset(
        name=argument,
        split=split,
        event=Event.audio(length, levels),
        x=torch.from_numpy(np.concatenate(windows)),
        y=torch.tensor(y).repeat_interleave(counts) if classes else None,
        classes=classes,
        sample_rate=rate,
        notes=(*passed, *notes, *told),
    )


def _parts(argument: str, root: Path) -> tuple[dict[str, list[Named]], tuple[str, ...]]:
    """Files by their split, or by "" where there are none, and notes."""
    if not root.exists():
        raise DataError(f"sound {argument!r} does not exist")
    if not root.is_dir():
        return {"": [Named("", root.name)]}, ()
    below = files_below(root, ENDINGS)
    if not below.names:
        some = f"; {listed(below.notes)}" if below.notes else ""
        raise DataError(f"folder {argument!r} holds no sound (.wav){some}")
    parts, notes = in_parts(argument, below.names)
    return parts, (*below.notes, *notes)


def _sounds(
    argument: str, files: list[Path], rate: int, levels: int
) -> tuple[list[Codes], list[str]]:
    """Codes of each file, and what was done to how many of them."""
    sounds, done, held = [], Counter[str](), 0
    for path in files:
        header = read_header(path)
        n, working = resampling(header.frames, header.rate, rate)
        made = f"{path.name} of {header.frames} samples at {header.rate} Hz"
        # Codes are of 1 or 8 bytes; on the way to them they are reals, some at a time.
        admit(argument, held + working + 2 * 8 * n + 16 * BLOCK, made, ADVICE)
        held += n * (1 if levels <= 256 else 8)
        signal, found, notes = read_wav(path)
        done.update(notes)
        if found != rate:
            done[f"sound at {found} Hz was resampled to {rate} Hz"] += 1
            signal = resample(signal, found, rate)
        sounds.append(mu_law_codes(signal, levels))
    of = f" of {len(files)} files" if len(files) > 1 else ""
    return sounds, [f"{what} ({n}{of})" if of else what for what, n in done.items()]


def _in_time(argument: str, codes: Codes, split: Split, length: int) -> Codes:
    """A part of one long sound: eight tenths, one, one."""
    if len(codes) < 3 * length:
        raise DataError(
            f"{argument!r} holds {len(codes)} samples, too few for three parts of one window; "
            f"length must be {max(1, len(codes) // 3)} or less, got {length}"
        )
    first, second = cuts(len(codes), length)
    bounds = {"train": (0, first), "validation": (first, second), "test": (second, None)}
    start, end = bounds[split]
    return codes[start:end]


def _windows(
    argument: str, sounds: list[Codes], length: int, step: int, levels: int
) -> tuple[list[Codes], list[str]]:
    """Windows (n, length) of each sound, and what was filled up or left out."""
    longest = max(map(len, sounds))
    if longest < length:
        raise DataError(
            f"the longest file of {argument!r} holds {longest} samples at this rate; "
            f"length must be {longest} or less, got {length}"
        )
    held = sum(max(length, len(codes)) for codes in sounds)
    made = sum(max(0, len(codes) - length) // step + 1 for codes in sounds)
    size = (2 * held + made * length) * sounds[0].itemsize
    admit(argument, size, f"{made} windows of {length} samples", ADVICE)
    silence = mu_law_codes(np.zeros(1), levels)[0]
    short = [len(codes) < length for codes in sounds]
    filled = [
        np.pad(codes, (0, max(0, length - len(codes))), constant_values=silence) for codes in sounds
    ]
    windows = [np.lib.stride_tricks.sliding_window_view(c, length)[::step] for c in filled]
    left = sum((len(c) - length) % step for c in filled)
    notes = []
    if any(short):
        notes.append(f"{sum(short)} files shorter than {length} samples were filled with silence")
    if left:
        notes.append(f"{left} samples at the ends of files do not fill a window and are left out")
    return windows, notes

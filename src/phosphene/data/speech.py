"""Speech that ships with the library: phrases of one speaker, as mu-law codes."""

import torch

from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split
from phosphene.data.embedded import read_asset
from phosphene.data.text import chunks

__all__ = ["speech"]

_LENGTH = 4000
_STRIDE = 400


def speech(split: Split) -> Dataset:
    """Phrases spoken by Allison Smith (8 kHz, mu-law): windows of 4,000 samples, half a second.

    The phrases of a part follow one another, 0.1 s apart, and windows cross their joins; no phrase
    is in two parts. Training windows start every 400 samples; held-out windows lie side by side,
    and the samples after the last whole one are left out.
    """
    arrays = read_asset("speech")
    first, second = (int(cut) for cut in arrays["cuts"])
    bounds = {"train": (0, first), "validation": (first, second), "test": (second, None)}
    start, end = bounds[split]
    codes = torch.tensor(arrays["codes"][start:end])  # a copy: the asset is shared
    told = "windows of 4000 samples (0.5 s) cross the joins of phrases"
    if split == "train":
        told += f" and start every {_STRIDE} samples"
    else:
        told += "; each is scored without the sound before it"
    return Dataset(
        name="speech",
        split=split,
        event=Event.audio(_LENGTH, 256),
        x=chunks(codes, _LENGTH, _STRIDE if split == "train" else _LENGTH),
        sample_rate=8000,
        notes=(told,),
    )

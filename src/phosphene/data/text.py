"""Text as sequences of character codes: the embedded novel, and what the ``text`` adapter shares.

A text is cut in three parts, one after another: training, validation, test. Training examples are
overlapping chunks (a strided view, so that they cost no memory); held-out examples are chunks side
by side, each of which starts without knowing what came before it.
"""

import torch
from torch import Tensor

from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split
from phosphene.data.embedded import read_asset
from phosphene.data.tokenizers import CharacterTokenizer

__all__ = ["STRIDE", "chunks", "cuts", "moby_dick"]

_LENGTH = 256
STRIDE = 16
"""Characters between the starts of training chunks."""


def moby_dick(split: Split) -> Dataset:
    """Moby-Dick (Melville, 1851): chunks of 256 of its 1,190,317 characters, 83 of them distinct.

    The text is the source's, with upper and lower case, line ends and typographic quotes. The last
    119,040 characters are the test part (465 chunks), the 119,040 before them validation.
    """
    arrays = read_asset("moby-dick")
    first, second = (int(cut) for cut in arrays["cuts"])
    tokenizer = CharacterTokenizer(arrays["vocabulary"].tobytes().decode("utf-8"))
    bounds = {"train": (0, first), "validation": (first, second), "test": (second, None)}
    start, end = bounds[split]
    codes = torch.tensor(arrays["codes"][start:end])  # a copy: the asset is shared
    stride = STRIDE if split == "train" else _LENGTH
    return Dataset(
        name="moby-dick",
        split=split,
        event=Event.tokens(_LENGTH, tokenizer.size),
        x=chunks(codes, _LENGTH, stride),
        tokenizer=tokenizer,
        notes=(chunk_note(_LENGTH, split),),
    )


def chunks(codes: Tensor, length: int, stride: int) -> Tensor:
    """Chunks (n, length) of a sequence, ``stride`` apart, as a view of its memory.

    Example:
        >>> chunks(torch.arange(7), 3, 2)
        tensor([[0, 1, 2],
                [2, 3, 4],
                [4, 5, 6]])
    """
    return codes.unfold(0, length, stride)


def cuts(n: int, length: int) -> tuple[int, int]:
    """Where validation and test start: the last two tenths of n, rounded up to whole chunks.

    Example:
        >>> cuts(1_190_317, 256)
        (952237, 1071277)
    """
    held_out = -(-n // (10 * length)) * length
    return n - 2 * held_out, n - held_out


def chunk_note(length: int, split: Split) -> str:
    """What a user must know to read the likelihood."""
    if split == "train":
        return f"training chunks of {length} start every {STRIDE} symbols and overlap"
    return f"each chunk of {length} is scored without the text before it"

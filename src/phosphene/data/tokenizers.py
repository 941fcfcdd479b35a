"""Tokenizers: text to codes and back, as values that a run remembers beside its model."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from phosphene.core.config import tagged
from phosphene.core.errors import ConfigError, DataError, listed

__all__ = ["ByteTokenizer", "CharacterTokenizer", "Tokenizer"]

_PIECE = 1 << 16
"""Characters that are encoded at once: what that computes takes 20 times their memory."""


@tagged
@dataclass(frozen=True)
class CharacterTokenizer:
    """One code for each character: its position in the vocabulary.

    Args:
        vocabulary: Every character that has a code, each once, in the order of their code points.

    Raises:
        ConfigError: The vocabulary has fewer than two characters, or is not in order.

    Example:
        >>> letters = CharacterTokenizer(" abc")
        >>> letters.encode("a cab")
        tensor([1, 0, 3, 1, 2], dtype=torch.uint8)
        >>> letters.decode(letters.encode("a cab"))
        'a cab'
    """

    vocabulary: str

    def __post_init__(self) -> None:
        points = _points(self.vocabulary)
        if len(points) < 2:
            raise ConfigError(f"a vocabulary needs two characters, got {self.vocabulary!r}")
        if not bool((np.diff(points.astype(np.int64)) > 0).all()):
            raise ConfigError("a vocabulary holds each character once, in order of code points")

    @classmethod
    def of(cls, text: str) -> "CharacterTokenizer":
        """The tokenizer whose vocabulary is the characters of this text."""
        return cls("".join(sorted(set(text))))

    @property
    def size(self) -> int:
        """The number of codes."""
        return len(self.vocabulary)

    def encode(self, text: str) -> Tensor:
        """Codes of the characters: uint8, or int64 where there are more than 256.

        Raises:
            DataError: A character is not in the vocabulary.
        """
        known = _points(self.vocabulary)
        codes = np.empty(len(text), np.uint8 if self.size <= 256 else np.int64)
        for start in range(0, len(text), _PIECE):
            points = _points(text[start : start + _PIECE])
            found = np.searchsorted(known, points)
            wrong = known[np.minimum(found, len(known) - 1)] != points
            if wrong.any():
                place = start + int(wrong.argmax())
                raise DataError(
                    f"character {text[place]!r} at position {place} is not in the vocabulary; "
                    f"known are the {self.size} characters {shown(self.vocabulary)}"
                )
            codes[start : start + len(points)] = found
        return torch.from_numpy(codes)

    def decode(self, codes: Tensor) -> str:
        """The text of codes (n,)."""
        return "".join(self.vocabulary[code] for code in _checked(codes, self.size))


@tagged
@dataclass(frozen=True)
class ByteTokenizer:
    """One code for each byte of the text's UTF-8 form: 256 codes, and no unknown characters.

    Bytes that are not UTF-8, as a model may generate, decode to the replacement character.

    Example:
        >>> ByteTokenizer().encode("né")
        tensor([110, 195, 169], dtype=torch.uint8)
        >>> ByteTokenizer().decode(ByteTokenizer().encode("né"))
        'né'
    """

    @property
    def size(self) -> int:
        """The number of codes."""
        return 256

    def encode(self, text: str) -> Tensor:
        """Codes of the bytes, uint8.

        Raises:
            DataError: The text holds half of a surrogate pair, which has no UTF-8 form.
        """
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(
                f"character {text[error.start]!r} at position {error.start} has no UTF-8 form"
            ) from None
        return torch.from_numpy(np.frombuffer(data, dtype=np.uint8).copy())

    def decode(self, codes: Tensor) -> str:
        """The text of codes (n,)."""
        return bytes(_checked(codes, 256)).decode("utf-8", errors="replace")


Tokenizer: TypeAlias = CharacterTokenizer | ByteTokenizer


def shown(vocabulary: str) -> str:
    r"""Characters as a sentence may hold them.

    Example:
        >>> shown("\n ab")
        "'\\n', ' ', 'a', 'b'"
    """
    return listed([repr(c) for c in vocabulary], most=120)


def _points(text: str) -> "np.ndarray[tuple[int], np.dtype[np.uint32]]":
    """Code points (n,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _checked(codes: Tensor, size: int) -> list[int]:
    flat = codes.reshape(-1).to(torch.int64)
    if flat.numel() and not 0 <= int(flat.min()) <= int(flat.max()) < size:
        raise DataError(
            f"codes must lie in 0..{size - 1}, got values from {int(flat.min())} "
            f"to {int(flat.max())}"
        )
    values: list[int] = flat.tolist()
    return values

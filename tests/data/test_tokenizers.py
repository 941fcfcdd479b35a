"""Tokenizers: decode inverts encode, and what has no code is refused in one sentence."""

import random

import pytest
import torch

from phosphene.core.config import decode, encode
from phosphene.core.errors import ConfigError, DataError
from phosphene.data.tokenizers import ByteTokenizer, CharacterTokenizer

ALPHABETS = [
    "ab",
    " abc\nXYZ",
    "—\u2019“”é",
    "\U0001f40b\U0001f433 a",
    "".join(map(chr, range(32, 800))),
]


def drawn(alphabet: str, n: int, seed: int) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=n))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_decode_inverts_encode(alphabet: str, seed: int) -> None:
    text = drawn(alphabet, 50 * seed, seed)
    for tokenizer in (CharacterTokenizer.of(alphabet), ByteTokenizer()):
        codes = tokenizer.encode(text)
        assert tokenizer.decode(codes) == text
        assert tokenizer.decode(codes.double()) == text
        assert codes.dtype == (torch.uint8 if tokenizer.size <= 256 else torch.int64)
    assert len(CharacterTokenizer.of(alphabet).encode(text)) == len(text)


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_encode_inverts_decode(alphabet: str) -> None:
    tokenizer = CharacterTokenizer.of(alphabet)
    codes = torch.randint(tokenizer.size, (200,), generator=torch.Generator().manual_seed(1))
    assert torch.equal(tokenizer.encode(tokenizer.decode(codes)).long(), codes)


def test_bytes_that_are_not_text_still_decode() -> None:
    assert ByteTokenizer().decode(torch.tensor([255, 97])) == "�a"


@pytest.mark.parametrize("tokenizer", [CharacterTokenizer("\n ab"), ByteTokenizer()])
def test_they_survive_json(tokenizer: CharacterTokenizer | ByteTokenizer) -> None:
    assert decode(encode(tokenizer)) == tokenizer


def test_an_unknown_character_is_named_with_its_position() -> None:
    with pytest.raises(DataError, match=r"character 'x' at position 2 .* 3 characters ' ', 'a'"):
        CharacterTokenizer(" ab").encode("abxx")
    with pytest.raises(DataError, match=r"character '~' at position 0"):  # after the last of them
        CharacterTokenizer(" ab").encode("~")
    with pytest.raises(DataError, match=r"position 1 has no UTF-8 form"):
        ByteTokenizer().encode("a\ud800")


@pytest.mark.parametrize("vocabulary", ["", "a", "ba", "aab"])
def test_a_vocabulary_is_a_set_in_order(vocabulary: str) -> None:
    with pytest.raises(ConfigError, match="vocabulary"):
        CharacterTokenizer(vocabulary)


@pytest.mark.parametrize("code", [-1, 3])
def test_codes_outside_the_vocabulary_are_refused(code: int) -> None:
    with pytest.raises(DataError, match=r"codes must lie in 0\.\.2"):
        CharacterTokenizer(" ab").decode(torch.tensor([0, code]))

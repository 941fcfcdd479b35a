"""How the examples of a run are read: column names and tokenizer, from its record."""

from phosphene.core.config import decode
from phosphene.core.errors import RunError
from phosphene.data.tokenizers import Tokenizer
from phosphene.train.folder import Run

__all__ = ["columns_of", "tokenizer_of"]


def columns_of(run: Run) -> list[str]:
    """The names of the values, of a run on a table."""
    return list(run.config.get("columns", ()))


def tokenizer_of(run: Run) -> Tokenizer | None:
    """What turns codes into text, for a run that was trained on text."""
    stored = run.config.get("tokenizer")
    tokenizer: Tokenizer | None = None if stored is None else decode(stored)
    if not isinstance(tokenizer, Tokenizer | None):
        raise RunError(f"{str(run.path)!r} names a tokenizer that turns nothing into text")
    return tokenizer

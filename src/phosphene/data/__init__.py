"""Data sets, codecs and adapters: ``ph.data.load("mnist")`` or ``ph.data.load("folder:./photos")``.

Listing the names costs nothing: torch is imported when a data set is.

Example:
    >>> import phosphene as ph
    >>> ph.data.load("digits-binary", "test").x[:2].shape
    torch.Size([2, 1, 8, 8])
"""

import importlib
from typing import TYPE_CHECKING, Any

from phosphene.data.table import Adapter, Row, names

if TYPE_CHECKING:
    from phosphene.data.dataset import Dataset, Split
    from phosphene.data.loading import load

__all__ = ["Adapter", "Dataset", "Row", "Split", "load", "names"]

_LAZY = {
    "Dataset": "phosphene.data.dataset",
    "Split": "phosphene.data.dataset",
    "load": "phosphene.data.loading",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'phosphene.data' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value

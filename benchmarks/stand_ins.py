"""Importing a peer whose package imports more than what is measured."""

import importlib
import importlib.util
import sys
from types import ModuleType
from unittest import mock

from benchmarks.common import MODULES

__all__ = ["imported"]

_VISION = ("torchvision", "torchvision.transforms", "torchvision.utils")
_FID = ("pytorch_fid", "pytorch_fid.inception", "pytorch_fid.fid_score")
_SCORES = ("denoising-diffusion-pytorch",)
"""Peers that import Inception features too."""


def imported(peer: str) -> tuple[ModuleType, list[str]]:
    """The peer's module, and what was stood in for: torchvision and what is made of it.

    Data sets and Inception features are all that is asked of them, and none is measured here.
    """
    wanted = (_VISION, _FID) if peer in _SCORES else (_VISION,)
    missing = [names for names in wanted if importlib.util.find_spec(names[0]) is None]
    if _VISION in missing:
        missing = list(wanted)  # pytorch-fid is made of it
    names = [name for part in missing for name in part]
    with mock.patch.dict(sys.modules, {name: mock.MagicMock() for name in names}):
        module = importlib.import_module(MODULES.get(peer, peer))
    return module, [part[0] for part in missing]

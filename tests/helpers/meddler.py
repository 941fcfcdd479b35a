"""Another thread that draws from the global generator, without the thread."""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["Meddler"]


class Meddler(TorchFunctionMode):
    """Seeds torch's global generator anew before each call: who draws from it is found out."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.calls += 1
        torch.default_generator.manual_seed(self.calls)
        return func(*args, **(kwargs or {}))

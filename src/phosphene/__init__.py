"""phosphene: machine perception as one library.

``import phosphene as ph`` costs nothing until something is used: the public names are imported on
first access, and with them torch.

Example:
    >>> import phosphene as ph
    >>> model = ph.build("vae", ph.Event.binary(64), latent_dim=8, seed=0)
    >>> model.sample(2).shape
    torch.Size([2, 64])
"""

import importlib
import os
import sys
import types
from typing import TYPE_CHECKING, Any

from phosphene.core.version import __version__
from phosphene.moved import Moved

# GNU OpenMP's threads spin while they wait; with the default, small steps are many times slower as
# soon as anything else runs. It must be set before torch is imported, and a user's value stands.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

_PUBLIC = {
    "Batch": "phosphene.core.batch",
    "Context": "phosphene.core.context",
    "ContextSpec": "phosphene.core.context",
    "EnvSpec": "phosphene.core.environment",
    "Event": "phosphene.core.event",
    "Loss": "phosphene.core.phase",
    "Model": "phosphene.core.model",
    "Phase": "phosphene.core.phase",
    "PhospheneError": "phosphene.core.errors",
    "Run": "phosphene.train.folder",
    "build": "phosphene.train.building",
    "compare": "phosphene.api.compare",
    "evaluate": "phosphene.api.evaluate",
    "load": "phosphene.train.folder",
    "systems": "phosphene.catalog",
    "train": "phosphene.api.train",
}
_MODULES = ("data", "decision")

__all__ = [
    "__version__",
    *_MODULES,
    *_PUBLIC,
]

if TYPE_CHECKING:
    from phosphene import data, decision
    from phosphene.api.compare import compare
    from phosphene.api.evaluate import evaluate
    from phosphene.api.train import train
    from phosphene.catalog import systems
    from phosphene.core.batch import Batch
    from phosphene.core.context import Context, ContextSpec
    from phosphene.core.environment import EnvSpec
    from phosphene.core.errors import PhospheneError
    from phosphene.core.event import Event
    from phosphene.core.model import Model
    from phosphene.core.phase import Loss, Phase
    from phosphene.train.building import build
    from phosphene.train.folder import Run, load


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(importlib.import_module(_PUBLIC[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"phosphene.{name}")
    else:
        raise AttributeError(f"module 'phosphene' has no attribute {name!r}")
    floor = sys.modules.get(f"phosphene.{name}")
    if isinstance(floor, _Floor):  # already bound, and it calls the function
        return floor
    globals()[name] = value
    return value


class _Package(types.ModuleType):
    """The package: importing a floor that shares its name with a function must not hide it.

    ``phosphene.train`` is a floor and ``ph.train(...)`` a function. When the import system binds
    the floor to the package, it becomes a module that can be called, so that both are true.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _PUBLIC and isinstance(value, types.ModuleType):
            value.__class__ = _Floor
        super().__setattr__(name, value)


class _Floor(types.ModuleType):
    """A floor with the function of its name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(importlib.import_module(_PUBLIC[name]), name)(*args, **kwargs)


sys.modules[__name__].__class__ = _Package
sys.meta_path.append(Moved())


def __dir__() -> list[str]:
    return sorted(__all__)

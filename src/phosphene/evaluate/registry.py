"""Registries filled by the modules of a package, of packages above it, and by entry points."""

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Generic, ParamSpec, Protocol, TypeVar

from phosphene.core.errors import ConfigError

__all__ = ["Placed", "Registry", "guarded"]


class Placed(Protocol):
    """What can be registered."""

    @property
    def name(self) -> str:
        """It is unique."""
        ...

    @property
    def place(self) -> float:
        """Where it stands among the others, the smallest first."""
        ...


P = TypeVar("P", bound=Placed)
Q = ParamSpec("Q")
T = TypeVar("T")


class Registry(Generic[P]):
    """Entries by name, in the order of their places; a module adds its own when it is imported.

    Args:
        what: What one of them is called, for errors.
        files: Patterns of modules of this package that hold some.
        group: The entry points by which other packages name modules (or functions) that hold some.
    """

    def __init__(self, what: str, *, files: tuple[str, ...], group: str) -> None:
        self.what, self.files, self.group = what, files, group
        self._found: dict[str, P] = {}
        self._whole = False

    def add(self, one: P) -> None:
        """Add one.

        Raises:
            ConfigError: Another has its name.
        """
        if self._found.setdefault(one.name, one) != one:
            raise ConfigError(f"two {self.what}s are called {one.name!r}")

    def __iter__(self) -> Iterator[P]:
        self._load()
        return iter(sorted(self._found.values(), key=lambda one: one.place))

    def get(self, name: str) -> P | None:
        """The one of a name, or None."""
        self._load()
        return self._found.get(name)

    def _load(self) -> None:
        if self._whole:
            return
        root = Path(__file__).parent.parent
        for pattern in self.files:
            for file in sorted(root.glob(pattern)):
                parts = file.relative_to(root).with_suffix("").parts
                if parts[-1] != "__init__":
                    import_module(".".join(("phosphene", *parts)))
        for point in entry_points(group=self.group):
            try:
                point.load()
            except Exception as error:
                raise ConfigError(
                    f"the {self.what}s of {point.name!r} ({point.value}) cannot be loaded: "
                    f"{type(error).__name__}: {error}"
                ) from error
        self._whole = True


def guarded(what: str, function: Callable[Q, T], *told: Q.args, **more: Q.kwargs) -> T:
    """What a registered function gives; an error in one of another package is one sentence.

    Raises:
        ConfigError: It names the function and what it failed with.
    """
    module = function.__module__
    if module.startswith("phosphene."):
        return function(*told, **more)
    try:
        return function(*told, **more)
    except Exception as error:
        name = getattr(function, "__name__", repr(function))
        raise ConfigError(
            f"the {what} {name!r} of {module!r} failed: {type(error).__name__}: {error}"
        ) from error

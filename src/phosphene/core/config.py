"""Configuration as values: the constructor's keyword arguments, recorded and written as JSON.

There is no second configuration class. A model's keyword arguments *are* its configuration: they
are typed, JSON-able, recorded by the base class and written to ``config.json``. Values that are
objects (an event, a context) are frozen dataclasses registered with :func:`tagged`; in JSON they
carry their class name under ``"type"``.
"""

import dataclasses
import inspect
import types
from collections.abc import Callable
from typing import (
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.ranges import check_declared
from phosphene.core.settings import declare, pinned, setting

__all__ = [
    "SCHEMA",
    "Configured",
    "check_types",
    "decode",
    "encode",
    "fits",
    "parameters_of",
    "tagged",
]

SCHEMA = 1
"""Version of the JSON layout; written beside every configuration."""

T = TypeVar("T")
_TAGS: dict[str, type] = {}


def tagged(cls: type[T]) -> type[T]:
    """Register a frozen dataclass so that it can be written to JSON and read back."""
    assert dataclasses.is_dataclass(cls), f"{cls} is not a dataclass"
    assert cls.__name__ not in _TAGS, f"tag {cls.__name__} is taken"
    _TAGS[cls.__name__] = cls
    return cls


def encode(value: Any) -> Any:
    """Turn a configuration value into what ``json`` can write.

    Example:
        >>> encode({"hidden": (64, 64)})
        {'hidden': [64, 64]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        assert type(value).__name__ in _TAGS, f"{type(value)} is not tagged"
        fields = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, dict):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [encode(v) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConfigError(f"{value!r} of type {type(value).__name__} cannot be written as JSON")


def decode(value: Any) -> Any:
    """Inverse of :func:`encode`; lists come back as tuples, since configurations are immutable."""
    if isinstance(value, dict) and "type" in value:
        if value["type"] not in _TAGS:
            raise UnknownNameError("configuration type", str(value["type"]), _TAGS)
        cls = _TAGS[value["type"]]
        fields = {k: decode(v) for k, v in value.items() if k != "type"}
        known = [f.name for f in dataclasses.fields(cast(Any, cls))]
        for name in fields:
            if name not in known:
                raise UnknownNameError(f"field of {cls.__name__}", name, known)
        try:
            return cls(**fields)
        except TypeError as error:  # one is missing, or of a type that nothing can be asked of
            raise ConfigError(f"{cls.__name__} cannot be read: {error}") from None
    if isinstance(value, dict):
        return {k: decode(v) for k, v in value.items()}
    if isinstance(value, list):
        return tuple(decode(v) for v in value)
    return value


def fits(value: Any, annotation: Any) -> bool:
    """Whether a value is of a plain type: a number, text, a choice, a tuple of such, or None.

    Whole numbers fit where floats are asked for; booleans are not numbers.

    Example:
        >>> fits(3, float), fits(0.5, int), fits("sgd", Literal["adam"])
        (True, False, False)
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return value in parts
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is tuple:
        return (
            isinstance(value, tuple) and len(value) == len(parts) and all(map(fits, value, parts))
        )
    if annotation in (int, float):
        kinds: tuple[type, ...] = (int,) if annotation is int else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool)
    return value is None if annotation is None else isinstance(value, annotation)


def check_types(value: Any) -> None:
    """Refuse a dataclass with a field that is not of its type.

    Raises:
        ConfigError: It names the field, the value and the type.
    """
    for name, annotation in get_type_hints(type(value)).items():
        if not fits(getattr(value, name), annotation):
            wanted = getattr(annotation, "__name__", str(annotation))
            wanted = wanted if get_origin(annotation) is None else str(annotation)
            wanted = wanted.replace("typing.", "")
            raise ConfigError(f"{name} must be {wanted}, got {getattr(value, name)!r}")


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a constructor: the hyperparameters."""
    return {
        name: p
        for name, p in inspect.signature(function).parameters.items()
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    }


class _Called:
    """How a class is called, for ``inspect.signature`` and ``help``; instances have no such thing.

    Python would show ``__new__``, which takes anything.
    """

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        own = inspect.signature(owner.__init__)  # type: ignore[misc]
        return own.replace(parameters=list(own.parameters.values())[1:])


@dataclass_transform(kw_only_default=True, field_specifiers=(setting, pinned))
class Configured:
    """Records the constructor's arguments, with defaults filled in, as ``self.config``.

    Settings are declared in the body (:func:`phosphene.core.settings.setting`), and ``setup`` does
    what they ask for. A class may also say in an ``__init__`` of its own what it takes.

    Example:
        >>> from phosphene.core.ranges import Count
        >>> class Brick(Configured):
        ...     width: Count = setting(default=8, help="In millimeters.")
        >>> class Named(Brick):
        ...     name: str = setting(default="", help="Stamped on it.")
        ...     def setup(self) -> None:
        ...         self.stamp = f"{self.name} {self.width}"
        >>> Named(name="a").stamp, Named(width=3).config
        ('a 8', {'name': '', 'width': 3})
    """

    config: dict[str, Any]
    __signature__ = _Called()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        declare(cls, Configured)

    def __new__(cls, *args: Any, **kwargs: Any) -> "Configured":
        """Bind the arguments to the signature of ``__init__`` before it runs."""
        self = super().__new__(cls)
        signature = inspect.signature(cls.__init__)
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError:
            # Copying and unpickling call __new__ without arguments and restore __dict__ after;
            # a caller's wrong arguments are reported by __init__ itself a moment later.
            return self
        bound.apply_defaults()
        config = dict(list(bound.arguments.items())[1:])
        check_declared({n: p.annotation for n, p in signature.parameters.items()}, config)
        object.__setattr__(self, "config", config)
        return self

    def _begin(self) -> None:
        """What comes before the settings are there as attributes."""

    def setup(self) -> None:
        """Make what the settings ask for; parents first, by ``super().setup()``."""

    @classmethod
    def check_settings(cls, settings: dict[str, Any]) -> None:
        """Raise UnknownNameError for a setting that the constructor does not take."""
        known = parameters_of(cls.__init__)
        for name in settings:
            if name not in known:
                raise UnknownNameError(f"setting of {cls.__name__}", name, known)

"""Environments of other packages: by gymnasium's registry, or by the name of a function."""

import functools
import importlib
import inspect
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from phosphene.core.errors import ConfigError, UnknownNameError, nearest
from phosphene.decision.environments.options import guess

__all__ = ["Source", "gymnasium_here", "imported", "of_module", "registered"]

_OLD = re.compile(r"^GymV\d+")


@dataclass(frozen=True)
class Source:
    """What makes an environment.

    Args:
        make: Makes one.
        limit: Steps after which an episode is cut off, where the maker leaves that to us.
    """

    make: Callable[[], Any]
    limit: int | None = None


def gymnasium_here() -> Any:
    """The package.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import gymnasium
    except ImportError as error:
        raise ConfigError(
            "gymnasium is not installed: pip install 'phosphene[rl]' installs it"
        ) from error
    return gymnasium


def registered(
    name: str, options: Mapping[str, str], native: tuple[str, ...] = (), module: str | None = None
) -> Source:
    """An environment by its id.

    Args:
        name: The id, as ``LunarLander-v3`` or ``ALE/Pong-v5``.
        options: Its keyword arguments, as text.
        native: Names to suggest beside gymnasium's.
        module: What registers it, where that is not gymnasium.

    Raises:
        UnknownNameError: There is no such id, or no such option.
        ConfigError: gymnasium, or a package that it needs, is not installed.
    """
    gymnasium = gymnasium_here()
    if name.startswith("ALE/"):
        _register_atari(gymnasium, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions that have a later one
            spec = gymnasium.spec(name)
    except gymnasium.error.DeprecatedEnv as error:
        raise ConfigError(f"{name}: {' '.join(str(error).split())}") from error
    except gymnasium.error.NamespaceNotFound as error:
        raise ConfigError(
            f"{name}: no environments of {name.partition('/')[0]!r} are known; a module that "
            "registers some is named before a colon: module:NAME"
        ) from error
    except (gymnasium.error.Error, ImportError) as error:
        raise UnknownNameError("environment", name, _known(gymnasium, name, native)) from error
    creator = spec.entry_point
    if isinstance(creator, str):
        creator = _creator(name, creator)
    given = {key: guess(text) for key, text in options.items()}
    _check_options(name, creator, given)
    make = functools.partial(_made, name, given, module)
    return Source(make, spec.max_episode_steps)


def of_module(name: str, module: str, attribute: str, options: Mapping[str, str]) -> Source:
    """An environment by ``module:function``, which is called for each copy, or by ``module:ID``.

    The module is imported; what it defines goes before what it registers with gymnasium.

    Raises:
        ConfigError: There is no such module or name, or the module fails.
        UnknownNameError: The module registers no such id.
    """
    found = imported(name, module)
    if not hasattr(found, attribute):
        gymnasium = sys.modules.get("gymnasium")
        if not attribute.isidentifier() or (gymnasium and attribute in gymnasium.registry):
            return registered(attribute, options, module=module)
        close = nearest(attribute, [n for n in vars(found) if not n.startswith("_")])
        hint = f"; did you mean {close!r}?" if close else ""
        raise ConfigError(f"{name}: the module {module} has no {attribute!r}{hint}")
    function = getattr(found, attribute)
    if not callable(function):
        raise ConfigError(f"{name}: {attribute!r} is no function or class that makes environments")
    given = {key: guess(text) for key, text in options.items()}
    _check_options(name, function, given)
    return Source(functools.partial(function, **given))


def imported(name: str, module: str) -> Any:
    """A module of the user's, from this folder or Python's path.

    Raises:
        ConfigError: It is not there, or it fails; the sentence says which.
    """
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())  # as python itself does for a script's folder
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            why = f"there is no module {error.name!r} in this folder or on Python's path"
        else:
            why = f"it imports {error.name!r}, which is not installed"
        raise ConfigError(f"{name}: the module {module!r} cannot be imported: {why}") from error
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())
        raise ConfigError(
            f"{name}: the module {module!r} cannot be imported: it raises {type(error).__name__}"
            f"{f': {text}' if text else ''}{_line_in(error, module)}"
        ) from error


def _line_in(error: BaseException, module: str) -> str:
    """Where in the module it was raised, as far as that is known."""
    frames = traceback.extract_tb(error.__traceback__)
    file = f"{module.rpartition('.')[2]}.py"
    lines = [f.lineno for f in frames if os.path.basename(f.filename) in (file, "__init__.py")]
    own = [n for n in lines if n is not None]
    return f" (line {own[-1]})" if own else ""


def _made(name: str, given: dict[str, Any], module: str | None = None) -> Any:
    gymnasium = gymnasium_here()
    if module is not None:
        imported(name, module)  # a process of its own has not registered it yet
    if name.startswith("ALE/"):
        _register_atari(gymnasium, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # The limit is counted here, and answers are checked here.
            return gymnasium.make(name, disable_env_checker=True, max_episode_steps=-1, **given)
        except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
            _missing(name, error)
        except Exception as error:
            text = " ".join(str(error).split())
            raise ConfigError(f"gymnasium cannot make {name!r}: {text}") from error


def _creator(name: str, entry: str) -> Any:
    module, _, attribute = entry.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:
        _missing(name, error, entry)


def _missing(name: str, error: Exception, entry: str = "") -> Any:
    text = " ".join(str(error).split())
    for part, extra in (("box2d", "box2d"), ("mujoco", "mujoco")):
        if part in f"{entry} {text}".lower() and "gymnasium-robotics" not in text:
            raise ConfigError(
                f"{name} needs a package that is not installed: pip install 'phosphene[{extra}]'"
            ) from error
    raise ConfigError(f"{name} cannot be made here: {text}") from error


def _register_atari(gymnasium: Any, name: str) -> None:
    try:
        import ale_py
    except ImportError as error:
        raise ConfigError(
            f"{name} needs a package that is not installed: pip install ale-py"
        ) from error
    gymnasium.register_envs(ale_py)


def _known(gymnasium: Any, name: str, native: tuple[str, ...]) -> set[str]:
    """Ids to suggest: the latest version of each, of the same namespace as the name."""
    space = name.rpartition("/")[0]
    latest: dict[str, Any] = {}
    for spec in gymnasium.registry.values():
        old = _OLD.match(spec.id) or (not space and "ale_py" in str(spec.entry_point))
        if (spec.namespace or "") != space or old:
            continue
        known = latest.get(spec.name)
        if known is None or (spec.version or 0) > (known.version or 0):
            latest[spec.name] = spec
    return {spec.id for spec in latest.values()} | (set() if space else set(native))


def _check_options(name: str, creator: Any, given: Mapping[str, Any]) -> None:
    """Refuse options that the maker does not take."""
    try:
        parameters = inspect.signature(creator).parameters
    except (TypeError, ValueError):
        return
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    ours = {"limit", "gray", "size", "stack", "skip"}
    known = {key for key in parameters if key not in ("self", "render_mode")} | ours
    for key in given:
        if key not in known and key != "render_mode":
            raise UnknownNameError(f"option of {name}", key, known)

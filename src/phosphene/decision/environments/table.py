"""Environments by name: native ones, explicit processes, gymnasium, or a function of the user's."""

import importlib
import os
from collections.abc import Callable
from typing import Any

from phosphene.core.environment import Environment, EnvSpec, called
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.paths import anchored
from phosphene.data.loading import parse
from phosphene.decision.environments.names import HERE, NATIVE, OURS, TABULAR, names
from phosphene.decision.environments.options import convert, settings
from phosphene.decision.mdp.grid import BUILT_IN

__all__ = ["code_named", "listed_specs", "located", "make", "names", "spec"]


def listed_specs() -> list[EnvSpec]:
    """The specifications of those that need no other package, the maps among them."""
    grids = [f"grid:{name}" for name in BUILT_IN]
    plain = [name for name in names() if name != "Taxi-v4"]  # its table is gymnasium's
    return [spec(name) for name in (*plain, *grids)]


def code_named(name: str) -> bool:
    """Whether a name of an environment imports a module that it names.

    A name that a file holds may come from anybody: whoever follows it asks here first.

    Example:
        >>> [code_named(name) for name in ("grid:./maze.txt", "CartPole-v1", "os:system")]
        [False, False, True]
    """
    base = parse(name)[0]
    # Some of gymnasium's environments take the name of another one as an option.
    return ":" in name and not (base == "grid" or base in NATIVE or base in TABULAR)


def located(name: str, folder: str | None) -> str:
    """A name as it is understood in another folder, where it is a map's of a relative path.

    Example:
        >>> located("grid:cliff", "/home/a"), located("CartPole-v1", "/home/a")
        ('grid:cliff', 'CartPole-v1')
    """
    base, argument, _ = parse(name)
    if base != "grid" or folder is None or argument in BUILT_IN:
        return name
    place = anchored(argument, folder)
    if "?" in place or not os.path.exists(place):
        return name
    return f"grid:{place}{name.removeprefix(f'grid:{argument}')}"


def make(
    name: Any,
    n: int = 1,
    *,
    seed: int = 0,
    first: int = 0,
    native: bool | None = None,
    workers: int | None = None,
    longest: int | None = None,
) -> Environment:
    """Environments of one kind, side by side, which begin new episodes by themselves.

    Args:
        name: One of :func:`names`; a map (``grid:gridworld``, ``grid:./maze.txt?slip=0.1``); an id
            of gymnasium's; ``module:function`` or ``module:ID``. Options follow a question mark:
            ``FrozenLake-v1?map_name=8x8&is_slippery=false``, ``CartPole-v1?limit=200``;
            ``limit=0`` takes the limit away. Or an environment with gymnasium's methods, a class or
            a function that makes one, or several of ``gymnasium.vector``.
        n: How many environments.
        seed: Of all random numbers.
        first: The number of the first of these environments among all.
        native: True for ours or nothing, False for gymnasium's; None takes ours where there is one.
        workers: Processes that hold gymnasium's environments. Ours need none.
        longest: Steps after which an episode is cut off where nothing else limits it; None for
            none, so that an episode may go on forever.

    Raises:
        UnknownNameError: There is no such environment or option.
        ConfigError: An option has a value that it cannot take, or a package is missing.

    Example:
        >>> environment = make("CartPole-v1?limit=200", n=8)
        >>> environment.spec.limit, environment.reset().shape
        (200, torch.Size([8, 4]))
    """
    ours = _is_ours(name) and native is not False
    if native and not ours:
        raise UnknownNameError("native environment", parse(called(name))[0], names())
    if not ours:
        from phosphene.decision.environments.gym import GymEnvironment

        return GymEnvironment(name, n, seed=seed, first=first, workers=workers, longest=longest)
    built, limit = _built(name)
    usual = built.limit if limit is None else limit
    given: dict[str, Any] = {
        "seed": seed, "first": first, "limit": usual or longest or 0, "name": name,
    }  # fmt: skip
    base = parse(name)[0]
    if base in NATIVE:
        from phosphene.decision.environments.vectorized import VectorEnvironment

        return VectorEnvironment(built, n, **given)
    from phosphene.decision.environments.tabular import TabularEnvironment

    return TabularEnvironment(built, n, **given)


def _is_ours(name: Any) -> bool:
    base = parse(name)[0] if isinstance(name, str) else ""
    return base in NATIVE or base in TABULAR or base == "grid"


def spec(name: Any, *, native: bool | None = None) -> EnvSpec:
    """What an agent for that environment is built for.

    Example:
        >>> str(spec("Pendulum-v1"))
        'Pendulum-v1 (real 3; 1-d actions)'
    """
    if native is False or not _is_ours(name):
        from phosphene.decision.environments.gym import describe

        return describe(name)
    return make(name, native=native).spec


def _built(name: str) -> tuple[Any, int | None]:
    """The dynamics or the process of one of ours, and the limit; None where it is the usual one."""
    base, argument, options = parse(name)
    limit: int | None = None
    text = options.pop("limit", None)
    if text is not None:
        limit = convert(base, "limit", text, int)
        if limit is not None and limit < 0:
            raise ConfigError(f"limit of {base} must be 0 (for none) or more, got {limit}")
    if base == "grid":
        if not argument:
            raise ConfigError("'grid' needs a map: grid:gridworld, or grid:PATH of a text file")
        function = _function(f"{HERE}.tabular:grid")
        return function(argument, **settings("grid", function, options, OURS)), limit
    if argument:
        raise ConfigError(f"{base} takes options after '?', got {name.removeprefix(base)!r}")
    if base in NATIVE:
        kind = _function(NATIVE[base])
        return kind(**settings(base, kind.__init__, options, OURS)), limit
    target, usual, meant = TABULAR[base]
    function = _function(target)
    process = function(**settings(base, function, {**meant, **options}, OURS))
    return process, (usual or 0) if limit is None else limit


def _function(target: str) -> Callable[..., Any]:
    module, _, attribute = target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return function

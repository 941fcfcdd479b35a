"""Environments passed as objects: instances, classes, functions, or a list of instances."""

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

from phosphene.core.errors import ConfigError

__all__ = ["checked", "maker_of", "single"]


def maker_of(env: Any, name: str) -> Callable[[], Any]:
    """What makes copies of an environment: a class or function itself, of an instance its copies.

    Raises:
        ConfigError: It is not an environment, or cannot be copied.
    """
    if _several(env):
        return single(env, name)
    if inspect.isclass(env) or (callable(env) and not hasattr(env, "step")):
        make: Callable[[], Any] = env
        return make
    checked(env, name)
    try:
        copy.deepcopy(env)
    except Exception as error:
        spec = getattr(env, "spec", None)
        if spec is not None and hasattr(spec, "make"):
            return functools.partial(spec.make, disable_env_checker=True)
        raise ConfigError(
            f"{name} cannot be copied ({type(error).__name__}: {error}): give its class, or a "
            "function that makes one"
        ) from error
    return functools.partial(copy.deepcopy, env)


def single(environment: Any, name: str) -> Callable[[], Any]:
    """What makes one of the environments that gymnasium steps side by side.

    Raises:
        ConfigError: They are not made one by one, or are wrapped together.
    """
    makers = getattr(environment, "env_fns", None)
    if makers:
        make: Callable[[], Any] = next(iter(makers))
        return make
    spec = getattr(environment, "spec", None)
    if spec is None or getattr(environment, "unwrapped", environment) is not environment:
        raise ConfigError(
            f"{name} is a {type(environment).__name__} of {environment.num_envs} environments, "
            "which cannot be taken apart: give a function that makes one of them; the agent's "
            "setting environments says how many it acts in"
        )
    import gymnasium

    together = ("num_envs", "vectorization_mode", "vector_kwargs", "wrappers")
    given = {key: value for key, value in spec.kwargs.items() if key not in together}
    return functools.partial(gymnasium.make, spec.id, disable_env_checker=True, **given)


def _several(environment: Any) -> bool:
    return hasattr(environment, "num_envs") and hasattr(environment, "single_action_space")


def checked(environment: Any, name: str) -> Any:
    """The environment, if it has what gymnasium asks for.

    Raises:
        ConfigError: It lacks methods or spaces, all of which are named, or its reset takes no seed.
    """
    kind = type(environment).__name__
    parts = ("reset", "step", "observation_space", "action_space")
    missing = [part for part in parts if not _has(environment, part)]
    if missing:
        raise ConfigError(
            f"{name} made {kind}, which is no environment: it has no {', no '.join(missing)}"
        )
    try:
        parameters = inspect.signature(environment.reset).parameters
    except (TypeError, ValueError):  # of what is no Python function
        return environment
    if "seed" not in parameters and all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
        raise ConfigError(f"{name} made {kind}, whose reset takes no seed: reset(seed=None)")
    return environment


def _has(environment: Any, part: str) -> bool:
    """Whether it has a part of its own: gymnasium's base class has methods that do nothing."""
    found = getattr(environment, part, None)
    return found is not None and (
        getattr(found, "__module__", ""), getattr(found, "__qualname__", "")
    ) != ("gymnasium.core", f"Env.{part}")  # fmt: skip

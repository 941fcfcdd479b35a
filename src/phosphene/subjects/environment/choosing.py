"""The recipe of an agent for an environment."""

from dataclasses import replace

from phosphene.catalog.recipe import Recipe, named

__all__ = ["select_for"]


def select_for(system: str, env: str | None = None, name: str = "default") -> Recipe:
    """The recipe of that name for an agent, in that environment.

    In an environment that no recipe names, it is the recipe for any other (``*``). An agent without
    recipes is trained by the constructor's defaults.

    Example:
        >>> select_for("ppo").on, select_for("ppo", "Pendulum-v1").on
        ('CartPole-v1', 'Pendulum-v1')
    """
    known = named(system, name)
    if not known:
        return Recipe(name=name, system=system, on=env or "CartPole-v1", budget="100000steps")
    for recipe in known:
        if recipe.on == (env or known[0].on) or recipe.on == (env or "").partition("?")[0]:
            return replace(recipe, on=env or recipe.on)
    for recipe in known:
        if recipe.on == "*":
            return replace(recipe, on=env or "")
    assert env is not None
    return replace(known[0], on=env, reaches={}, cpu_seconds=None)

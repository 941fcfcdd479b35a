"""Samplers by name."""

from collections.abc import Callable, Sequence
from typing import Literal

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.samplers.ancestral import ancestral
from phosphene.generative.diffusion.samplers.ddim import ddim
from phosphene.generative.diffusion.samplers.dpm_solver import dpm_solver
from phosphene.generative.diffusion.samplers.table import Table
from phosphene.generative.diffusion.samplers.two_stage import euler, heun, midpoint

__all__ = ["SAMPLERS", "SamplerName", "build_table"]

SamplerName = Literal[
    "auto", "ancestral", "ancestral-posterior", "ddim", "dpm++", "euler", "heun", "midpoint"
]
SAMPLERS = SamplerName.__args__[1:]  # type: ignore[attr-defined]
"""All but ``auto``."""

Middle = Callable[[Level[float], Level[float]], Level[float]]


def build_table(
    name: str,
    levels: Sequence[Level[float]],
    *,
    eta: float | None = None,
    coordinate: str = "ratio",
    middle: Middle | None = None,
) -> Table:
    """A sampler's table by its name.

    Args:
        name: One of ``SAMPLERS``.
        levels: From noise to data.
        eta: Of ``ddim``; None for 0.
        coordinate: Of ``heun`` and ``midpoint``.
        middle: The level halfway between two; None where time has steps.

    Raises:
        UnknownNameError: There is no such sampler.
        ConfigError: eta is for another sampler, or the midpoint lies between two steps.

    Example:
        >>> from phosphene.generative.diffusion.path import Straight
        >>> build_table("heun", Straight().levels(5), coordinate="straight").evaluations
        9
    """
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, SAMPLERS)
    if eta is not None and name != "ddim":
        raise ConfigError(f"eta is a setting of the sampler 'ddim', not of {name!r}")
    if name == "midpoint":
        if middle is None:
            raise ConfigError(
                "sampler 'midpoint' asks between two steps of the chain; 'heun' does not"
            )
        return midpoint(levels, middle, coordinate=coordinate)
    made: dict[str, Callable[[], Table]] = {
        "ancestral": lambda: ancestral(levels),
        "ancestral-posterior": lambda: ancestral(levels, variance="posterior"),
        "ddim": lambda: ddim(levels, eta=eta or 0.0),
        "dpm++": lambda: dpm_solver(levels),
        "euler": lambda: euler(levels),
        "heun": lambda: heun(levels, coordinate=coordinate),
    }
    return made[name]()

"""DDIM: the same marginals with less noise, or none."""

from collections.abc import Sequence
from itertools import pairwise

from phosphene.core.errors import ConfigError
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.samplers.table import Row, Table
from phosphene.generative.diffusion.schedule import between

__all__ = ["ddim"]


def ddim(levels: Sequence[Level[float]], *, eta: float = 0.0) -> Table:
    """x_t = alpha_t D + sqrt(sigma_t^2 - n^2) eps + n z, eps = (x_s - alpha_s D) / sigma_s.

    n = eta times the standard deviation of q(x_t | x_s, x_0): eta 1 is ancestral sampling with the
    posterior's variance, eta 0 is deterministic (Song, Meng and Ermon, 2021). Without noise it goes
    either way: levels from data to noise find the noise of an example.

    Args:
        levels: From noise to data, or for eta 0 from data to noise.
        eta: From 0 to 1.

    Raises:
        ConfigError: eta is not from 0 to 1.

    Example:
        >>> ddim([Level(1.0, 0.6, 0.8), Level(0.5, 0.8, 0.6)]).rows[0][2:4]
        (0.75, 0.35000000000000003)
    """
    if not 0 <= eta <= 1:
        raise ConfigError(f"eta must be from 0 to 1, got {eta}")
    rows = []
    for s, t in pairwise(levels):
        noise = eta * between(s, t).posterior ** 0.5 if eta else 0.0
        of_x = max(t.sigma**2 - noise**2, 0.0) ** 0.5 / s.sigma
        rows.append(Row(s, t, of_x, t.alpha - of_x * s.alpha, noise=noise))
    return Table(rows)

"""The ways from data to noise in continuous time."""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.generative.diffusion.level import CLEAN, Level

__all__ = [
    "PATHS",
    "VE",
    "VP",
    "Cosine",
    "Karras",
    "Learned",
    "Path",
    "Straight",
    "build_path",
    "shifted",
]


def shifted(t: Tensor, shift: float) -> Tensor:
    """Times moved to the noise where ``shift`` is above 1: s t / (1 + (s - 1) t).

    Every straight path of one shift is that of another at other times, sigma / alpha being ``s``
    times as large (Esser et al., 2024: larger images need more noise to lose as much).

    Example:
        >>> shifted(torch.tensor([0.0, 0.5, 1.0]), 3.0)
        tensor([0.0000, 0.7500, 1.0000])
    """
    return shift * t / (1 + (shift - 1) * t)


class Path(nn.Module):
    """x_t = alpha(t) x_0 + sigma(t) eps, from the data at t = 0 to noise at t = 1.

    By Song, Sohl-Dickstein, Kingma, Kumar, Ermon and Poole (2021). The probability flow of it is
    dx/dt = alpha'(t) D + sigma'(t) (x - alpha(t) D) / sigma(t), where D is E[x_0 | x_t].
    """

    scales_input: ClassVar[bool] = False
    """Whether x_t grows with the noise, so that networks are given it scaled to unit variance."""
    first: ClassVar[float] = 0.0
    """The time at which likelihoods begin, where sigma is above 0."""
    asks_first: ClassVar[bool] = False
    """Whether samplers ask at t = 0 before they end at the data, as those of EDM do."""

    def curve(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """alpha, sigma, alpha' and sigma' at times (n,), in their type."""
        raise NotImplementedError

    def at(self, t: Tensor) -> Level[Tensor]:
        """The levels at times (n,) in 0..1."""
        return Level(t, *self.curve(t))

    def level(self, t: float) -> Level[float]:
        """The level at one time, in float64."""
        with torch.no_grad():
            values = self.curve(torch.tensor([t], dtype=torch.float64))
        return Level(t, *(float(v) for v in values))

    def levels(self, steps: int, shift: float = 1.0) -> list[Level[float]]:
        """The levels at which a sampler of so many steps asks, from noise, and the data at the end.

        Args:
            steps: How many.
            shift: That which the model was trained with; see :func:`shifted`.
        """
        ends = steps - 1 if self.asks_first else steps
        t = shifted(1 - torch.arange(steps, dtype=torch.float64) / max(ends, 1), shift)
        return [*(self.level(float(s)) for s in t), CLEAN]


class VP(Path):
    """Variance-preserving: alpha^2 = exp(-int beta), beta(t) = beta_min + t (beta_max - beta_min).

    The DDPM's chain in the limit of many steps (Song et al., 2021): dx = -beta x dt / 2 +
    sqrt(beta) dw.

    Args:
        beta_min: The rate at t = 0.
        beta_max: The rate at t = 1.

    Raises:
        ConfigError: Not 0 < beta_min <= beta_max.

    Example:
        >>> VP().level(1.0).alpha  # exp(-(0.1 + 20) / 4)
        0.006571...
    """

    first = 1e-5

    def __init__(self, beta_min: float = 0.1, beta_max: float = 20.0) -> None:
        super().__init__()
        if not 0 < beta_min <= beta_max:
            raise ConfigError(f"rates must be 0 < beta_min <= beta_max, got {beta_min}, {beta_max}")
        self.beta_min, self.beta_max = beta_min, beta_max

    def curve(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """alpha, sigma and their slopes."""
        grown = self.beta_max - self.beta_min
        beta = self.beta_min + t * grown
        log_alpha = -0.25 * grown * t**2 - 0.5 * self.beta_min * t
        alpha, sigma = log_alpha.exp(), (-(2 * log_alpha).expm1()).sqrt()
        return alpha, sigma, -0.5 * beta * alpha, 0.5 * beta * alpha**2 / sigma


class Cosine(Path):
    """alpha = cos(a), sigma = sin(a), the angle a linear in t.

    The cosine schedule (Nichol and Dhariwal, 2021) in continuous time, with log (alpha / sigma)^2
    kept within ``limit`` as by Hoogeboom, Heek and Salimans (2023), so that nothing is infinite.

    Args:
        limit: The largest size of the log-SNR.

    Example:
        >>> level = Cosine().level(0.5)
        >>> round(level.alpha, 4), round(level.sigma, 4)
        (0.7071, 0.7071)
    """

    def __init__(self, limit: float = 15.0) -> None:
        super().__init__()
        if not limit > 0:
            raise ConfigError(f"limit must be above 0, got {limit}")
        self.low = math.atan(math.exp(-limit / 2))
        self.rate = math.pi / 2 - 2 * self.low

    def curve(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """alpha, sigma and their slopes."""
        angle = self.low + self.rate * t
        alpha, sigma = angle.cos(), angle.sin()
        return alpha, sigma, -self.rate * sigma, self.rate * alpha


class VE(Path):
    """Variance-exploding: alpha = 1, sigma = sigma_min (sigma_max / sigma_min)^t.

    The noise-conditional score networks of Song and Ermon (2019) in continuous time (Song et al.,
    2021).

    Args:
        sigma_min: At t = 0, small beside the data.
        sigma_max: At t = 1, large beside the data.
    """

    scales_input = True
    asks_first = True

    def __init__(self, sigma_min: float = 0.01, sigma_max: float = 50.0) -> None:
        super().__init__()
        if not 0 < sigma_min < sigma_max:
            raise ConfigError(f"must be 0 < sigma_min < sigma_max, got {sigma_min}, {sigma_max}")
        self.sigma_min, self.growth = sigma_min, math.log(sigma_max / sigma_min)

    def curve(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """alpha, sigma and their slopes."""
        sigma = self.sigma_min * (self.growth * t).exp()
        return torch.ones_like(t), sigma, torch.zeros_like(t), self.growth * sigma


class Karras(Path):
    """alpha = 1, sigma^(1/rho) linear in t: equal steps in t are the steps of EDM.

    By Karras, Aittala, Aila and Laine (2022).

    Args:
        sigma_min: At t = 0.
        sigma_max: At t = 1.
        rho: How much shorter steps are where there is little noise.
    """

    scales_input = True
    asks_first = True

    def __init__(self, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> None:
        super().__init__()
        if not (0 < sigma_min < sigma_max and rho > 0):
            raise ConfigError(
                "must be 0 < sigma_min < sigma_max and 0 < rho, "
                f"got {sigma_min}, {sigma_max}, {rho}"
            )
        self.low, self.rho = sigma_min ** (1 / rho), rho
        self.span = sigma_max ** (1 / rho) - self.low

    def curve(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """alpha, sigma and their slopes."""
        root = self.low + t * self.span
        slope = self.rho * self.span * root ** (self.rho - 1)
        return torch.ones_like(t), root**self.rho, torch.zeros_like(t), slope

    def time_of(self, sigma: Tensor) -> Tensor:
        """The times at which the noise is so large, within 0..1."""
        time: Tensor = (sigma ** (1 / self.rho) - self.low) / self.span
        return time.clamp(0, 1)


class Learned(Path):
    """alpha^2 = sigmoid(-g), sigma^2 = sigmoid(g), g(t) an increasing function that is learned.

    The learned schedule of variational diffusion (Kingma, Salimans, Poole and Ho, 2021). The bound
    in continuous time depends on the ends of g alone, which stay where they are; its variance
    depends on all of it, and is what g is trained to make small. g is a sum of logistic curves,
    scaled to its ends: linear in t at first.

    Args:
        first_gamma: g(0).
        last_gamma: g(1).
        curves: How many.

    Raises:
        ConfigError: g would not increase.

    Example:
        >>> path = Learned()
        >>> [round(path.level(t).alpha, 3) for t in (0.0, 1.0)]
        [1.0, 0.082]
    """

    def __init__(
        self, first_gamma: float = -13.3, last_gamma: float = 5.0, curves: int = 32
    ) -> None:
        super().__init__()
        if not first_gamma < last_gamma or curves < 1:
            raise ConfigError(
                f"must be first_gamma < last_gamma and curves > 0, got {first_gamma}, "
                f"{last_gamma}, {curves}"
            )
        self.ends = (first_gamma, last_gamma)
        self.heights = nn.Parameter(torch.full((curves,), -2.0))
        self.steepness = nn.Parameter(torch.full((curves,), math.log(2.0 * curves)))
        self.register_buffer("centers", (torch.arange(curves) + 0.5) / curves, persistent=False)

    centers: Tensor

    def gamma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """g and its slope at times (n,), in their type."""
        height, steep = F.softplus(self.heights.to(t.dtype)), self.steepness.to(t.dtype).exp()
        ends = torch.tensor([0.0, 1.0], dtype=t.dtype, device=t.device)
        s = torch.sigmoid(steep * (torch.cat((ends, t))[:, None] - self.centers.to(t.dtype)))
        value = torch.cat((ends, t)) + (height * s).sum(1)
        slope = 1 + (height * steep * s * (1 - s)).sum(1)[2:]
        scale = (self.ends[1] - self.ends[0]) / (value[1] - value[0])
        return self.ends[0] + scale * (value[2:] - value[0]), scale * slope

    def curve(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """alpha, sigma and their slopes."""
        g, slope = self.gamma(t)
        alpha, sigma = torch.sigmoid(-g).sqrt(), torch.sigmoid(g).sqrt()
        return alpha, sigma, -0.5 * slope * alpha * sigma**2, 0.5 * slope * sigma * alpha**2


class Straight(Path):
    """alpha = 1 - t, sigma = t: straight lines from data to noise.

    Flow matching (Lipman, Chen, Ben-Hamu, Nickel and Le, 2023) and rectified flow (Liu, Gong and
    Liu, 2023), whose time runs the other way.

    Example:
        >>> Straight().level(0.25)
        Level(time=0.25, alpha=0.75, sigma=0.25, d_alpha=-1.0, d_sigma=1.0)
    """

    def curve(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """alpha, sigma and their slopes."""
        return 1 - t, t, -torch.ones_like(t), torch.ones_like(t)


PATHS: dict[str, type[Path]] = {
    "vp": VP,
    "ve": VE,
    "edm": Karras,
    "cosine": Cosine,
    "learned": Learned,
    "straight": Straight,
}
"""By name."""


def build_path(name: str) -> Path:
    """A path by its name, with the constants of its paper.

    Raises:
        UnknownNameError: There is no such path.
    """
    if name not in PATHS:
        raise UnknownNameError("path", name, PATHS)
    return PATHS[name]()

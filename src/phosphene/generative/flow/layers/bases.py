"""Base distributions: where the latents of a flow come from."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.generative.flow.layers.transform import total
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.monotone import held

__all__ = [
    "BASES",
    "Base",
    "BaseName",
    "Learned",
    "Logistic",
    "Mixture",
    "Normal",
    "StudentT",
    "Uniform",
    "build_base",
]

BaseName = Literal["normal", "mixture", "student-t", "uniform", "logistic", "learned"]
BASES: tuple[BaseName, ...] = (
    "normal",
    "mixture",
    "student-t",
    "uniform",
    "logistic",
    "learned",
)

_LOG_2PI = math.log(2 * math.pi)
_NORMAL = 1000.0
"""Degrees of freedom from which a Student t is normal for all that a table can tell."""


class Base(nn.Module):
    """A distribution of latents (n, *shape) with a density.

    Args:
        shape: The shape of one latent.
    """

    reference: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        # Tells device and type where there are no parameters.
        self.register_buffer("reference", torch.zeros(()), persistent=False)

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """Log-density (n,) in nats."""
        raise NotImplementedError

    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Draw (n, *shape), the spread multiplied by the temperature; 0 gives the center.

        Gradients flow to the parameters where the draw is a function of them.
        """
        raise NotImplementedError

    def prepare(self, z: Tensor) -> None:
        """Begin at the latents (n, *shape) of a first batch, where there is something to begin."""

    def _normal(self, n: int, generator: torch.Generator | None) -> Tensor:
        like = self.reference
        size = (n, *self.shape)
        return torch.randn(size, generator=generator, dtype=like.dtype, device=like.device)

    def _uniform(self, n: int, generator: torch.Generator | None) -> Tensor:
        like = self.reference
        u = torch.rand((n, *self.shape), generator=generator, dtype=like.dtype, device=like.device)
        tiny = torch.finfo(like.dtype).eps
        return u.clamp(tiny, 1 - tiny)


class Normal(Base):
    """N(0, I)."""

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """-1/2 sum (z^2 + log 2 pi)."""
        flat = z.flatten(1)
        return -0.5 * (flat.square().sum(1) + flat.shape[1] * _LOG_2PI)

    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Temperature times normal numbers."""
        return self._normal(n, generator) * temperature


class Learned(Base):
    """N(m, diag(exp(2 s))), m and s learned, and linear in the condition where there is one.

    However far the condition, s stays within 8: see :func:`~.monotone.held`.

    Args:
        shape: The shape of one latent.
        context: What the mean and the scale depend on.
    """

    def __init__(self, shape: tuple[int, ...], *, context: ContextSpec | None = None) -> None:
        super().__init__(shape)
        d = math.prod(shape)
        self.params = nn.Parameter(torch.zeros(2 * d))
        self.condition = ConditionBias(context or ContextSpec(), 2 * d)

    def _moments(self, context: Context | None) -> tuple[Tensor, Tensor]:
        params, more = self.params[None], self.condition(context)
        params = params if more is None else params + more
        mean, log_scale = params.unflatten(1, (2, *self.shape)).unbind(1)
        return mean, held(log_scale)

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """-sum (1/2 ((z - m) / e^s)^2 + s + 1/2 log 2 pi)."""
        mean, log_scale = self._moments(context)
        unit = (z - mean) * (-log_scale).exp()
        return -total(0.5 * (unit.square() + _LOG_2PI) + log_scale)

    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """m + temperature e^s eps."""
        mean, log_scale = self._moments(context)
        return mean + temperature * log_scale.exp() * self._normal(n, generator)


class Mixture(Base):
    """sum_k pi_k N(m_k, diag(exp(2 s_k))), all learned.

    Its draws have no gradient for the parameters.

    Args:
        shape: The shape of one latent.
        components: How many.

    Raises:
        ConfigError: There is no component.
    """

    def __init__(self, shape: tuple[int, ...], components: int = 8) -> None:
        super().__init__(shape)
        if components < 1:
            raise ConfigError(f"components must be 1 or more, got {components}")
        d = math.prod(shape)
        self.weights = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, d))
        self.log_scales = nn.Parameter(torch.zeros(components, d))

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """logsumexp over the components."""
        unit = (z.flatten(1)[:, None] - self.means) * (-self.log_scales).exp()
        each = -(0.5 * (unit.square() + _LOG_2PI) + self.log_scales).sum(-1)
        return torch.logsumexp(each + self.weights.log_softmax(0), 1)

    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """A component each, then temperature times its noise about its mean."""
        noise = self._normal(n, generator).flatten(1)
        weights = self.weights.detach().softmax(0)
        k = torch.multinomial(weights, n, replacement=True, generator=generator)
        z = self.means[k] + temperature * self.log_scales[k].exp() * noise
        return z.detach().reshape(n, *self.shape)


class StudentT(Base):
    """Independent Student t of learned degrees of freedom: tails as heavy as the data's.

    A flow whose layers are Lipschitz cannot make the light tails of a normal base heavy
    (Jaini et al., 2020); Laszkiewicz, Lederer and Fischer (2022) learn the degrees of freedom of
    each dimension. Here nu = 1 + softplus(r), so that means exist.

    Args:
        shape: The shape of one latent.
        degrees: nu at the start, above 1.

    Raises:
        ConfigError: The degrees of freedom are 1 or fewer.
    """

    def __init__(self, shape: tuple[int, ...], degrees: float = 5.0) -> None:
        super().__init__(shape)
        if degrees <= 1:
            raise ConfigError(f"degrees must be above 1, got {degrees}")
        self.raw = nn.Parameter(_raw_of(torch.full(shape, degrees)))
        self._begun = degrees

    @torch.no_grad()
    def prepare(self, z: Tensor) -> None:
        """Set nu by each dimension's excess kurtosis k = 6 / (nu - 4), unless it has moved.

        A dimension whose tails are no heavier than normal ones begins at a thousand.
        """
        if not torch.allclose(self.degrees, torch.full_like(self.raw, self._begun), rtol=1e-5):
            return
        centered = z.double() - z.double().mean(0)
        excess = centered.pow(4).mean(0) / centered.square().mean(0).square() - 3
        degrees = torch.where(excess > 0, 4 + 6 / excess, _NORMAL).nan_to_num(self._begun)
        self.raw.copy_(_raw_of(degrees.clamp(max=_NORMAL)))

    @property
    def degrees(self) -> Tensor:
        """nu of each dimension."""
        return 1 + F.softplus(self.raw)

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """Sum of log Gamma((nu+1)/2) / (Gamma(nu/2) sqrt(nu pi)) (1 + z^2/nu)^-((nu+1)/2)."""
        nu = self.degrees
        return total(_student_constant(nu) - (nu + 1) / 2 * torch.log1p(z.square() / nu))

    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Temperature times a normal number over sqrt(chi^2_nu / nu); differentiable in nu."""
        nu = self.degrees
        gamma = torch._standard_gamma((nu / 2).expand(n, *self.shape), generator=generator)
        scale = (nu / 2 / gamma.clamp(min=torch.finfo(gamma.dtype).tiny)).sqrt()
        return temperature * self._normal(n, generator) * scale


def _raw_of(degrees: Tensor) -> Tensor:
    """The r with degrees = 1 + softplus(r), where exp(degrees) may be too large for any number."""
    over = degrees - 1
    return over + (-torch.expm1(-over)).log()


def _student_constant(nu: Tensor) -> Tensor:
    """Of a = nu/2: log Gamma(a + 1/2) - log Gamma(a) - 1/2 log 2 pi a, to the last digits.

    The two terms are about a log a each, and their difference about 1/2 log a: from nu = 20 on it
    is Stirling's series, -1/2 log 2 pi - 1/(8 a) + 1/(192 a^3) - 1/(640 a^5) + 17/(14336 a^7).
    """
    few = nu.clamp(max=20.0)
    direct = torch.lgamma((few + 1) / 2) - torch.lgamma(few / 2) - 0.5 * (few * math.pi).log()
    r = 2 / nu.clamp(min=20.0)
    rr = r * r
    rest = r * (-1 / 8 + rr * (1 / 192 + rr * (-1 / 640 + rr * (17 / 14336 - rr * 31 / 18432))))
    return torch.where(nu < 20, direct, rest - 0.5 * _LOG_2PI)


class Uniform(Base):
    """The unit cube; a flow over it ends in a map to the cube (:class:`~.squash.Sigmoid`)."""

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """0 inside, minus infinity outside."""
        inside = ((z >= 0) & (z <= 1)).flatten(1).all(1)
        return torch.zeros_like(inside, dtype=z.dtype).masked_fill(~inside, -torch.inf)

    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Uniform numbers, drawn towards 1/2 by the temperature."""
        return 0.5 + temperature * (self._uniform(n, generator) - 0.5)


class Logistic(Base):
    """Independent standard logistics, whose tails are exponential (the base of NICE)."""

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """Sum of -softplus(z) - softplus(-z)."""
        return -total(F.softplus(z) + F.softplus(-z))

    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Temperature times logit(u)."""
        return temperature * torch.logit(self._uniform(n, generator))


def build_base(
    name: str,
    shape: tuple[int, ...],
    *,
    context: ContextSpec | None = None,
    components: int = 8,
) -> Base:
    """A base by its name.

    Args:
        name: One of ``BASES``.
        shape: The shape of one latent.
        context: What a learned base depends on.
        components: Of a mixture.

    Raises:
        UnknownNameError: There is no such base.

    Example:
        >>> base = build_base("student-t", (2,))
        >>> base.sample(3).shape
        torch.Size([3, 2])
    """
    if name not in BASES:
        raise UnknownNameError("base", name, BASES)
    if name == "learned":
        return Learned(shape, context=context)
    if name == "mixture":
        return Mixture(shape, components)
    simple: dict[str, type[Base]] = {
        "normal": Normal,
        "student-t": StudentT,
        "uniform": Uniform,
        "logistic": Logistic,
    }
    return simple[name](shape)

"""The likelihood of a diffusion by its probability flow."""

import math
from functools import partial

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.protocols import available_if
from phosphene.generative.diffusion.bound import normal_log_prob
from phosphene.generative.diffusion.editing import Editing
from phosphene.generative.diffusion.level import Level, rows
from phosphene.generative.diffusion.path import Path
from phosphene.generative.diffusion.settings import DensitySettings
from phosphene.generative.diffusion.target import Velocity
from phosphene.nn.ode import Solver
from phosphene.nn.ode_density import carry, fixed_probes, standard_error

__all__ = ["ProbabilityFlow"]

_EXACT_UP_TO = 32
"""Dimensions of which ``auto`` computes the trace exactly."""
_PROBES = 4
_NEAR = 1e-5


class ProbabilityFlow(DensitySettings, Editing):
    """dx/dt = alpha' D + sigma' (x - alpha D) / sigma has the densities of the process.

    So log p(x) = log p_1(x(1)) + int tr(dv/dx) dt along it (Song et al., 2021), from the path's
    first time on. The base is standard normal (as wide as the noise where it grows).
    """

    time_scale = 0.03
    """Slow waves: a velocity that changes fast in time takes a solver many steps."""

    def setup(self) -> None:
        """Make the parts; a subclass has set the path."""
        self.path: Path
        super().setup()

    def levels(self, steps: int) -> list[Level[float]]:
        """Evenly spread in time."""
        return self.path.levels(steps)

    def middle(self, s: Level[float], t: Level[float]) -> Level[float]:
        """Halfway in time."""
        return self.path.level((s.time + t.time) / 2)

    def velocity(self, y: Tensor, time: Tensor, context: Context | None = None) -> Tensor:
        """dx/dt of the probability flow (n, ...), inside, at times (n,)."""
        level = self.path.at(time.to(y.dtype))
        wide = rows(level, y.ndim)
        if isinstance(self.target, Velocity):
            return self._network(y, level, context)
        D = self.estimate(y, level, context)
        return wide.d_alpha * D + wide.d_sigma * (y - wide.alpha * D) / wide.sigma

    @property
    def begins(self) -> float:
        """The time at which densities are those of the data, or of data with next to no noise."""
        bare = self.path.level(self.path.first).sigma == 0 and not isinstance(self.target, Velocity)
        return _NEAR if bare else self.path.first

    @property
    def exact_trace(self) -> bool:
        """Whether likelihoods have no noise of probes."""
        few = self.event.dimensions <= _EXACT_UP_TO
        return self.trace == "exact" or (self.trace == "auto" and few)

    def _log_density(self, y: Tensor, context: Context) -> Tensor:
        """log p(y) (n, P) by each probe, or (n, 1)."""
        probes = None if self.exact_trace else fixed_probes(y, _PROBES)
        solver = Solver(rtol=self.tolerance, atol=self.tolerance)
        velocity = partial(self.velocity, context=context)
        z, log_dets, _ = carry(velocity, y, self.begins, 1.0, probes=probes, solver=solver)
        std = self.prior_std(self.path.level(1.0))
        base = normal_log_prob(z, torch.zeros_like(z), std)
        return log_dets + base[:, None]

    @available_if(lambda self: not self.event.discrete, "codes have a bound: use elbo")
    def estimate_log_prob(self, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
        """The log-density of reals (n,) in nats, and the standard error of the trace (n,)."""
        context = self.given(context, len(x))
        y, log_det = self.encoded(self.event.check(x))
        values = self._log_density(y, context)
        return values.mean(1) + log_det, standard_error(values)

    def dequantized_bound(
        self, x: Tensor, context: Context, draws: int, generator: torch.Generator | None
    ) -> Tensor:
        """log of the mean of p(x + u) over draws (n,), u uniform on the bin: a bound.

        Up to the solver's error. Where the trace is estimated, the mean is that of log p: weights
        that are noisy are too large on average, and no bound.
        """
        each = []
        for _ in range(draws):
            u = torch.rand(x.shape, generator=generator, dtype=self.dtype, device=x.device)
            y, log_det = self.encoded(x, u)
            each.append(self._log_density(y, context).mean(1) + log_det)
        values = torch.stack(each)
        if not self.exact_trace:
            return values.mean(0)
        return values.logsumexp(0) - math.log(draws)

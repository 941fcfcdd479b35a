"""Flow matching: a velocity learned along straight lines from data to noise."""

from typing import Literal

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.protocols import available_if
from phosphene.core.ranges import Positive
from phosphene.core.settings import setting
from phosphene.generative.diffusion.coupling import check_coupling, transport
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.path import Straight, shifted
from phosphene.generative.diffusion.probability_flow import ProbabilityFlow
from phosphene.generative.diffusion.times import logit_normal, spread_times

__all__ = ["FlowMatching"]


class FlowMatching(ProbabilityFlow):
    """x_t = (1 - t) x_0 + t eps, v(x, t) = E[eps - x_0 | x_t = x]; samples solve dx/dt = v.

    Flow matching (Lipman, Chen, Ben-Hamu, Nickel and Le, 2023) and rectified flow (Liu, Gong and
    Liu, 2023). A continuous flow that is trained without solving it: the log-density of reals is
    known up to the solver's error (``estimate_log_prob``), and codes, which are spread over their
    bins, have a bound (``elbo``). Data are at t = 0 and noise at t = 1.

    Times may be drawn more often in the middle (``logit-normal``; Esser et al., 2024) and moved
    toward the noise by ``shift``, which samplers read too. Example and noise may be paired by
    optimal transport within the examples that are computed together (``coupling="transport"``;
    Tong et al., 2024), so that few steps suffice; ranks and accumulation then change a result.

    Args:
        event: Reals, or codes that are near or far.
        context: What it is conditioned on; withheld at random, so that samples can be guided.

    Raises:
        UnknownNameError: There is no such distribution of times or coupling.
        ConfigError: The coupling needs a package that is not installed.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = FlowMatching(Event.real(2), widths=(8,))
        >>> model.sample(3, steps=4).shape
        torch.Size([3, 2])
    """

    scoring_particles = 1
    spills = True
    """Density lies outside the codes' bins too; a sample from there becomes the nearest code."""
    usual_target = "velocity"
    usual_sampler = "midpoint"
    usual_steps = 10

    times: Literal["uniform", "logit-normal"] = setting(
        default="uniform", help="Of training: ``uniform``, or ``logit-normal``."
    )
    shift: Positive = setting(
        default=1.0,
        help="Above 1, training and sampling spend more of their time near the noise, as larger "
        "images need.",
    )
    coupling: Literal["independent", "transport"] = setting(
        default="independent",
        help="How examples and noise are paired: ``independent``, or ``transport``, by the least "
        "total squared distance.",
    )

    def setup(self) -> None:
        """Make the parts."""
        self.path = Straight()
        self.dequantized = self.event.discrete
        check_coupling(self.coupling)
        super().setup()
        self.likelihood = "bound" if self.event.discrete else "ode"
        self.bound_note = "uniform dequantization, up to the solver's error"
        self.weights_particles = self.exact_trace

    def levels(self, steps: int) -> list[Level[float]]:
        """Evenly spread in time, but for the shift."""
        return self.path.levels(steps, self.shift)

    def drawn(self, batch: Batch) -> Level[Tensor]:
        """Times spread over (0, 1), shifted."""
        u = spread_times(batch).to(self.dtype)
        u = logit_normal(u) if self.times == "logit-normal" else u
        return self.path.at(shifted(u, self.shift))

    def noise(self, batch: Batch, y: Tensor) -> Tensor:
        """Normal noise, paired with the examples."""
        eps = super().noise(batch, y)
        return transport(y, eps) if self.coupling == "transport" else eps

    @available_if(
        lambda self: self.event.discrete, "the density of reals is estimated: use estimate_log_prob"
    )
    @torch.no_grad()
    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A bound (n,) on the log-probability of codes, in nats; particles average it."""
        if particles < 1:
            raise ConfigError(f"particles must be 1 or more, got {particles}")
        self.event.check(x)
        return self.dequantized_bound(x, self.given(context, len(x)), particles, generator)

"""Score-based models in continuous time, with a bound and with a probability flow."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.phase import Loss, Phase
from phosphene.core.protocols import available_if
from phosphene.core.settings import setting
from phosphene.generative.diffusion.bound import code_log_prob, continuous_rate, prior_kl
from phosphene.generative.diffusion.level import Level, rows
from phosphene.generative.diffusion.path import Karras, build_path
from phosphene.generative.diffusion.probability_flow import ProbabilityFlow
from phosphene.generative.diffusion.times import spread_times, stratified

__all__ = ["ScoreSDE"]

_TARGETS = {"vp": "noise", "cosine": "v", "ve": "edm", "edm": "edm", "learned": "v"}
_MEAN, _STD = -1.2, 1.2
"""Of the log of EDM's training noise (Karras et al., 2022)."""


class ScoreSDE(ProbabilityFlow):
    """dx = f x dt + g dw, and back along the score, grad log p_t(x) = (alpha D - x) / sigma^2.

    Score-based generative modeling through stochastic differential equations (Song, Sohl-Dickstein,
    Kingma, Kumar, Ermon and Poole, 2021): the process ``vp``, ``ve``, ``edm`` (Karras et al.,
    2022), ``cosine``, or ``learned`` (Kingma, Salimans, Poole and Ho, 2021). Reals have the
    likelihood of the probability flow, up to its solver (``estimate_log_prob``). Codes have a
    bound: the ``variational`` one of continuous time, or that of dequantization by the flow
    (``ode``).

    Args:
        event: Reals, or codes that are near or far.
        context: What it is conditioned on; withheld at random, so that samples can be guided.

    Raises:
        UnknownNameError: There is no such process or bound.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = ScoreSDE(Event.real(2), widths=(8,))
        >>> value, error = model.estimate_log_prob(torch.zeros(3, 2))
        >>> value.shape, float(error.max())
        (torch.Size([3]), 0.0)
    """

    spills = True
    """Density lies outside the codes' bins too; a sample from there becomes the nearest code."""
    scoring_particles = 16
    """Times that are drawn for each example when its bound is scored."""

    process: Literal["vp", "ve", "edm", "cosine", "learned"] = setting(
        default="cosine",
        help="``vp``, ``ve``, ``edm``, ``cosine``, or ``learned``, whose noise over time is "
        "trained to make the bound vary least.",
    )
    bound: Literal["variational", "ode"] = setting(
        default="variational",
        help="Of codes: ``variational``, or ``ode``, the flow's likelihood of dequantized codes, "
        "which are then also what is learned.",
    )

    def setup(self) -> None:
        """Make the parts."""
        self.path = build_path(self.process)
        self.scales_input = self.path.scales_input
        self.coordinate = "ratio" if self.scales_input else "straight"  # the first is EDM's
        self.dequantized = self.event.discrete and self.bound == "ode"
        self.learns_levels = self.process == "learned"
        if self.learns_levels:
            self.usual_weighting = "variational"
        super().setup()
        if self.learns_levels and self.weighting_name not in ("auto", "variational"):
            raise ConfigError(
                "process 'learned' is trained by the bound: its weighting is 'variational', got "
                f"{self.weighting_name!r}"
            )
        self.likelihood = "bound" if self.event.discrete else "ode"
        self.weights_particles = self.dequantized and self.exact_trace
        self.bound_note = (
            "uniform dequantization, up to the solver's error"
            if self.dequantized
            else "times drawn at random"
        )

    @property
    def usual_target(self) -> str:  # type: ignore[override]
        """That of the process."""
        return _TARGETS[self.process]

    def drawn(self, batch: Batch) -> Level[Tensor]:
        """Times spread over (0, 1); of EDM, noise with a normal logarithm."""
        u = spread_times(batch).to(self.dtype)
        if isinstance(self.path, Karras):
            z = math.sqrt(2) * torch.erfinv((2 * u - 1).clamp(-1 + 1e-6, 1 - 1e-6))
            return self.path.at(self.path.time_of((_MEAN + _STD * z).exp()))
        return self.path.at(u.clamp(min=self.path.first))

    def phases(self) -> Sequence[Phase]:
        """The network's; and where the levels are learned, the path's."""
        if not self.learns_levels:
            return super().phases()
        network = [p for name, p in self.named_parameters() if not name.startswith("path.")]
        return [
            Phase("model", network, self.loss),
            Phase("path", list(self.path.parameters()), self._spread),
        ]

    def _spread(self, batch: Batch) -> Loss:
        """The mean square of the bound's integrand, whose mean does not depend on the path."""
        error = self.loss(batch).terms["error"]
        return Loss(error.square().mean(), {"square": error.square().detach()})

    # -- the variational bound --------------------------------------------------------------

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
        context = self.given(context, len(x))
        if self.dequantized:
            return self.dequantized_bound(x, context, particles, generator)
        y, _ = self.encoded(x)
        first, last = self.path.level(self.path.first), self.path.level(1.0)
        spread = self.prior_std(last)
        value = -prior_kl(y, last, spread)
        z = first.alpha * y + first.sigma * torch.empty_like(y).normal_(generator=generator)
        assert self.event.levels is not None
        value = value + code_log_prob(z, x, first, self.event.levels)
        u = torch.rand(len(x), generator=generator, dtype=y.dtype, device=y.device)
        for part in stratified(u, particles).unbind(1):
            t = self.path.first + (1 - self.path.first) * part
            level = self.path.at(t)
            wide = rows(level, y.ndim)
            eps = torch.empty_like(y).normal_(generator=generator)
            D = self.estimate(wide.alpha * y + wide.sigma * eps, level, context)
            value = value - continuous_rate(y, D, level) / particles
        return value

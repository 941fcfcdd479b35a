"""The likelihood of a probability flow on images: ours against flow_matching's solver.

The package's license (CC-BY-NC) keeps it out of every extra; where it is installed by hand, it is
measured. Its exact divergence takes vectors alone, so that 8x8 images are vectors on both sides.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.common import Case, Watch
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.diffusion.flow_matching import FlowMatching

__all__ = ["PEER", "cases"]

PEER = "flow_matching"
_TOLERANCE = 1e-4
"""Of both solvers."""
_NEAR = 1e-3
"""Nats an image between them, relative."""


def _model(side: int) -> FlowMatching:
    with seeded(1):
        event = Event.real(side * side)
        model = FlowMatching(event, widths=(64,), trace="exact", tolerance=_TOLERANCE)
        for p in model.network.parameters():
            if not bool(p.any()):  # velocities begin at zero
                nn.init.normal_(p, std=0.02)
    return model.double().eval()


def cases(side: int, n: int) -> Iterator[Case]:
    """``estimate_log_prob`` with the exact trace."""
    from flow_matching.solver import ODESolver
    from flow_matching.utils import ModelWrapper

    model = _model(side)
    x = torch.randn(n, side * side, generator=generator(2), dtype=torch.float64)

    class Forward(ModelWrapper):  # type: ignore[misc]
        """Our network as the peer's velocity, whose data lie at 1."""

        def forward(self, x: Tensor, t: Tensor, **extras: Any) -> Tensor:
            return -model.velocity(x, (1 - t).expand(len(x)))

    solver = ODESolver(velocity_model=Forward(model.network))

    def theirs(watch: Watch) -> Tensor:
        _, value = solver.compute_likelihood(
            x_1=x,
            log_p0=lambda z: torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1),
            step_size=None,
            method="dopri5",
            atol=_TOLERANCE,
            rtol=_TOLERANCE,
            exact_divergence=True,
        )
        return value.detach()  # type: ignore[no-any-return]

    def ours(watch: Watch) -> Tensor:
        return model.estimate_log_prob(x)[0]

    def check() -> float:
        wanted, found = theirs(Watch()), ours(Watch())
        worst = float(((found - wanted) / wanted).abs().max())
        assert worst < _NEAR, f"log-densities differ by {worst} of their size"
        return worst

    yield Case(f"exact log-density, {n} x {side * side} dimensions", PEER, check, theirs, ours)

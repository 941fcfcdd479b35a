"""The flow that has the densities of the diffusion, on a mixture whose score is known."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.core.rng import generator
from phosphene.generative.diffusion.exact import Mixture
from phosphene.generative.diffusion.flow_matching import FlowMatching
from phosphene.generative.diffusion.level import Level, rows
from phosphene.generative.diffusion.path import Cosine
from phosphene.generative.diffusion.probability_flow import ProbabilityFlow
from phosphene.generative.diffusion.samplers.table import run
from phosphene.generative.diffusion.samplers.two_stage import euler, heun
from phosphene.generative.diffusion.score_sde import ScoreSDE
from phosphene.nn.ode import Solver
from phosphene.nn.ode_density import carry, probes_of
from phosphene.proofs.proof import Proof, Row, Wrong, above, below, equal

__all__ = ["MIXTURE", "WRONG", "exact_model", "prove"]

_STATEMENT = (
    "dx = f x dt + g dw and dx/dt = f x - g^2 grad log p_t(x) / 2 have the same p_t, and so "
    "log p_0(x(0)) = log p_1(x(1)) + int tr(dv/dx) dt along the second, v its right side (Song et "
    "al., 2021). e^T (dv/dx) e has the trace as its mean where E e e^T = I (Hutchinson, 1990)."
)
MIXTURE = Mixture(
    torch.tensor([[-1.2, 0.4], [0.9, -0.6], [0.2, 1.1]], dtype=torch.float64),
    torch.tensor([0.4, 0.3, 0.5], dtype=torch.float64),
    torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64),
)
_LINE = Mixture(
    torch.tensor([[-1.0], [0.8]], dtype=torch.float64),
    torch.tensor([0.2, 0.4], dtype=torch.float64),
)
_PROCESSES = ("vp", "cosine", "edm", "straight")
_TIGHT = 1e-6
_END = 0.95
"""Where p_t, known at every t, is compared; wrong velocities have no limit at t = 1."""

Velocity = Callable[[ProbabilityFlow, Tensor, Tensor, Context | None], Tensor]


def exact_model(process: str, mixture: Mixture, tolerance: float = _TIGHT) -> ProbabilityFlow:
    """A model whose network is a mixture's best estimate.

    Args:
        process: ``straight``, of flow matching, or one of ``score-sde``.
        mixture: In two dimensions.
        tolerance: Of the solver.
    """
    event = Event.real(2)
    told: dict[str, Any] = {"widths": (8,), "tolerance": tolerance}
    model: ProbabilityFlow
    if process == "straight":
        model = FlowMatching(event, **told).double()
    else:
        model = ScoreSDE(event, **told, process=cast(Any, process)).double()

    def network(x: Tensor, level: Level[Tensor], *told: Any) -> Tensor:
        p, q = model.target.linear(rows(level, 2))
        return (mixture.estimate(x, level) - p * x) / q

    cast(Any, model)._network = network
    return model


def prove(seed: int = 0, *, formula: Velocity = ProbabilityFlow.velocity) -> Proof:
    """Carry points of a mixture to noise and compare their log-density with the exact one.

    Args:
        seed: Of the points and the probes.
        formula: The velocity, of a model, x, t (n,) and a context.

    Example:
        >>> prove().holds
        True
    """
    found = [
        below(
            f"{process}: log-density of 20 points, worst error, nats",
            _error(process, formula, seed),
            1e-3,
        )
        for process in _PROCESSES
    ]
    found.append(_hutchinson(formula, seed))
    counts = [4, 8, 16, 32, 64]
    first, second = ([_distance(make, n) for n in counts] for make in (euler, heun))
    found += [
        below("Euler: largest W1(N steps) / W1(N/2 steps), N = 8..64", _worst(first), 1),
        below("Heun: the same", _worst(second), 1),
        below("W1 to the data, Heun, 64 steps", second[-1], 0.005),
        above("W1 to the data, Euler, 64 steps", first[-1], second[-1]),
    ]
    figure = {
        "x": torch.tensor(counts).double(),
        "W1, Euler": torch.tensor(first),
        "W1, Heun": torch.tensor(second),
    }
    return Proof("probability-flow", "The probability flow", _STATEMENT, found, figure)


def _error(process: str, formula: Velocity, seed: int) -> float:
    """Of the flow's log-density, from the first level, which is all but that of the data."""
    model = exact_model(process, MIXTURE)
    first, last = model.path.level(max(model.path.first, 1e-5)), model.path.level(_END)
    x = MIXTURE.sample(20, generator(seed))
    solver = Solver(rtol=_TIGHT, atol=_TIGHT)
    with torch.no_grad():
        z, log_dets, _ = carry(_at(formula, model), x, first.time, _END, solver=solver)
    found = log_dets[:, 0] + MIXTURE.log_prob(z, last.alpha, last.sigma)
    return float((found - MIXTURE.log_prob(x)).abs().max())


def _at(formula: Velocity, model: ProbabilityFlow) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda y, time: formula(model, y, time, None)


def _hutchinson(formula: Velocity, seed: int) -> Row:
    """The mean of many probes along one path, against the trace itself."""
    model, count = exact_model("cosine", MIXTURE), 2000
    velocity = _at(formula, model)
    x = MIXTURE.sample(1, generator(seed, 1))
    drawn = torch.randn(count, 1, 2, dtype=torch.float64, generator=generator(seed, 2))
    probes, solver = probes_of(drawn, "rademacher"), Solver("rk4", 20)
    with torch.no_grad():
        _, exact, _ = carry(velocity, x, 0.01, _END, solver=solver)
        many = x.expand(count, 2)
        _, each, _ = carry(velocity, many, 0.01, _END, probes=probes, solver=solver)
    error = 5 * float(each.std()) / math.sqrt(count)
    return equal(f"Hutchinson, mean of {count:,} probes (5 s.e.)", each.mean(), exact, error)


def _distance(make: Callable[..., Any], steps: int) -> float:
    """W1 between what a solver makes of the normal's quantiles and those of the data, on a line."""
    n = 2000
    share = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    z = math.sqrt(2) * torch.erfinv(2 * share - 1)
    made = run(_LINE.estimate, z[:, None], make(Cosine().levels(steps)))[:, 0].sort().values
    low, high = torch.full_like(share, -8.0), torch.full_like(share, 8.0)
    for _ in range(50):
        middle = (low + high) / 2
        at = (middle[:, None] - _LINE.means[:, 0]) / _LINE.stds
        under = (_LINE.weights * torch.special.ndtr(at)).sum(1) < share
        low, high = torch.where(under, middle, low), torch.where(under, high, middle)
    return float((made - low).abs().mean())


def _worst(distances: list[float]) -> float:
    return max(b / a for a, b in pairwise(distances))


def _drift_of_the_reversed(
    model: ProbabilityFlow, y: Tensor, time: Tensor, context: Context | None = None
) -> Tensor:
    level = rows(model.path.at(time.to(y.dtype)), y.ndim)
    shrinks = level.d_alpha / level.alpha * y
    return 2 * ProbabilityFlow.velocity(model, y, time, context) - shrinks


WRONG = Wrong(
    "dx/dt = f x - g^2 grad log p_t(x): the drift of the reversed process, which is right only "
    "with its noise; the flow has half of the score",
    {"formula": _drift_of_the_reversed},
)

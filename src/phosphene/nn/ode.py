"""Ordinary differential equations dy/dt = v(y, t) of batches, solved with gradients."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor

from phosphene.core.derivatives import again_wanted, batched, gradients_again, transformed
from phosphene.core.errors import ConfigError, DivergedError, UnknownNameError
from phosphene.nn.runge_kutta import (
    DOPRI5,
    TABLEAUS,
    Velocity,
    beside,
    equal_steps,
    mix,
    take_step,
)

__all__ = [
    "GRADIENTS",
    "METHODS",
    "Solution",
    "Solver",
    "Velocity",
    "odeint",
    "sharp",
    "trajectory",
]

Method = Literal["dopri5", "rk4", "heun", "euler"]
METHODS: tuple[Method, ...] = ("dopri5", "rk4", "heun", "euler")
GRADIENTS: tuple[Literal["backprop", "adjoint"], ...] = ("backprop", "adjoint")

_MOST_GROWTH, _MOST_SHRINKAGE, _SAFETY = 10.0, 0.2, 0.9


@dataclass(frozen=True)
class Solver:
    """How an equation is solved.

    Args:
        method: ``dopri5`` (Dormand and Prince, 1980, of order 5 with an estimate of its error),
            ``rk4``, ``heun`` or ``euler``.
        steps: How many equal steps; None lets ``dopri5`` choose its own.
        rtol: Error that a chosen step may make, relative to |y|.
        atol: Error that it may make where y is 0.
        max_steps: Chosen steps, refused ones included, before the solver gives up.
        gradient: ``backprop`` through the steps, or the ``adjoint`` equation, whose memory does not
            grow with the steps and whose gradients have an error of the tolerance's size.

    Raises:
        UnknownNameError: There is no such method or gradient.
        ConfigError: A number is not positive, or a method without an estimate of its error is
            given no steps.
    """

    method: str = "dopri5"
    steps: int | None = None
    rtol: float = 1e-5
    atol: float = 1e-5
    max_steps: int = 1000
    gradient: str = "backprop"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UnknownNameError("ODE method", self.method, METHODS)
        if self.gradient not in GRADIENTS:
            raise UnknownNameError("gradient of an ODE", self.gradient, GRADIENTS)
        if self.steps is None and self.method != "dopri5":
            raise ConfigError(
                f"method {self.method!r} needs a number of steps; only 'dopri5' chooses its own"
            )
        for name in ("steps", "rtol", "atol", "max_steps"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} of an ODE solver must be above 0, got {value}")


_SHARP = {torch.float64: 1e-12}
"""Tolerances by type at which a solution and its inverse agree as a closed formula's would."""

_SHARP_ELSE = 1e-6


def sharp(solver: Solver, dtype: torch.dtype) -> Solver:
    """As exact as a bijection has to be: 1e-6, 1e-12 in float64, or the solver's own tolerance.

    Example:
        >>> sharp(Solver("rk4", 8), torch.float32).rtol
        1e-06
    """
    finest = _SHARP.get(dtype, _SHARP_ELSE)
    atol, rtol = min(solver.atol, finest), min(solver.rtol, finest)
    return replace(solver, method="dopri5", steps=None, atol=atol, rtol=rtol)


class Solution(NamedTuple):
    """Where a solver arrived, and what it took.

    Args:
        y: The end (n, ...).
        evaluations: How often v was needed for each example (n,).
    """

    y: Tensor
    evaluations: Tensor


def odeint(
    velocity: Velocity,
    y: Tensor,
    t0: float,
    t1: float,
    solver: Solver | None = None,
    *,
    parameters: Sequence[Tensor] = (),
) -> Solution:
    """The y(t1) of dy/dt = v(y, t) that starts at y(t0), forward or backward in time.

    Each example has its own steps, so that its solution does not depend on the others in the
    batch. Steps that are chosen are first found without gradients; the accepted ones are then
    taken again with them. The choice itself is held fixed, as is usual.

    Args:
        velocity: v.
        y: The start (n, ...).
        t0: When it starts.
        t1: When it ends; before t0 to go back in time.
        solver: How.
        parameters: What v depends on that gets gradients by the adjoint method (Chen, Rubanova,
            Bettencourt and Duvenaud, 2018); back-propagation reaches everything by itself. Second
            derivatives, and ``torch.func``, are those of back-propagation.

    Raises:
        DivergedError: The end was not reached in ``max_steps`` steps.
        ConfigError: ``torch.func.vmap`` hides the values by which steps are chosen.

    Example:
        >>> rate = torch.tensor([[1.0], [2.0]])
        >>> odeint(lambda y, t: -rate * y, torch.ones(2, 1), 0.0, 1.0).y
        tensor([[0.3679],
                [0.1353]])
    """
    solver = solver or Solver()
    wanted = torch.is_grad_enabled() or transformed()
    if not wanted or solver.gradient == "backprop" or transformed():
        return _solve(velocity, y, t0, t1, solver, wanted)
    end, evaluations = cast(
        tuple[Tensor, Tensor], _Adjoint.apply(velocity, solver, t0, t1, y, *parameters)
    )
    return Solution(end, evaluations)


def trajectory(
    velocity: Velocity, y: Tensor, times: Sequence[float], solver: Solver | None = None
) -> Tensor:
    """The solution at each of several times (len(times), n, ...), of which the first starts it."""
    path = [y]
    for a, b in pairwise(times):
        path.append(odeint(velocity, path[-1], a, b, solver).y)
    return torch.stack(path)


def _solve(
    velocity: Velocity, y: Tensor, t0: float, t1: float, solver: Solver, wanted: bool
) -> Solution:
    tableau = TABLEAUS[solver.method]
    if solver.steps is not None:
        count = y.detach().new_full((len(y),), float(solver.steps * len(tableau.weights)))
        for t, h in equal_steps(y, t0, t1, solver.steps):
            y = take_step(velocity, tableau, y, t, h).y
        return Solution(y, count)
    if batched(y):
        raise ConfigError(
            "torch.func.vmap hides the values by which an ODE's steps are chosen: give the solver "
            "a number of steps, or the whole batch at once, in which each example has its own"
        )
    with torch.no_grad():
        path = _choose(velocity, y.detach(), t0, t1, solver)
    if not wanted:
        return Solution(path.y, path.evaluations)
    for t, h in zip(path.starts.detach(), path.sizes.detach(), strict=True):
        y = take_step(velocity, tableau, y, t, h).y
    return Solution(y, path.evaluations)


# -- steps that the solver chooses --------------------------------------------------------------


class _Path(NamedTuple):
    """The end, and each example's accepted steps in order (J, n), those of size 0 being none."""

    y: Tensor
    starts: Tensor
    sizes: Tensor
    evaluations: Tensor


def _choose(velocity: Velocity, y: Tensor, t0: float, t1: float, solver: Solver) -> _Path:
    """Dormand-Prince steps whose estimated error is within the tolerance (Hairer et al., 1993)."""
    t = torch.full((len(y),), t0, dtype=y.dtype, device=y.device)
    end = torch.full_like(t, t1)
    slope = velocity(y, t)
    h = _first_step(velocity, y, t, slope, t1 - t0, solver)
    evaluations = torch.full_like(t, 2.0)
    record: list[tuple[Tensor, Tensor, Tensor]] = []
    while bool((active := t != end).any()):
        left = end - t
        last = h.abs() >= left.abs()
        h = torch.where(last, left, h)
        stuck = active & (t + h == t)
        if len(record) >= solver.max_steps or bool(stuck.any()):
            raise _gave_up(t, end, active, solver, len(record))
        new, slopes, _ = take_step(velocity, DOPRI5, y, t, h, slope)
        ahead = velocity(new, t + h)
        error = beside(h, y) * mix([*slopes, ahead], DOPRI5.error)
        norm = _norm(error, torch.maximum(y.abs(), new.abs()), solver)
        accepted = active & (norm <= 1)
        record.append((t, h, accepted))
        evaluations = evaluations + 6 * active
        factor = (_SAFETY * norm.pow(-1 / 5)).clamp(_MOST_SHRINKAGE, _MOST_GROWTH)
        factor = torch.where(accepted, factor.clamp(min=1 / _MOST_GROWTH), factor.clamp(max=1.0))
        t = torch.where(accepted, torch.where(last, end, t + h), t)
        y = torch.where(beside(accepted, y), new, y)
        slope = torch.where(beside(accepted, y), ahead, slope)
        # An error that is not a number leaves a factor that is none: the step is made smaller.
        h = h * torch.where(factor.isfinite(), factor, torch.full_like(factor, _MOST_SHRINKAGE))
    return _Path(y, *_packed(record, t), evaluations)


def _packed(record: list[tuple[Tensor, Tensor, Tensor]], t: Tensor) -> tuple[Tensor, Tensor]:
    """Each example's accepted steps, moved to the front."""
    if not record:
        return t.new_zeros(0, len(t)), t.new_zeros(0, len(t))
    starts, sizes, accepted = (torch.stack(part) for part in zip(*record, strict=True))
    order = (~accepted).long().argsort(dim=0, stable=True)[: int(accepted.sum(0).max())]
    return starts.gather(0, order), (sizes * accepted).gather(0, order)


def _norm(error: Tensor, size: Tensor, solver: Solver) -> Tensor:
    """Root mean square of the error of each example (n,), in units of the tolerance."""
    return (error / (solver.atol + solver.rtol * size)).flatten(1).square().mean(1).sqrt()


def _first_step(
    velocity: Velocity, y: Tensor, t: Tensor, slope: Tensor, span: float, solver: Solver
) -> Tensor:
    """A first step from the slope and how fast it changes (Hairer et al., 1993, II.4)."""
    sign, most = math.copysign(1.0, span), abs(span)
    size = y.abs()
    d0, d1 = _norm(y, size, solver), _norm(slope, size, solver)
    h0 = torch.where((d0 < 1e-5) | (d1 < 1e-5), torch.full_like(d0, 1e-6), 0.01 * d0 / d1)
    h0 = h0.clamp(max=most)
    ahead = velocity(y + beside(sign * h0, y) * slope, t + sign * h0)
    d2 = _norm(ahead - slope, size, solver) / h0.clamp(min=torch.finfo(h0.dtype).tiny)
    fast = torch.maximum(d1, d2)
    h1 = torch.where(fast <= 1e-15, torch.full_like(fast, most), (0.01 / fast).pow(1 / 5))
    # Where nothing moves there is nothing to be careful about.
    h = torch.where(fast <= 1e-15, h1, torch.minimum(100 * h0, h1)).clamp(max=most)
    return sign * torch.where(h.isfinite() & (h > 0), h, torch.full_like(h, 1e-6 * most))


def _gave_up(t: Tensor, end: Tensor, active: Tensor, solver: Solver, steps: int) -> DivergedError:
    worst = int(((end - t).abs() * active).argmax())
    return DivergedError(
        f"the ODE solver is at t = {float(t[worst]):.4g} of {float(end[worst]):.4g} after {steps} "
        f"steps (at most {solver.max_steps}) with rtol={solver.rtol:g}, atol={solver.atol:g}: the "
        f"velocity is steep or not finite; loosen the tolerance or lower the learning rate"
    )


# -- the adjoint method -------------------------------------------------------------------------


class _Adjoint(torch.autograd.Function):
    """Gradients by a second equation, solved back in time beside the first.

    a = dL/dy obeys da/dt = -a^T dv/dy, and dL/dparameters = int a^T dv/dparameters dt (Chen et
    al., 2018). The integral is a sum over the steps that y and a need; it has no say in their size.
    """

    @staticmethod
    def forward(
        ctx: Any,
        velocity: Velocity,
        solver: Solver,
        t0: float,
        t1: float,
        y: Tensor,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        end, evaluations = _solve(velocity, y, t0, t1, solver, False)
        ctx.velocity, ctx.solver, ctx.times = velocity, solver, (t0, t1)
        ctx.save_for_backward(y, end, *parameters)
        ctx.mark_non_differentiable(evaluations)
        return end, evaluations

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        y, end, *parameters = ctx.saved_tensors
        (t0, t1), solver = ctx.times, ctx.solver
        if again_wanted(gradient):
            found = gradients_again(
                lambda y: _solve(ctx.velocity, y, t0, t1, solver, True).y,
                (y,), (gradient,), ctx.needs_input_grad[4:], held=parameters,
            )  # fmt: skip
            return None, None, None, None, *found
        parameters = [p for p in parameters if p.requires_grad]
        needed = iter(_integrate(ctx.velocity, solver, t0, t1, end, gradient, parameters))
        start = next(needed)
        asked = ctx.needs_input_grad[4:]
        grads = [next(needed) if ask else None for ask in asked[1:]]
        return None, None, None, None, start if asked[0] else None, *grads


def _integrate(
    velocity: Velocity,
    solver: Solver,
    t0: float,
    t1: float,
    end: Tensor,
    gradient: Tensor,
    parameters: list[Tensor],
) -> list[Tensor]:
    """dL/dy(t0), and dL/dparameters."""

    def both(state: Tensor, t: Tensor) -> Tensor:
        """Of y and a, stacked as (n, 2, ...)."""
        y, a = state.unbind(1)
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            v = velocity(y, t)
            (pulled,) = torch.autograd.grad(v, y, a, allow_unused=True, materialize_grads=True)
        return torch.stack((v.detach(), -pulled), 1)

    state = torch.stack((end, gradient), 1)
    steps: Iterator[tuple[Tensor, Tensor]]
    if solver.steps is None:
        steps = zip(*_choose(both, state, t1, t0, solver)[1:3], strict=True)
    else:
        steps = equal_steps(state, t1, t0, solver.steps)
    tableau = TABLEAUS[solver.method]
    sums = [torch.zeros_like(p) for p in parameters]
    for t, h in steps:
        state, _, points = take_step(both, tableau, state, t, h)
        for weight, (point, when) in zip(tableau.weights, points, strict=True):
            if parameters and weight:
                y, a = point.unbind(1)
                with torch.enable_grad():
                    v = velocity(y.detach(), when)
                grads = torch.autograd.grad(
                    v, parameters, -weight * beside(h, a) * a, allow_unused=True
                )
                sums = [s if g is None else s + g for s, g in zip(sums, grads, strict=True)]
    return [state[:, 1], *sums]

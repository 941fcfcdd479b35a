"""Densities that a velocity carries along: the change of variables in continuous time."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.rng import generator as seeded
from phosphene.nn.ode import Solver, Velocity, odeint

__all__ = [
    "NOISES",
    "TRACES",
    "Flowed",
    "carry",
    "fixed_probes",
    "flow_log_prob",
    "probes_of",
    "standard_error",
    "value_and_traces",
]

NOISES: tuple[Literal["rademacher", "normal"], ...] = ("rademacher", "normal")
TRACES: tuple[Literal["exact", "hutchinson"], ...] = ("exact", "hutchinson")


def probes_of(normal: Tensor, noise: str) -> Tensor:
    """Vectors of mean 0 and covariance I from normal numbers: their signs, or themselves.

    Signs (``rademacher``) give the trace's estimate the least variance of all independent entries.
    """
    if noise not in NOISES:
        raise UnknownNameError("noise", noise, NOISES)
    if noise == "normal":
        return normal
    return torch.where(normal < 0, -torch.ones_like(normal), torch.ones_like(normal))


def fixed_probes(y: Tensor, count: int, noise: str = "rademacher") -> Tensor:
    """Probes (n, count, ...) for a likelihood of examples (n, ...), the same at every call."""
    size = (len(y), count, *y.shape[1:])
    drawn = torch.randn(size, generator=seeded(0, device=y.device), dtype=y.dtype, device=y.device)
    return probes_of(drawn, noise)


def value_and_traces(
    velocity: Velocity, x: Tensor, t: Tensor, probes: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """v(x, t), and tr(dv/dx) exactly (n, 1) or estimated by each of P probes (n, P).

    The exact trace takes D products e_i^T (dv/dx) of reverse mode; Hutchinson's (1990) estimate is
    e^T (dv/dx) e with E e e^T = I, one product for each e. A velocity that has a method
    ``pushed(x, t, tangents)``, which gives v and (dv/dx) e, is asked for products of forward mode.

    Args:
        velocity: v, of each example alone.
        x: (n, ...).
        t: (n,).
        probes: e (n, P, ...); None for the exact trace.

    Example:
        >>> A = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> with torch.no_grad():
        ...     value_and_traces(lambda x, t: x @ A.T, torch.ones(1, 2), torch.zeros(1))
        (tensor([[3., 7.]]), tensor([[5.]]))
    """
    pushed = getattr(velocity, "pushed", None)
    if pushed is not None:
        return _pushed(pushed, x, t, probes)
    wanted = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x if wanted and x.requires_grad else x.detach().requires_grad_()
        v = velocity(x, t)
        if not v.requires_grad:  # v says the same everywhere
            columns = 1 if probes is None else probes.shape[1]
            return v, torch.zeros(len(v), columns, dtype=x.dtype, device=x.device)

        def product(e: Tensor) -> Tensor:
            (pulled,) = torch.autograd.grad(
                v, x, e, create_graph=wanted, retain_graph=True, materialize_grads=True
            )
            return pulled

        if probes is None:
            eye = torch.eye(x[0].numel(), dtype=x.dtype, device=x.device)
            diagonal = [
                product(e.view(1, *x.shape[1:]).expand_as(x)).flatten(1)[:, i]
                for i, e in enumerate(eye)
            ]
            traces = torch.stack(diagonal, 1).sum(1, keepdim=True)
        else:
            each = [(product(e) * e).flatten(1).sum(1) for e in probes.unbind(1)]
            traces = torch.stack(each, 1)
    return (v, traces) if wanted else (v.detach(), traces.detach())


def _pushed(
    pushed: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
    x: Tensor,
    t: Tensor,
    probes: Tensor | None,
) -> tuple[Tensor, Tensor]:
    if probes is not None:
        v, moved = pushed(x, t, probes)
        return v, (moved * probes).flatten(2).sum(2)
    d = x[0].numel()
    eye = torch.eye(d, dtype=x.dtype, device=x.device).view(d, *x.shape[1:])
    v, moved = pushed(x, t, eye.expand(len(x), *eye.shape))
    return v, moved.flatten(2).diagonal(0, 1, 2).sum(1, keepdim=True)


class Flowed(NamedTuple):
    """Where examples were carried.

    Args:
        z: The end (n, ...).
        log_dets: log |det dz/dx|, (n, 1) if exact, or one column for each probe; averaged, the
            columns estimate it without bias.
        evaluations: How often the velocity was needed for each example (n,).
    """

    z: Tensor
    log_dets: Tensor
    evaluations: Tensor


def carry(
    velocity: Velocity,
    x: Tensor,
    t0: float,
    t1: float,
    *,
    probes: Tensor | None = None,
    solver: Solver | None = None,
    parameters: Sequence[Tensor] = (),
) -> Flowed:
    """z(t1) of dz/dt = v(z, t), z(t0) = x, and log |det dz/dx| = int tr(dv/dz) dt.

    The change of variables in continuous time (Chen, Rubanova, Bettencourt and Duvenaud, 2018).
    The probes are the same at all times of a solve, without which there would be no equation to
    solve; the estimate stays unbiased (Grathwohl et al., 2019).

    Args:
        velocity: v(z, t), of (n, ...) and (n,).
        x: (n, ...).
        t0: When x is.
        t1: When z is, before t0 to go back.
        probes: (n, P, ...) for Hutchinson's estimate; None for the exact trace.
        solver: How it is solved.
        parameters: Of v, for the adjoint method.

    Example:
        >>> with torch.no_grad():
        ...     z, log_dets, _ = carry(lambda z, t: -z, torch.ones(1, 3), 0.0, 1.0)
        >>> z, log_dets
        (tensor([[0.3679, 0.3679, 0.3679]]), tensor([[-3.0000]]))
    """
    d = x[0].numel()
    columns = 1 if probes is None else probes.shape[1]

    def field(state: Tensor, t: Tensor) -> Tensor:
        v, traces = value_and_traces(velocity, state[:, :d].view_as(x), t, probes)
        return torch.cat((v.flatten(1), traces), 1)

    state = torch.cat((x.flatten(1), x.new_zeros(len(x), columns)), 1)
    end, evaluations = odeint(field, state, t0, t1, solver, parameters=parameters)
    return Flowed(end[:, :d].reshape(x.shape), end[:, d:], evaluations)


def flow_log_prob(
    velocity: Velocity,
    x: Tensor,
    t0: float,
    t1: float,
    log_prob: Callable[[Tensor], Tensor],
    *,
    trace: str = "exact",
    noise: str = "rademacher",
    probes: int = 1,
    solver: Solver | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """The log-density (n,) at t0 of what is distributed by ``log_prob`` at t1, and its error.

    log p(x, t0) = log p(z, t1) + int_t0^t1 tr(dv/dz) dt along the path from x to z. Any model whose
    samples follow a velocity has its density so: a continuous flow, flow matching, the
    probability-flow equation of a diffusion (Song et al., 2021). The standard error is that of the
    probes, 0 for an exact trace; the solver's own error is about its tolerance.

    Args:
        velocity: v(z, t), of (n, ...) and (n,).
        x: (n, ...).
        t0: The time of x.
        t1: The time at which the density is known.
        log_prob: The log-density there, (n, ...) to (n,).
        trace: ``exact`` (D products a step) or ``hutchinson`` (one for each probe).
        noise: ``rademacher`` or ``normal`` probes.
        probes: How many.
        solver: How the equation is solved.
        generator: Draws the probes.

    Raises:
        UnknownNameError: There is no such trace or noise.
        ConfigError: There is no probe.

    Example:
        >>> normal = torch.distributions.Normal(0.0, 1.0)
        >>> value, error = flow_log_prob(
        ...     lambda z, t: -z, torch.zeros(1, 1), 0.0, 1.0, lambda z: normal.log_prob(z).sum(1)
        ... )
        >>> value.detach()  # -1/2 log 2 pi - 1
        tensor([-1.9189])
    """
    if trace not in TRACES:
        raise UnknownNameError("trace", trace, TRACES)
    if probes < 1:
        raise ConfigError(f"probes must be 1 or more, got {probes}")
    drawn = None
    if trace == "hutchinson":
        size = (len(x), probes, *x.shape[1:])
        drawn = torch.randn(size, generator=generator, dtype=x.dtype, device=x.device)
        drawn = probes_of(drawn, noise)
    z, log_dets, _ = carry(velocity, x, t0, t1, probes=drawn, solver=solver)
    return log_prob(z) + log_dets.mean(1), standard_error(log_dets)


def standard_error(columns: Tensor) -> Tensor:
    """Of the mean of columns (n, P): (n,), 0 for one column, whose spread is unknown."""
    if columns.shape[1] == 1:
        return torch.zeros_like(columns[:, 0])
    spread: Tensor = columns.std(1) / math.sqrt(columns.shape[1])
    return spread

"""Diffusion in the plane, with the exact score: marginals, paths, guidance and few steps."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor

from phosphene.core.lesson import Curves, Lesson, Plane
from phosphene.core.ranges import Within
from phosphene.core.rng import generator
from phosphene.data import densities
from phosphene.generative.diffusion.exact import Mixture, score
from phosphene.generative.diffusion.guidance import ClassifierFree
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.path import Cosine
from phosphene.generative.diffusion.samplers.ancestral import ancestral
from phosphene.generative.diffusion.samplers.ddim import ddim
from phosphene.generative.diffusion.samplers.dpm_solver import dpm_solver
from phosphene.generative.diffusion.samplers.table import Asked, Row, Table, run
from phosphene.generative.diffusion.samplers.two_stage import euler, heun
from phosphene.generative.diffusion.target import Data, Target

__all__ = ["demonstrate"]

_SIZE, _CELLS, _ARROWS = 2.8, 90, 17
_TIMES = (0.1, 0.35, 0.7)
_PATHS, _POINTS, _FEW = 9, 400, (4, 8, 16, 32, 64)
_WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
_PATH = Cosine()


def demonstrate(
    *,
    seed: int = 0,
    density: Literal["moons", "ring8", "grid25", "spirals"] = "moons",
    steps: Annotated[int, Within(10, 1000)] = 100,
    weight: Annotated[float, Within(0, 20)] = 3.0,
) -> Lesson:
    """Follow noise to data in two dimensions, where the best estimate is known.

    Nothing is learned here, so that all that is seen is due to samplers (Song et al., 2021; Karras
    et al., 2022; Lu et al., 2022) and guidance (Ho and Salimans, 2022).

    Args:
        seed: Of the noise.
        density: The data: two moons, a ring of 8 points, a grid of 25, or two spirals.
        steps: Of the paths that are drawn, ancestral and of the flow.
        weight: Of guidance toward one class: an arm, or some of the points.
    """
    data, own = _mixture(density)
    g = generator(seed)
    start = _spread_noise(g)
    many = torch.randn(_POINTS, 2, generator=g, dtype=torch.float64)
    levels = _PATH.levels(steps)
    drawn = _followed(data, start, ancestral(levels), generator(seed, 1))
    flowed = _followed(data, start, ddim(levels), None)
    errors = _errors(data, many)
    class_ = data.part(own)
    network = _Known(class_, data)
    samples = {w: _guided(network, many, w) for w in sorted({*_WEIGHTS, weight})}
    agree = {w: float(_agreement(data, own, x).mean()) for w, x in samples.items()}
    spread = {w: float(x.var(0).sum()) for w, x in samples.items()}
    clean = _density(data, Level(0.0, 1.0, 0.0))
    numbers = {
        f"{name}, asked {count:.0f} times: mean distance to the flow's end": value
        for name, (counts, values) in errors.items()
        for count, value in zip(counts, values, strict=True)
    }
    for w in samples:
        numbers[f"w = {w:g}: p(c | x)"], numbers[f"w = {w:g}: variance"] = agree[w], spread[w]
    panels = [_marginal(data, t) for t in _TIMES]
    panels += [
        Plane(title=f"ancestral sampling, {steps} steps", size=_SIZE, density=clean, paths=drawn),
        Plane(title="the probability flow, from the same noise", size=_SIZE, density=clean,
              paths=flowed),
    ]  # fmt: skip
    few = Curves(
        title="few steps: distance to where the flow ends",
        x="times that the network is asked",
        y="mean distance",
        lines=errors,
        log="y",
    )
    told = Plane(
        title=f"one class, w = 0 and w = {weight:g}",
        size=_SIZE,
        density=clean,
        sets={"w = 0": samples[0.0], f"w = {weight:g}": samples[weight]},
    )
    trade = Curves(
        title="guidance: agreement and diversity",
        x="w",
        y="",
        lines={
            "p(c | x), seen through noise": (list(agree), list(agree.values())),
            "variance over that at w = 0": (
                list(spread),
                [v / spread[0.0] for v in spread.values()],
            ),
        },
    )
    return Lesson(
        title="Diffusion in the plane",
        text=_said(density, steps, weight, errors, agree, spread),
        numbers=numbers,
        panels=[*panels, few, _score_of_guidance(network, weight), told, trade],
    )


def _mixture(name: str) -> tuple[Mixture, Tensor]:
    """The data, and which of their components make one class."""
    law = densities.density(name)
    assert isinstance(law, densities.Mixture)
    count = len(law.centers)
    if name in ("moons", "spirals"):
        own = torch.arange(count) < count // 2
    else:
        x, y = law.centers.unbind(1)
        own = y > 0.5 if name == "ring8" else (x > 0.5) & (y > 0.5)
    stds = torch.full((count,), law.scale, dtype=torch.float64)
    return Mixture(law.centers, stds, law.weights), own.nonzero()[:, 0]


class _Known:
    """The best estimates with the class known, and not."""

    target: Target = Data()

    def __init__(self, told: Mixture, untold: Mixture) -> None:
        self.mixtures = told, untold

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        return self.mixtures[0].estimate(x, level)

    def both(self, x: Tensor, level: Level[float]) -> tuple[Tensor, Tensor]:
        told, untold = (m.estimate(x, level) for m in self.mixtures)
        return told, untold


def _spread_noise(g: torch.Generator) -> Tensor:
    """Draws (n, 2) of normal noise whose angles and radii are stratified: none beside another."""
    u = (torch.randperm(_PATHS, generator=g) + torch.rand(_PATHS, generator=g)) / _PATHS
    turn = torch.rand(1, generator=g)
    angle = 2 * math.pi * (torch.arange(_PATHS) + turn) / _PATHS
    radius = (-2 * torch.log1p(-u.double())).sqrt()
    return radius[:, None] * torch.stack((angle.cos(), angle.sin()), 1).double()


def _square(count: int) -> Tensor:
    """Centers (count^2, 2) of the cells of the square, rows from below."""
    line = _SIZE * ((torch.arange(count, dtype=torch.float64) + 0.5) * 2 / count - 1)
    return torch.cartesian_prod(line, line).flip(1)


def _density(data: Mixture, level: Level[float]) -> Tensor:
    """The root of p_t on the square, so that thin parts are seen."""
    log = data.log_prob(_square(_CELLS), level.alpha, level.sigma)
    return (0.5 * (log - log.max())).exp().view(_CELLS, _CELLS)


def _arrows(ask: Asked, level: Level[float]) -> Tensor:
    """The score times sigma: the noise that is expected, turned around."""
    x = _square(_ARROWS)
    move = level.sigma * score(ask(x, level), x, level)
    longest = move.norm(dim=1, keepdim=True)
    return torch.cat((x, move * 0.3 / (1 + longest)), 1)  # long ones shortened


def _marginal(data: Mixture, t: float) -> Plane:
    level = _PATH.level(t)
    return Plane(
        title=f"p_t and its score, t = {t:g}",
        size=_SIZE,
        density=_density(data, level),
        arrows=_arrows(data.estimate, level),
    )


def _score_of_guidance(network: _Known, weight: float) -> Plane:
    level = _PATH.level(_TIMES[1])
    return Plane(
        title=f"guided score on p_t(x | c), w = {weight:g}, t = {_TIMES[1]:g}",
        size=_SIZE,
        density=_density(network.mixtures[0], level),
        arrows=_arrows(ClassifierFree(weight).of(network), level),
    )


def _followed(data: Mixture, x: Tensor, table: Table, g: torch.Generator | None) -> Tensor:
    """The ways (n, steps + 1, 2) of a sampler."""
    seen = [x]

    def keep(x: Tensor, D: Tensor | None, row: Row) -> None:
        seen.append(x.clone())

    run(data.estimate, x, table, generator=g, observe=keep)
    return torch.stack(seen, 1)


def _errors(data: Mixture, x: Tensor) -> dict[str, tuple[list[float], list[float]]]:
    """Of solvers of the flow: how often they ask, and how far from its end they arrive."""
    fine = run(data.estimate, x, _heun(_PATH.levels(200)))
    found = {}
    makers = {"Euler": euler, "Heun": _heun, "DPM-Solver++": dpm_solver}
    for name, make in makers.items():
        tables = [make(_PATH.levels(n // 2 + 1 if make is _heun else n)) for n in _FEW]
        ends = [run(data.estimate, x, table) for table in tables]
        found[name] = (
            [float(table.evaluations) for table in tables],
            [float((end - fine).norm(dim=1).mean()) for end in ends],
        )
    return found


def _heun(levels: Sequence[Level[float]]) -> Table:
    return heun(levels, coordinate="straight")


def _guided(network: _Known, x: Tensor, weight: float) -> Tensor:
    return run(ClassifierFree(weight).of(network), x, ddim(_PATH.levels(60)))


def _agreement(data: Mixture, own: Tensor, x: Tensor) -> Tensor:
    """p(c | x_t) at alpha x: of samples seen through noise, as clean ones leave no doubt."""
    level = _PATH.level(_TIMES[1])
    return data.log_joint(level.alpha * x, level.alpha, level.sigma).softmax(1)[:, own].sum(1)


def _said(
    density: str,
    steps: int,
    weight: float,
    errors: dict[str, tuple[list[float], list[float]]],
    agree: dict[float, float],
    spread: dict[float, float],
) -> str:
    found = [
        f"{name} {values[2]:.3f} (asked {counts[2]:.0f} times)"
        for name, (counts, values) in errors.items()
    ]
    text = (
        f"Data from {density!r} become noise, t from 0 to 1. At each t the arrows, the score, "
        "point to where x_t is likely: to the data's details at small t, to their middle at large "
        f"t. Ancestral sampling and the probability flow ask the same estimate {steps} times from "
        "the same noise. The first adds noise in each step and forgets where it began; the second "
        "goes a smooth way, so that it can be solved in few steps. Mean distance to where it ends: "
        f"{', '.join(found)}. "
    )
    if weight == 0:
        return text + "Guidance with w = 0 is the conditional model itself."
    text += (
        f"Guidance toward one class with w = {weight:g} moves samples to where the other class is "
        f"not: p(c | x), seen through the noise of t = {_TIMES[1]:g}, goes from {agree[0.0]:.3f} "
        f"to {agree[weight]:.3f}, and their variance from {spread[0.0]:.3f} to "
        f"{spread[weight]:.3f}."
    )
    if spread[weight] < spread[0.0] and agree[weight] > agree[0.0]:
        text += " Agreement is bought with diversity."
    return text

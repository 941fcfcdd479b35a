"""What one matrix does, again and again, to states and to gradients."""

from typing import Annotated

import torch
from torch import Tensor

from phosphene.core.lesson import Curves, Lesson, Points
from phosphene.core.ranges import Within
from phosphene.core.rng import generator
from phosphene.learning.recurrent.rnn import RNN
from phosphene.learning.recurrent.spectrum import (
    STEEPEST,
    growth,
    growth_bound,
    jacobian_product,
    linear_states,
    normality_gap,
    power_iteration,
    spectral_radius,
)

__all__ = ["demonstrate"]

_NETWORKS = ("tanh network", "sigmoid network")


def demonstrate(
    *,
    seed: int = 0,
    size: Annotated[int, Within(2, 100)] = 12,
    radius: Annotated[float, Within(0.01, 5)] = 0.95,
    skew: Annotated[float, Within(0, 20)] = 1.0,
    steps: Annotated[int, Within(2, 200)] = 60,
) -> Lesson:
    """Multiply by a matrix of a given spectral radius, with and without activations.

    Pascanu, Mikolov and Bengio (2013).

    Args:
        seed: Of the matrix and of the inputs.
        size: Rows of the matrix.
        radius: Its largest |eigenvalue|.
        skew: How far it is from normal; 0 for a symmetric matrix.
        steps: How many.
    """
    W = _matrix(size, radius, skew, seed)
    h = torch.randn(size, generator=generator(seed, 1), dtype=torch.float64)
    states = linear_states(W, h, steps)
    _, vector = power_iteration(W, 4000, seed=seed)
    along = (states @ vector)[:, None] * vector
    angle = torch.atan2((states - along).norm(dim=1), along.norm(dim=1)) * 180 / torch.pi
    lags = range(1, steps + 1)
    lines: dict[str, tuple[range, list[float]]] = {}
    numbers: dict[str, float] = {
        "largest |eigenvalue|": float(spectral_radius(W)),
        "largest singular value": float(growth(W)),
        "|W W^T - W^T W|": float(normality_gap(W)),
        "angle to the dominant eigenvector at the end, in degrees": float(angle[-1]),
    }
    power = [float(torch.linalg.matrix_norm(torch.linalg.matrix_power(W, k), 2)) for k in lags]
    lines["W^t alone"] = (lags, power)
    for name in ("tanh", "sigmoid"):
        lines[f"{name} network"] = (lags, _reach(W, name, steps, seed))
        lines[f"bound, {name}"] = (lags, [float(growth_bound(W, STEEPEST[name], k)) for k in lags])
    lines["eigenvalue^t"] = (lags, [radius**k for k in lags])
    numbers["largest |W^t|"] = max(power)
    lengths = {name: _shown(values) for name, values in lines.items()}
    eigen = torch.linalg.eigvals(W)
    circle = torch.linspace(0, 2 * torch.pi, 100, dtype=torch.float64)
    above = any(p > radius**k * (1 + 1e-6) for k, p in zip(lags, power, strict=True))
    crossed = ": its line is crossed" if above else ", though nothing crosses its line here"
    text = (
        f"A {size}x{size} matrix whose largest |eigenvalue| is {radius:g} and whose largest "
        f"singular value is {float(growth(W)):.3g}. In the long run W^t h turns into the dominant "
        f"eigenvector and changes by the factor {radius:g} a step, whatever h was. Gradients "
        "through t steps are bounded by (gamma s)^t with the largest singular value s and the "
        "steepest slope gamma of the activation. It is only a bound: activations that are "
        "saturated shrink more. A matrix that is not normal may stretch before it shrinks; here "
        f"|W^t| is largest at t = {power.index(max(power)) + 1}, with {max(power):.3g}. "
        "Eigenvalues say where W^t goes in the long run, and no more: with activations each step "
        "has a matrix of its own, diag(f') W, and eigenvalues of W do not say what their product "
        f"does. The line of W^t ends at {power[-1]:.3g}, "
        + ", ".join(f"the {name}'s at {_end(lines[name])}" for name in _NETWORKS)
        + f". The eigenvalue itself bounds nothing{crossed}."
    )
    panels = [
        Points(
            title="eigenvalues, and the unit circle",
            x="real part",
            y="imaginary part",
            sets={"eigenvalues": torch.stack([eigen.real, eigen.imag], 1)},
            lines={"|z| = 1": torch.stack([circle.cos(), circle.sin()], 1)},
            equal=True,
        ),
        Curves(
            title="from the state to the dominant eigenvector",
            x="step",
            y="angle in degrees",
            log="y",
            lines={"W^t h": (range(steps + 1), angle.clamp(min=1e-9).tolist())},
        ),
        Curves(
            title="|dh_t/dh_0|",
            x="t",
            y="largest stretch",
            log="y",
            lines=lengths,
            dashed=("bound, tanh", "bound, sigmoid", "eigenvalue^t"),
        ),
    ]
    return Lesson(title="The spectrum of recurrence", text=text, numbers=numbers, panels=panels)


def _matrix(size: int, radius: float, skew: float, seed: int) -> Tensor:
    """Q (L + skew N) Q^T with N above the diagonal: eigenvalues L, normal where skew is 0."""
    g = generator(seed)
    Q = torch.linalg.qr(torch.randn(size, size, generator=g, dtype=torch.float64))[0]
    values = radius * torch.linspace(1, 0.1, size, dtype=torch.float64)
    above = torch.randn(size, size, generator=g, dtype=torch.float64).triu(1) / size**0.5
    W: Tensor = Q @ (torch.diag(values) + skew * above) @ Q.T
    return W


def _reach(W: Tensor, activation: str, steps: int, seed: int) -> list[float]:
    layer = RNN(1, len(W), activation=activation, dtype=torch.float64)  # type: ignore[arg-type]
    layer.parameters["W_hh"].copy_(W)
    x = 0.1 * torch.randn(steps, 1, 1, generator=generator(seed, 2), dtype=torch.float64)
    layer.forward(x)
    return [
        float(torch.linalg.matrix_norm(jacobian_product(layer, 0, k), 2))
        for k in range(1, steps + 1)
    ]


def _end(line: tuple[range, list[float]]) -> str:
    last = line[1][-1]
    return f"{last:.3g}" if last > 1e-12 else "less than 1e-12"


def _shown(values: tuple[range, list[float]]) -> tuple[list[int], list[float]]:
    """What is between 1e-12 and 1e12."""
    kept = [(k, v) for k, v in zip(*values, strict=True) if 1e-12 < v < 1e12]
    return [k for k, _ in kept], [v for _, v in kept]

"""Activations, their slopes, and what they leave of a gradient (Glorot and Bengio, 2010)."""

from typing import Annotated

import torch
from torch import Tensor

from phosphene.core.lesson import Bars, Curves, Lesson
from phosphene.core.ranges import Within
from phosphene.core.rng import generator
from phosphene.learning.backprop.activations import ACTIVATIONS, Activation, saturation
from phosphene.learning.backprop.mlp import mlp_forward

__all__ = ["demonstrate"]


def demonstrate(
    *,
    seed: int = 0,
    layers: Annotated[int, Within(2, 100)] = 20,
    width: Annotated[int, Within(2, 512)] = 64,
    gain: Annotated[float, Within(0, 100, above=True)] = 1.4,
) -> Lesson:
    """Send a gradient back through many layers of each activation.

    Args:
        seed: Of weights and examples.
        layers: How many layers it passes.
        width: Units of each.
        gain: Weights are normal numbers with this standard deviation over the root of the width.
    """
    fs = {name: f for name, f in ACTIVATIONS.items() if f.pointwise and name != "gelu-tanh"}
    passed, dead = {}, {}
    for name, f in fs.items():
        norms, silent = _back(f, seed, layers, width, gain)
        passed[name] = norms
        dead[name] = silent
    x = torch.linspace(-5, 5, 201, dtype=torch.float64)
    left = {name: norms[0] for name, norms in passed.items()}
    most = max(left, key=lambda name: left[name])
    text = (
        f"Each activation with its slope, and a gradient that is sent back through {layers} layers "
        f"of {width} units with weights of standard deviation {gain:g} / sqrt {width}. A layer "
        "multiplies it by the weights and by the slopes: of the sigmoid these are at most 1/4, and "
        f"{left['sigmoid']:.1g} of the gradient is left at the first layer, against "
        f"{left['relu']:.1g} with ReLUs, and {left[most]:.1g} with {most}. The bars say what part "
        "of the units, over 256 examples, has a slope below 0.01: those learn nothing from the "
        "example. Try --gain 1, and --gain 4, where sigmoid and tanh saturate."
    )
    index = list(range(1, layers + 1))
    return Lesson(
        title="Activations",
        text=text,
        numbers={f"gradient_left_{name}": value for name, value in left.items()},
        panels=[
            Curves(
                title="Value",
                x="x",
                y="f(x)",
                lines={n: (x.tolist(), f.value(x).tolist()) for n, f in fs.items()},
            ),
            Curves(
                title="Slope",
                x="x",
                y="f'(x)",
                lines={n: (x.tolist(), f.derivative(x).tolist()) for n, f in fs.items()},
            ),
            Curves(
                title="Length of the gradient, over that at the top",
                x="layer",
                y="length",
                lines={n: (index, norms) for n, norms in passed.items()},
                log="y",
            ),
            Bars(title="Saturated units", values=dead, x="part with a slope below 0.01"),
        ],
    )


def _back(
    f: Activation, seed: int, layers: int, width: int, gain: float
) -> tuple[list[float], float]:
    """The gradient's length at every layer over that at the top, and the part that is saturated."""
    g = generator(seed)
    x = torch.randn(256, width, generator=g, dtype=torch.float64)
    weights = [
        gain / width**0.5 * torch.randn(width, width, generator=g, dtype=torch.float64)
        for _ in range(layers)
    ]
    zero = torch.zeros(width, dtype=torch.float64)
    given, _ = mlp_forward(x, weights, [zero] * layers, [f] * layers)
    delta: Tensor = torch.randn(256, width, generator=g, dtype=torch.float64)
    top = float(torch.linalg.vector_norm(delta))
    norms = []
    for a, weight in zip(reversed(given), reversed(weights), strict=True):
        delta = f.backward(a, delta) @ weight
        norms.append(max(float(torch.linalg.vector_norm(delta)) / top, 1e-300))
    silent = torch.stack([saturation(f, a).mean() for a in given]).mean()
    return norms[::-1], float(silent)

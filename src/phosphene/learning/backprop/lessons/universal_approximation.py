"""One hidden layer, wider and wider (Leshno, Lin, Pinkus and Schocken, 1993)."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from phosphene.core.lesson import Curves, Lesson, Panel
from phosphene.core.ranges import Within
from phosphene.learning.backprop.activations import ACTIVATIONS
from phosphene.learning.backprop.universal import Function, fitted, interpolating_relus

__all__ = ["demonstrate"]

_LOW, _HIGH = -1.0, 1.0
_TARGETS: dict[str, Function] = {
    "wave": lambda x: torch.sin(3 * x) + x.abs() / 2,
    "step": lambda x: torch.tanh(20 * x),
    "bump": lambda x: torch.exp(-30 * x.square()),
    "noise": lambda x: sum((torch.cos(k * 2.3 * x + k * k) / k for k in range(1, 9)), 0 * x),
}


def demonstrate(
    *,
    seed: int = 0,
    target: Literal["wave", "step", "bump", "noise"] = "wave",
    activation: Literal["sigmoid", "tanh", "elu", "gelu", "silu", "softplus"] = "tanh",
    width: Annotated[int, Within(2, 400)] = 32,
) -> Lesson:
    """Fit a function by one hidden layer of more and more units.

    Args:
        seed: Of the inner weights.
        target: What is approximated.
        activation: What is compared with ReLUs, squares and no activation.
        width: Hidden units in the picture.
    """
    h = _TARGETS[target]
    x = torch.linspace(_LOW, _HIGH, 801, dtype=torch.float64)
    widths = [2, 4, 8, 16, 32, 64, 128]
    fs: dict[str, Function] = {
        activation: ACTIVATIONS[activation],
        "relu": torch.relu,
        "x^2": torch.square,
        "none": lambda x: x,
    }

    def made(f: Function, units: int) -> Tensor:
        return fitted(h, f, units, _LOW, _HIGH, seed=seed)(x)

    errors = {
        name: [float((made(f, w) - h(x)).abs().max()) for w in widths] for name, f in fs.items()
    }
    built = [float((interpolating_relus(h, w, _LOW, _HIGH)(x) - h(x)).abs().max()) for w in widths]
    shown = {name: (x.tolist(), made(f, width).tolist()) for name, f in fs.items()}
    shown["target"] = (x.tolist(), h(x).tolist())
    slow = {
        f"{k} units": (x.tolist(), interpolating_relus(h, k, _LOW, _HIGH)(x).tolist())
        for k in (3, 6, 12)
    }
    text = (
        f"One hidden layer was fitted to the {target}: inner weights at random, outer ones by "
        "least squares. From 2 to 128 units its largest error falls from "
        f"{errors[activation][0]:.2g} to {errors[activation][-1]:.2g} with {activation}, and "
        f"from {errors['relu'][0]:.2g} to {errors['relu'][-1]:.2g} with ReLUs. Without an "
        "activation the layer is a line, with x^2 a parabola, however wide: "
        f"{errors['none'][-1]:.2g} and {errors['x^2'][-1]:.2g}. So it is not enough that an "
        "activation is nonlinear; it must not be a polynomial. ReLUs can be set by hand, one for "
        "each change of slope, without any fitting."
    )
    panels: list[Panel] = [
        Curves(title=f"{width} units", x="x", y="g(x)", lines=shown, dashed=("target",)),
        Curves(
            title="Largest error",
            x="units",
            y="sup |g - h|",
            lines={n: (widths, e) for n, e in errors.items()} | {"relu, by hand": (widths, built)},
            log="xy",
        ),
        Curves(
            title="ReLUs set by hand",
            x="x",
            y="g(x)",
            lines={"target": shown["target"]} | slow,
            dashed=("target",),
        ),
    ]
    return Lesson(
        title="Universal approximation",
        text=text,
        numbers={f"sup_error_{n}_128_units": e[-1] for n, e in errors.items()},
        panels=panels,
    )

"""Eight optimizers go down an ill-conditioned quadratic and Rosenbrock's valley."""

from collections.abc import Callable
from typing import Annotated, Any

import torch
from torch import Tensor

from phosphene.core.lesson import Curves, Lesson, Points
from phosphene.core.ranges import Within
from phosphene.learning.optimizers.adagrad import AdaGrad
from phosphene.learning.optimizers.adam import Adam
from phosphene.learning.optimizers.adamw import AdamW
from phosphene.learning.optimizers.amsgrad import AMSGrad
from phosphene.learning.optimizers.landscapes import Quadratic, Rosenbrock
from phosphene.learning.optimizers.momentum import Momentum, best_for_quadratics
from phosphene.learning.optimizers.multi_tensor import MultiTensor
from phosphene.learning.optimizers.nesterov import Nesterov
from phosphene.learning.optimizers.rmsprop import RMSProp
from phosphene.learning.optimizers.sgd import SGD

__all__ = ["demonstrate"]

_NEAR = 0.01
_FAR = 1e6
_OFTEN = 0.25  # of steps that turn back: then a path jumps
_MAKERS: dict[str, tuple[float, float, Callable[[Tensor, float, float], MultiTensor]]] = {
    "SGD": (0, 1e-3, lambda p, lr, momentum: SGD([p], lr=lr)),
    "momentum": (0, 1e-3, lambda p, lr, momentum: Momentum([p], lr=lr, momentum=momentum)),
    "Nesterov": (0, 1e-3, lambda p, lr, momentum: Nesterov([p], lr=lr, momentum=momentum)),
    "AdaGrad": (1.0, 0.5, lambda p, lr, momentum: AdaGrad([p], lr=lr)),
    "RMSProp": (0.02, 0.01, lambda p, lr, momentum: RMSProp([p], lr=lr)),
    "Adam": (0.2, 0.1, lambda p, lr, momentum: Adam([p], lr=lr)),
    "AdamW": (0.2, 0.1, lambda p, lr, momentum: AdamW([p], lr=lr)),
    "AMSGrad": (0.2, 0.1, lambda p, lr, momentum: AMSGrad([p], lr=lr)),
}
"""lr on the quadratic, 0 for 1 / kappa, and in the valley; and the optimizer."""


def demonstrate(
    *,
    seed: int = 0,
    kappa: Annotated[float, Within(1, 10_000)] = 50.0,
    lr: Annotated[float, Within(0, 10)] = 0.0,
    momentum: Annotated[float, Within(0, 1, below=True)] = 0.9,
    steps: Annotated[int, Within(10, 5000)] = 1000,
) -> Lesson:
    """Follow the paths of eight optimizers from the same point.

    Polyak (1964) for momentum, Kingma and Ba (2015) for Adam.

    Args:
        seed: Nothing here is random.
        kappa: The largest curvature of the quadratic over the least, which is 1.
        lr: Of all of them; 0 for one that suits each.
        momentum: Of momentum and Nesterov.
        steps: How many.
    """
    numbers: dict[str, Any] = {}
    panels: list[Any] = []
    arrivals, jumping = {}, False
    hills: dict[str, Quadratic | Rosenbrock] = {
        "quadratic": Quadratic(kappa),
        "valley": Rosenbrock(),
    }
    for which, (name, hill) in enumerate(hills.items()):
        paths = {}
        for title, (*rates, make) in _MAKERS.items():
            paths[title] = _path(hill, make, lr or rates[which] or 1 / kappa, momentum, steps)
        best = torch.tensor(hill.best, dtype=torch.float64)
        away = {title: (path - best).norm(dim=1) for title, path in paths.items()}
        panels += [
            Points(
                title=f"{name}: paths to ({hill.best[0]:g}, {hill.best[1]:g})",
                x="x",
                y="y",
                lines={title: _seen(path) for title, path in paths.items()},
            ),
            Curves(
                title=f"{name}: distance to the lowest point",
                x="step",
                y="distance",
                log="y",
                lines={t: (range(len(d)), d.clamp(min=1e-9).tolist()) for t, d in away.items()},
            ),
        ]
        arrivals[name] = _arrivals(away, steps)
        jumping = _turns(paths["RMSProp"]) > _OFTEN
        for title, d in away.items():
            inside = (d < _NEAR).nonzero()
            numbers[f"{name}: steps of {title} to {_NEAR:g} of the lowest point"] = (
                int(inside[0]) if len(inside) else None
            )
    numbers["rate of descent at best, (kappa - 1) / (kappa + 1)"] = (kappa - 1) / (kappa + 1)
    fast = best_for_quadratics(1, kappa)[-1]
    numbers["rate of momentum at best, (sqrt kappa - 1) / (sqrt kappa + 1)"] = fast
    text = (
        f"Eight optimizers from one point, with {steps} steps. On a quadratic with curvatures 1 "
        f"and {kappa:g}, plain descent must take the step that the steeper direction allows, along "
        "the flatter one too; momentum adds up what points the same way. The last five divide by "
        "the size of gradients, so that both directions look alike to them: they set out "
        f"diagonally, and their lr is a length. To come within {_NEAR:g} of the lowest point, "
        f"{arrivals['quadratic']}. In the bent valley, {arrivals['valley']}. AdamW shrinks the "
        "parameters, which holds it back from a lowest point that is not 0."
    )
    if momentum == 0:
        text += " With a momentum of 0, momentum and Nesterov are plain descent."
    if jumping:
        text += (
            " In the valley RMSProp jumps from wall to wall: divided by small gradients, its steps "
            "stay long."
        )
    return Lesson(title="Eight ways down", text=text, numbers=numbers, panels=panels)


def _arrivals(away: dict[str, Tensor], steps: int) -> str:
    """How many steps each takes, who diverges and who does not arrive."""
    arrived: list[str] = []
    outside: list[str] = []
    late: list[str] = []
    for title, d in away.items():
        inside = (d < _NEAR).nonzero()
        if len(inside):
            n = int(inside[0])
            unit = "" if arrived else " step" if n == 1 else " steps"
            arrived.append(f"{title}{'' if arrived else ' takes'} {n}{unit}")
        elif len(d) <= steps:
            outside.append(title)
        else:
            late.append(f"{title} ({float(d[-1]):.2g} away)")
    parts = [", ".join(arrived)] if arrived else []
    parts += [f"{_names(late)} not in time"] if late else []
    parts += [f"{_names(outside)} diverge{'s' if len(outside) == 1 else ''}"] if outside else []
    return "; ".join(parts)


def _names(titles: list[str]) -> str:
    return " and ".join([", ".join(titles[:-1])] * (len(titles) > 1) + titles[-1:])


def _turns(path: Tensor) -> float:
    """The part of the steps of a path's second half that turn back on the one before."""
    moves = path.diff(dim=0)[len(path) // 2 :]
    back = (moves[1:] * moves[:-1]).sum(1) < 0
    return float(back.double().mean()) if len(back) else 0.0


def _path(
    hill: Quadratic | Rosenbrock,
    make: Callable[[Tensor, float, float], MultiTensor],
    lr: float,
    momentum: float,
    steps: int,
) -> Tensor:
    """The points (steps + 1, 2), cut where they leave all bounds."""
    p = torch.tensor(hill.start, dtype=torch.float64)
    optimizer = make(p, lr, momentum)
    points = torch.empty(steps + 1, 2, dtype=torch.float64)
    points[0] = p
    for step in range(1, steps + 1):
        p.grad = hill.gradient(p)
        optimizer.step()
        points[step] = p
    out = (~(points.abs() < _FAR)).any(1).nonzero()
    return points[: int(out[0])] if len(out) else points


def _seen(path: Tensor) -> Tensor:
    """The part of a path that a picture of the start and the lowest point has room for."""
    out = (path.abs() > 5).any(1).nonzero()
    return path[: int(out[0])] if len(out) else path

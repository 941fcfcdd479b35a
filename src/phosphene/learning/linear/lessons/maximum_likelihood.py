"""How estimates scatter, and how fast they find the truth (Fisher, 1922)."""

import math
from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor

from phosphene.core.lesson import Curves, Lesson
from phosphene.core.ranges import Within
from phosphene.core.rng import generator
from phosphene.learning.linear.maximum_likelihood import (
    bernoulli_fit,
    bernoulli_information,
    cramer_rao,
    exponential_fit,
    exponential_information,
    gaussian_fit,
    gaussian_information,
)

__all__ = ["demonstrate"]

_TIMES = 4000
Draw = Callable[[int, torch.Generator], Tensor]
_DRAWS: dict[str, Draw] = {
    "mean": lambda n, g: gaussian_fit(_normal(n, g))[0],
    "variance": lambda n, g: gaussian_fit(_normal(n, g))[1],
    "probability": lambda n, g: bernoulli_fit((_uniform(n, g) < 0.3).double()),
    "rate": lambda n, g: exponential_fit(-torch.log1p(-_uniform(n, g))),
}
_TRUTH = {"mean": 0.0, "variance": 1.0, "probability": 0.3, "rate": 1.0}
_INFORMATION = {
    "mean": gaussian_information(1.0)[0],
    "variance": gaussian_information(1.0)[1],
    "probability": bernoulli_information(0.3),
    "rate": exponential_information(1.0),
}


def demonstrate(
    *,
    seed: int = 0,
    parameter: Literal["mean", "variance", "probability", "rate"] = "rate",
    examples: Annotated[int, Within(20, 3000)] = 640,
) -> Lesson:
    """Estimate a parameter from more and more examples, 4,000 times each.

    Args:
        seed: Of the draws.
        parameter: The mean or the variance of a Gaussian, the probability of a Bernoulli variable,
            or the rate of an exponential one.
        examples: The most examples that an estimate is made from.
    """
    sizes = [5]
    while sizes[-1] * 2 <= examples:
        sizes.append(sizes[-1] * 2)
    truth, information = _TRUTH[parameter], _INFORMATION[parameter]
    drawn = [_DRAWS[parameter](n, generator(seed, n)) for n in sizes]
    errors = [float((d - truth).square().mean().sqrt()) for d in drawn]
    bounds = [math.sqrt(cramer_rao(information, n)) for n in sizes]
    ratios = [float(d.var()) / b**2 for d, b in zip(drawn, bounds, strict=True)]
    biases = [float(d.mean()) - truth for d in drawn]
    half = len(sizes) // 2
    slope = math.log(errors[-1] / errors[half]) / math.log(sizes[-1] / sizes[half])
    n = sizes[-1]
    text = (
        f"The {parameter} was estimated by maximum likelihood {_TIMES:,} times from 5, 10, ... to "
        f"{n} examples. From {sizes[half]} on the error falls as n^{slope:.2f}. From 5 "
        f"examples the estimates' variance is {ratios[0]:.2f} times the bound of Cramer and Rao, "
        f"from {n} it is {ratios[-1]:.2f} times: maximum likelihood is efficient for many "
        "examples, and for few it need not be. Below 1 is possible where estimates are biased: "
        f"here by {biases[0]:+.3f} from 5 examples, by {biases[-1]:+.4f} from {n}."
    )
    return Lesson(
        title=f"Maximum likelihood of a {parameter}",
        text=text,
        numbers={
            "slope_of_log_error": slope,
            "variance_over_bound_from_5": ratios[0],
            f"variance_over_bound_from_{n}": ratios[-1],
            "bias_from_5": biases[0],
            f"bias_from_{n}": biases[-1],
        },
        panels=[
            Curves(
                title="Error of the estimate",
                x="examples",
                y="root mean squared error",
                lines={"estimates": (sizes, errors), "bound": (sizes, bounds)},
                log="xy",
                dashed=("bound",),
            ),
            Curves(
                title="Variance over the bound",
                x="examples",
                y="ratio",
                lines={"estimates": (sizes, ratios), "bound": (sizes, [1.0] * len(sizes))},
                log="x",
                dashed=("bound",),
            ),
            _histogram(drawn, sizes, truth, information),
        ],
    )


def _histogram(drawn: list[Tensor], sizes: list[int], truth: float, information: float) -> Curves:
    """Standardized estimates from few and from many examples, beside the normal density."""
    edges = torch.linspace(-4, 4, 33, dtype=torch.float64)
    middle = ((edges[1:] + edges[:-1]) / 2).tolist()
    lines = {}
    for d, n in ((drawn[0], sizes[0]), (drawn[-1], sizes[-1])):
        z = (d - truth) / math.sqrt(cramer_rao(information, n))
        counts = torch.histogram(z, edges).hist
        lines[f"from {n}"] = (middle, (counts / len(z) / 0.25).tolist())
    normal = [math.exp(-z * z / 2) / math.sqrt(2 * math.pi) for z in middle]
    return Curves(
        title="Estimates, in units of the bound",
        x="(estimate - truth) / bound",
        y="density",
        lines=lines | {"normal": (middle, normal)},
        dashed=("normal",),
    )


def _normal(n: int, g: torch.Generator) -> Tensor:
    return torch.randn(_TIMES, n, generator=g, dtype=torch.float64)


def _uniform(n: int, g: torch.Generator) -> Tensor:
    return torch.rand(_TIMES, n, generator=g, dtype=torch.float64)

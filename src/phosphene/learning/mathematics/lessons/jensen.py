"""The chord of a convex function lies above it (Jensen, 1906)."""

from typing import Annotated, Literal

import torch

from phosphene.core.lesson import Curves, Lesson, Points
from phosphene.core.ranges import Within
from phosphene.core.rng import generator
from phosphene.learning.mathematics.jensen import evidence_bound, jensen_gap

__all__ = ["demonstrate"]

_FUNCTIONS = {
    "square": torch.square,
    "exp": torch.exp,
    "minus-log": lambda x: -(x + 3.0).log(),
    "absolute": torch.abs,
}
_WRITTEN = {"square": "x^2", "exp": "exp(x)", "minus-log": "-log(x + 3)", "absolute": "|x|"}


def demonstrate(
    *,
    seed: int = 0,
    function: Literal["square", "exp", "minus-log", "absolute"] = "exp",
    low: Annotated[float, Within(-2.5, 2.5)] = -2.0,
    high: Annotated[float, Within(-2.5, 2.5)] = 2.0,
    weight: Annotated[float, Within(0, 1)] = 0.5,
) -> Lesson:
    """Compare the mean of a convex function with the function of the mean.

    Args:
        seed: Of a random model, on which the bound of a VAE is shown.
        function: A convex one.
        low: One value of x.
        high: The other.
        weight: The probability of the second.
    """
    f = _FUNCTIONS[function]
    x = torch.linspace(-2.6, 2.6, 201, dtype=torch.float64)
    ends = torch.tensor([low, high], dtype=torch.float64)
    w = torch.tensor([1 - weight, weight], dtype=torch.float64)
    mean, average = (w * ends).sum(), (w * f(ends)).sum()
    gap = float(jensen_gap(f, ends, w))
    g = generator(seed)
    joint = torch.log_softmax(2 * torch.randn(6, generator=g, dtype=torch.float64), 0) - 1.5
    log_p = torch.logsumexp(joint, 0)
    start = torch.log_softmax(2 * torch.randn(6, generator=g, dtype=torch.float64), 0)
    way = torch.linspace(0, 1, 51, dtype=torch.float64)
    bounds = [
        float(evidence_bound(joint, torch.log_softmax((1 - t) * start + t * joint, 0))) for t in way
    ]
    numbers = {
        "mean_of_f": float(average),
        "f_of_the_mean": float(f(mean)),
        "gap": gap,
        "log_p": float(log_p),
        "elbo_of_a_random_q": bounds[0],
        "elbo_of_the_posterior": bounds[-1],
    }
    written = _WRITTEN[function]
    place = "below it" if gap > 1e-12 else "at the same point"
    text = (
        f"f(x) is {written}. x is {low:g} or {high:g}, the second with probability {weight:g}. "
        "The mean of f is "
        f"{float(average):.4g}, on the chord; f of the mean is {float(f(mean)):.4g}, on the curve, "
        f"{place}. The gap, {gap:.4g}, is never negative where f is convex. -log is convex, "
        "and so the ELBO is below log p: on the right q moves from a random distribution of "
        f"six codes to the posterior, and the bound rises from {bounds[0]:.3f} to "
        f"{bounds[-1]:.3f} nats, which is log p itself."
    )
    return Lesson(
        title="Jensen's inequality",
        text=text,
        numbers=numbers,
        panels=[
            Points(
                title=f"f(x) = {written}",
                x="x",
                y="f(x)",
                sets={
                    "E f(x)": torch.stack((mean, average))[None],
                    "f(E x)": torch.stack((mean, f(mean)))[None],
                },
                lines={
                    "f": torch.stack((x, f(x)), 1),
                    "chord": torch.stack((ends, f(ends)), 1),
                },
            ),
            Curves(
                title="The evidence bound",
                x="from a random q to the posterior",
                y="nats",
                lines={
                    "ELBO": (way.tolist(), bounds),
                    "log p": ([0.0, 1.0], [float(log_p)] * 2),
                },
                dashed=("log p",),
            ),
        ],
    )

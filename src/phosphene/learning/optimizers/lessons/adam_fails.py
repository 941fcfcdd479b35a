"""The convex problem on which Adam goes to the worst point."""

from typing import Annotated

from phosphene.core.lesson import Curves, Lesson
from phosphene.core.ranges import Within
from phosphene.learning.optimizers.adam import Adam
from phosphene.learning.optimizers.amsgrad import (
    AMSGrad,
    play_counter_example,
    slope_of_counter_example,
)

__all__ = ["demonstrate"]


def demonstrate(
    *,
    seed: int = 0,
    slope: Annotated[float, Within(2, 100, above=True)] = 3.0,
    lr: Annotated[float, Within(0.001, 10)] = 0.5,
    steps: Annotated[int, Within(10, 100_000)] = 6000,
) -> Lesson:
    """Play theorem 1 of Reddi, Kale and Kumar (2018) with Adam and AMSGrad.

    Args:
        seed: Nothing here is random.
        slope: C, the slope of every third function; the others have -1.
        lr: Of the first step; step t has lr / sqrt(t).
        steps: How many.
    """
    shown = range(1, steps + 1)
    lines, regrets, numbers = {}, {}, {}
    for kind in (Adam, AMSGrad):
        path = play_counter_example(kind, steps, slope=slope, lr=lr).tolist()
        lines[kind.__name__] = (shown, path)
        stood, total, regret = [0.0, *path[:-1]], 0.0, []
        for t, x in enumerate(stood, 1):
            total += slope_of_counter_example(t, slope) * (x + 1)  # against x = -1 all along
            regret.append(total / t)
        regrets[kind.__name__] = (shown, regret)
        numbers[f"{kind.__name__}: x at the end"] = path[-1]
        numbers[f"{kind.__name__}: regret a step"] = regret[-1]
    text = (
        f"On [-1, 1] the functions {slope:g}x, -x, -x come in turn. Together they rise, so that x "
        "= -1 is best. Adam divides each slope by a running root mean square: the slope "
        f"{slope:g} is divided by about itself and moves x one unit to the left, and the two "
        "slopes -1, whose divisor has forgotten it, move x more than one unit to the right. Adam "
        "ends at the worst point and loses the same amount at every step for ever. AMSGrad keeps "
        "the largest divisor and ends at -1."
    )
    panels = [
        Curves(title="where x goes", x="step", y="x", lines=lines, log="x"),
        Curves(
            title="mean regret", x="step", y="loss above that of x = -1", lines=regrets, log="x"
        ),
    ]
    return Lesson(title="A problem that Adam fails", text=text, numbers=numbers, panels=panels)

"""Steps of our optimizers against those of torch.optim.

    python -m benchmarks.learning_optimizers [--quick] [--json FILE]

Fifty tensors of one size, on one thread in float32. The peer is torch.optim with ``foreach=True``,
which is built as ours is, of one call for a list of tensors; of Adam also with ``fused=True``, one
kernel for all of a step, which ours has not. One time is of ten steps; the gradients stay. Before
anything is timed both take 30 steps in float64 with the same gradients, new ones at each step, and
must then be at the same point to 1e-12.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from benchmarks.common import Case, Row, Watch, arguments, run_all, write_json
from phosphene.learning.optimizers.adagrad import AdaGrad
from phosphene.learning.optimizers.adam import Adam
from phosphene.learning.optimizers.adamw import AdamW
from phosphene.learning.optimizers.amsgrad import AMSGrad
from phosphene.learning.optimizers.momentum import Momentum
from phosphene.learning.optimizers.nesterov import Nesterov
from phosphene.learning.optimizers.rmsprop import RMSProp
from phosphene.learning.optimizers.sgd import SGD

__all__ = ["cases", "main"]

Maker = Callable[[list[Tensor]], torch.optim.Optimizer]
COUNT, SIZES, QUICK = 50, (500, 8_000, 130_000), (500, 8_000)
STEPS = 10


def makers(**how: Any) -> dict[str, tuple[Maker, Maker]]:
    """Ours and torch's, at the same settings."""
    return {
        "SGD": (lambda p: SGD(p, lr=1e-3), lambda p: torch.optim.SGD(p, lr=1e-3, **how)),
        "momentum": (
            lambda p: Momentum(p, lr=1e-3, momentum=0.9),
            lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, **how),
        ),
        "Nesterov": (
            lambda p: Nesterov(p, lr=1e-3, momentum=0.9),
            lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, nesterov=True, **how),
        ),
        "AdaGrad": (lambda p: AdaGrad(p), lambda p: torch.optim.Adagrad(p, **how)),
        "RMSProp": (lambda p: RMSProp(p), lambda p: torch.optim.RMSprop(p, **how)),
        "Adam": (lambda p: Adam(p), lambda p: torch.optim.Adam(p, **how)),
        "AdamW": (lambda p: AdamW(p), lambda p: torch.optim.AdamW(p, **how)),
        "AMSGrad": (lambda p: AMSGrad(p), lambda p: torch.optim.Adam(p, amsgrad=True, **how)),
    }


def tensors(count: int, size: int, dtype: torch.dtype) -> list[Tensor]:
    """Parameters with gradients, the same at every call."""
    g = torch.Generator().manual_seed(size)
    params = [torch.nn.Parameter(torch.randn(size, generator=g).to(dtype)) for _ in range(count)]
    for p in params:
        p.grad = torch.randn(p.shape, generator=g).to(dtype)
    return list(params)


def same(ours: Maker, theirs: Maker) -> float:
    """The largest difference after 30 steps in float64; asserts that there is none to speak of."""
    both = [tensors(6, 8, torch.float64) for _ in range(2)]
    mine, its = ours(both[0]), theirs(both[1])
    g = torch.Generator().manual_seed(0)
    for _ in range(30):
        for a, b in zip(*both, strict=True):
            a.grad = torch.randn(a.shape, generator=g, dtype=torch.float64)
            b.grad = a.grad.clone()
        mine.step()
        its.step()
    worst = max(float((a - b).detach().abs().max()) for a, b in zip(*both, strict=True))
    assert worst < 1e-12, f"ours and torch's steps differ by {worst}"
    return worst


def _steps(make: Maker, count: int, size: int) -> Callable[[Watch], None]:
    optimizer = make(tensors(count, size, torch.float32))

    def run(watch: Watch) -> None:
        for _ in range(STEPS):
            optimizer.step()

    return run


def cases(count: int = COUNT, size: int = SIZES[1]) -> Iterator[Case]:
    """All optimizers on so many tensors of one size, built one by one.

    Args:
        count: Tensors.
        size: Values of each.
    """
    for how in ("foreach", "fused"):
        for name, (ours, theirs) in makers(**{how: True}).items():
            if how == "fused" and name != "Adam":
                continue
            yield Case(
                f"{name}, {count} tensors of {size:,}, against {how}",
                "torch",
                lambda ours=ours, theirs=theirs: same(ours, theirs),
                _steps(theirs, count, size),
                _steps(ours, count, size),
            )


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Measure, print, and write the table."""
    options = arguments("Steps of optimizers against torch.optim", argv)
    torch.set_num_threads(1)
    sizes = QUICK if options.quick else SIZES
    rows = run_all(chain.from_iterable(cases(COUNT, size) for size in sizes), rounds=15)
    if options.json:
        write_json(rows, options.json)
    return rows


if __name__ == "__main__":
    main()

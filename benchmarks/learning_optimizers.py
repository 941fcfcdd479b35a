"""Steps of our optimizers against those of torch.optim.

    python -m benchmarks.learning_optimizers [--quick] [--json FILE]

Fifty tensors, 25 matrices and 25 vectors, of three sizes, on one thread in float32. The peer is
torch.optim with ``foreach=True``, which is built as ours is, of one call for a list of tensors; of
Adam also with ``fused=True``, one kernel for all of a step, which ours has not. One time is a time of
ten steps; the gradients stay. Before anything is timed both take 30 steps in float64 with the
same gradients, new ones at each step, and must then be at the same point to 1e-12.
"""

from collections.abc import Callable, Iterator, Sequence
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
WIDTHS, QUICK = (32, 128, 512), (32, 128)
STEPS, PAIRS = 10, 25


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


def tensors(width: int, dtype: torch.dtype) -> list[Tensor]:
    """Fifty parameters with gradients, the same at every call."""
    g = torch.Generator().manual_seed(width)
    shapes = [shape for _ in range(PAIRS) for shape in ((width, width), (width,))]
    params = [torch.nn.Parameter(torch.randn(s, generator=g).to(dtype)) for s in shapes]
    for p in params:
        p.grad = torch.randn(p.shape, generator=g).to(dtype)
    return list(params)


def same(ours: Maker, theirs: Maker) -> float:
    """The largest difference after 30 steps in float64; asserts that there is none to speak of."""
    both = [tensors(8, torch.float64) for _ in range(2)]
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


def _steps(make: Maker, width: int) -> Callable[[Watch], None]:
    optimizer = make(tensors(width, torch.float32))

    def run(watch: Watch) -> None:
        for _ in range(STEPS):
            optimizer.step()

    return run


def cases(quick: bool) -> Iterator[Case]:
    """All cases, built one by one."""
    for width in QUICK if quick else WIDTHS:
        for how in ("foreach", "fused"):
            for name, (ours, theirs) in makers(**{how: True}).items():
                if how == "fused" and name != "Adam":
                    continue
                yield Case(
                    f"{name}, 50 tensors, width {width}, against {how}",
                    "torch",
                    lambda ours=ours, theirs=theirs: same(ours, theirs),
                    _steps(theirs, width),
                    _steps(ours, width),
                )


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Measure, print, and write the table."""
    options = arguments("Steps of optimizers against torch.optim", argv)
    torch.set_num_threads(1)
    rows = run_all(cases(options.quick), rounds=15)
    if options.json:
        write_json(rows, options.json)
    return rows


if __name__ == "__main__":
    main()

"""Autoregressive models: exact fast sampling and parallel training, against peers and plain loops.

    python -m benchmarks.autoregressive [--quick] [--json FILE]

Both sides hold the same weights, and outputs, draws, losses or gradients are compared before
anything is timed. Where both of our backends can do the work, each has its row: ``torch`` and
``native`` (``phosphene doctor`` names the build). Rows whose peer is ``torch`` compare with a plain
loop in torch, written here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from benchmarks import (
    cached_wavenet,
    hugging_face_transformer,
    native_sampling,
    pythae_pixelcnn,
    sequential_nade,
    zuko_maf,
)
from benchmarks.common import Case, Row, arguments, installed, run_all, write_json
from phosphene.kernels.library import backend

__all__ = ["QUICK", "Size", "cases", "main"]

PEERS = ("zuko", "pythae", "transformers")


@dataclass(frozen=True)
class Size:
    """How much work each case is.

    Args:
        flows: Dimensions, hidden units and samples of each flow.
        nade: Dimensions, hidden units and batch of a training step.
        drawn: Samples of NADE and MADE.
        audio: Codes and layers of the sequence, and the steps of the naive loop that are timed.
        rounds: Measurements of each case.
        slow: Measurements of cases whose peer takes seconds.
        quick: Whether the peers' own modules take their small cases.
    """

    flows: tuple[tuple[int, int, int], ...] = ((64, 256, 256), (256, 512, 256), (784, 1024, 100))
    nade: tuple[int, int, int] = (784, 500, 64)
    drawn: tuple[int, ...] = (1, 100)
    audio: tuple[int, int, int] = (8000, 10, 4)
    rounds: int = 5
    slow: int = 3
    quick: bool = False


QUICK = Size(
    flows=((64, 256, 256), (256, 512, 256), (784, 512, 64)),
    nade=(784, 500, 20),
    drawn=(20,),
    audio=(8000, 10, 2),
    rounds=3,
    slow=1,
    quick=True,
)


def cases(size: Size) -> Iterator[Case]:
    """All cases, built one by one; those of a peer that is missing are left out."""
    if installed("zuko"):
        for flow in size.flows:
            yield from zuko_maf.cases((flow,), size.slow if flow[0] > 64 else size.rounds)
    if installed("pythae"):
        yield from pythae_pixelcnn.cases(quick=size.quick)
    yield from cached_wavenet.cases(*size.audio)
    if installed("transformers"):
        yield from hugging_face_transformer.cases(quick=size.quick)
    for case in sequential_nade.cases(*size.nade):
        if not size.quick or "bare" in case.name:
            yield replace(case, rounds=size.slow)
    yield from native_sampling.cases(*size.nade[:2], size.drawn, size.slow)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Measure, print, and write the table."""
    options = arguments("Autoregressive models against zuko, pythae, transformers, loops", argv)
    torch.set_num_threads(1)
    size = QUICK if options.quick else Size()
    print(f"kernels: {backend().name} ({backend().why})")
    rows = run_all(cases(size), size.rounds, PEERS)
    if options.json:
        write_json(rows, options.json)
    return rows


if __name__ == "__main__":
    main()

"""What every benchmark shares: cases, timing in turns, one table, one JSON layout."""

import argparse
import importlib.metadata
import importlib.util
import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.limits import Shapes, limit_of
from benchmarks.profiles import why
from benchmarks.watch import Timed, Watch

__all__ = [
    "Case",
    "Row",
    "Timed",
    "Watch",
    "arguments",
    "in_turns",
    "installed",
    "measure",
    "run_all",
    "write_json",
]

MODULES = {
    "denoising-diffusion-pytorch": "denoising_diffusion_pytorch",
    "numpy-ml": "numpy_ml",
    "pymdptoolbox": "mdptoolbox",
    "scikit-learn": "sklearn",
}
"""Import names of peers that differ from their names on the index."""


@dataclass(frozen=True)
class Row:
    """One line of the table, in medians; ``ratio`` is peer / ours."""

    case: str
    peer: str
    version: str
    peer_ms: float
    ours_ms: float
    ratio: float
    max_difference: float
    cpu_ratio: float = field(compare=False, default=float("nan"))
    notes: tuple[str, ...] = field(compare=False, default=())

    def to_json(self) -> dict[str, str | float]:
        """The row's public keys; processor time and notes are for the eye."""
        return {k: v for k, v in vars(self).items() if k not in ("cpu_ratio", "notes")}


@dataclass(frozen=True)
class Case:
    """One piece of work in two ways.

    Args:
        name: What is done, on what, and what one time is a time of.
        peer: The package's name on the index.
        check: Asserts that both give the same, and returns the largest difference.
        theirs: Does it the peer's way.
        ours: Does it our way.
        rounds: Times each is measured; None for the command's.
        bound: Of work that is bound by matrix products: (n, m, k) of those that kernels of ours do,
            () where torch does all; None of any other work.
    """

    name: str
    peer: str
    check: Callable[[], float]
    theirs: Timed
    ours: Timed
    rounds: int | None = None
    bound: Shapes | None = None


def _timed(function: Timed) -> tuple[float, float]:
    watch = Watch()
    function(watch)
    watch.stop()
    return 1e3 * watch.wall, 1e3 * watch.cpu


def in_turns(theirs: Timed, ours: Timed, rounds: int) -> tuple[list[float], list[float]]:
    """Median (wall, processor) milliseconds of each, measured in turns after one call of each.

    Who goes first changes from round to round, so that a slow spell of the machine, or what one
    leaves in the caches, falls on both alike.
    """
    times: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    functions = (theirs, ours)
    for function in functions:
        function(Watch())
    for number in range(rounds):
        for i in (0, 1) if number % 2 == 0 else (1, 0):
            times[i].append(_timed(functions[i]))
    peer, own = ([statistics.median(column) for column in zip(*t, strict=True)] for t in times)
    return peer, own


def measure(case: Case, rounds: int) -> Row:
    """Check that both agree, then time them; say how near ours is to the limit, and why it lags."""
    difference = case.check()
    peer, own = in_turns(case.theirs, case.ours, case.rounds or rounds)
    version = importlib.metadata.version(case.peer)
    ratio, cpu_ratio = peer[0] / own[0], peer[1] / own[1]
    notes = []
    if case.bound is not None:
        notes.append(limit_of(case.ours, case.bound).told(own[1]))
    if min(ratio, cpu_ratio) < 1:
        notes.append(why(case.theirs, case.ours))
    return Row(
        case.name, case.peer, version, peer[0], own[0], ratio, difference, cpu_ratio, tuple(notes)
    )


def installed(peer: str) -> bool:
    """Whether the peer can be imported."""
    return importlib.util.find_spec(MODULES.get(peer, peer)) is not None


def run_all(cases: Iterable[Case], rounds: int, peers: Iterable[str] = ()) -> list[Row]:
    """Measure and print every case whose peer is installed; name the peers that are not.

    Args:
        cases: Built one by one, so that only one case's data are in memory.
        rounds: Times each is measured.
        peers: Those without which ``cases`` cannot even be built.
    """
    rows, missing = [], {peer for peer in peers if not installed(peer)}
    print(
        f"{'case':70} {'peer':20} {'peer ms':>9} {'ours ms':>9} {'ratio':>7} {'cpu':>7} {'diff':>8}"
    )
    for case in cases:
        if not installed(case.peer):
            missing.add(case.peer)
            continue
        row = measure(case, rounds)
        rows.append(row)
        print(
            f"{row.case:70} {f'{row.peer} {row.version}':20} {row.peer_ms:9.2f} {row.ours_ms:9.2f} "
            f"{row.ratio:6.2f}x {row.cpu_ratio:6.2f}x {row.max_difference:8.1e}",
            *(f"    {note}" for note in row.notes),
            sep="\n",
            flush=True,
        )
    for peer in sorted(missing):
        print(f"skipped: {peer} is not installed (pip install -e '.[peers]')")
    return rows


def arguments(
    description: str,
    argv: Sequence[str] | None,
    extend: Callable[[argparse.ArgumentParser], object] | None = None,
) -> argparse.Namespace:
    """``--quick`` and ``--json FILE``, the same for every family, and what ``extend`` adds."""
    parser = argparse.ArgumentParser(description=description)
    if extend is not None:
        extend(parser)
    parser.add_argument("--quick", action="store_true", help="small cases, few rounds")
    parser.add_argument("--json", metavar="FILE", help="write the table as JSON")
    return parser.parse_args(argv)


def write_json(rows: Sequence[Row], path: str | Path) -> None:
    """Write the rows as a list of objects."""
    Path(path).write_text(json.dumps([row.to_json() for row in rows], indent=2) + "\n")

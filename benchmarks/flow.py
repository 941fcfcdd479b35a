"""Normalizing flows against zuko, nflows and normflows.

    python -m benchmarks.flow [--quick] [--json FILE]

Sampling of masked autoregressive flows, log-density and gradients of RealNVP, MAF and spline
couplings, a training step and sampling of Glow, start-up and peak memory. Both sides hold the same
weights, and outputs and gradients are compared before anything is timed.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks import coupling_flows, masked_flows, normflows_glow
from benchmarks.autoencoder import start_up
from benchmarks.common import Case, Row, Watch, arguments, installed, run_all, write_json
from phosphene.kernels.library import backend

__all__ = ["QUICK", "Size", "cases", "commands", "main", "peak_memory"]

PEERS = ("zuko", "nflows", "normflows")


@dataclass(frozen=True)
class Size:
    """How much work each case is.

    Args:
        masked: Of masked autoregressive flows.
        coupled: Dimensions, hidden units, couplings and batch of each coupling flow.
        glow: Levels, steps, hidden channels and images.
        rounds: Measurements of each case.
        commands: Measurements of each start-up and peak.
    """

    masked: masked_flows.Size = field(default_factory=masked_flows.Size)
    coupled: tuple[tuple[int, int, int, int], ...] = (
        (2, 64, 8, 256),
        (8, 128, 8, 256),
        (64, 128, 8, 256),
    )
    glow: tuple[tuple[int, int, int, int], ...] = ((2, 4, 32, 32), (3, 8, 64, 16))
    rounds: int = 9
    commands: int = 5


QUICK = Size(
    masked=masked_flows.QUICK,
    coupled=((2, 64, 8, 256), (64, 128, 8, 256)),
    glow=((2, 4, 32, 16),),
    rounds=5,
    commands=1,
)


def cases(size: Size) -> Iterator[Case]:
    """All cases that compute, built one by one; those of a peer that is missing are left out."""
    yield from masked_flows.sampling(size.masked)
    yield from coupling_flows.cases(size.coupled)
    for spline in (False, True):
        yield from masked_flows.training(size.masked, spline=spline)
    if installed("normflows"):
        yield from normflows_glow.cases(size.glow)


_BUILT = {
    "zuko": "import zuko; zuko.flows.NSF(2)",
    "nflows": "from nflows.flows import SimpleRealNVP; SimpleRealNVP(2, 64, 8, 2)",
    "normflows": "import normflows as nf; nf.flows.CoupledRationalQuadraticSpline(2, 2, 64)",
}
_READY = "import phosphene as ph; ph.build('neural-spline-flow', ph.Event.real(2))"

_DATA = "import torch; torch.set_num_threads(1); x = torch.randn(1024, 256)\n"
_STEP = "(-flow.log_prob(x).mean()).backward()\n"
# Not getrusage: what it says of a process begins with the peak of the one that started it.
_PEAK = "print(next(x.split()[1] for x in open('/proc/self/status') if x.startswith('VmHWM')))"
_OURS = (
    "import phosphene as ph\n"
    "flow = ph.build('maf', ph.Event.real(256), layers=3, hidden=(512, 512))\n"
)
_THEIRS = {
    "zuko": (
        "import zuko\nflow = zuko.flows.MAF(256, 0, transforms=3, hidden_features=(512, 512))()\n"
    ),
    "nflows": (
        "from nflows.flows import MaskedAutoregressiveFlow as F\n"
        "flow = F(256, 512, 3, 1, use_residual_blocks=False)\n"
    ),
}


def peak_memory(name: str, theirs: str, ours: str, rounds: int, peer: str) -> Case:
    """Two programs, each in a new interpreter, which print their peaks in KiB.

    The row's numbers are MiB.
    """

    def runner(program: str) -> Callable[[Watch], None]:
        def run(watch: Watch) -> None:
            done = subprocess.run(
                [sys.executable, "-c", program], check=True, capture_output=True, text=True
            )
            watch.stop()
            watch.wall = watch.cpu = int(done.stdout.split()[-1]) / 1024 / 1e3

        return run

    return Case(name, peer, lambda: 0.0, runner(theirs), runner(ours), rounds)


def commands(size: Size) -> Iterator[Case]:
    """What a user waits for before anything happens, and how much memory a step takes."""
    for peer in filter(installed, PEERS):
        theirs, helped = ("-c", f"import {peer}"), ("-m", "phosphene", "--help")
        name = f"`phosphene --help` against `import {peer}`"
        yield start_up(name, theirs, helped, size.commands, peer)
        built = ("-c", _BUILT[peer]), ("-c", _READY)
        yield start_up("import and build a coupling flow", *built, size.commands, peer)
        if peer in _THEIRS and Path("/proc/self/status").exists():
            programs = [_DATA + made + _STEP + _PEAK for made in (_THEIRS[peer], _OURS)]
            name = "peak memory in MiB, import and a step of MAF, D=256, 3 x 512-512, batch 1024"
            yield peak_memory(name, programs[0], programs[1], size.commands, peer)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Measure, print, and write the table."""
    options = arguments("Normalizing flows against zuko, nflows and normflows", argv)
    torch.set_num_threads(1)
    size = QUICK if options.quick else Size()
    print(f"kernels: {backend().name} ({backend().why})")

    def every() -> Iterator[Case]:
        yield from cases(size)
        yield from commands(size)

    rows = run_all(every(), size.rounds, PEERS)
    if options.json:
        write_json(rows, options.json)
    return rows


if __name__ == "__main__":
    main()

"""Diffusion models against diffusers, denoising-diffusion-pytorch, azula and smalldiffusion.

    python -m benchmarks.diffusion [--quick] [--only PART ...] [--json FILE]

What a sampler costs beside its network and with it, the networks themselves (also
``benchmarks.diffusion_networks``), the memory of sampling and the likelihood of the probability
flow. From the same noise, or with the same weights, both sides give the same before anything is
timed.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from benchmarks import (
    diffusion_likelihood,
    diffusion_networks,
    diffusion_samplers,
    diffusion_schedulers,
)
from benchmarks.common import Case, Row, arguments, installed, run_all, write_json
from benchmarks.flow import peak_memory

__all__ = ["PARTS", "QUICK", "Size", "cases", "main"]

DIFFUSERS, LUCIDRAINS = "diffusers", "denoising-diffusion-pytorch"
PEERS = (DIFFUSERS, LUCIDRAINS, *diffusion_samplers.PEERS, diffusion_likelihood.PEER)


@dataclass(frozen=True)
class Size:
    """How much work each case is.

    Args:
        networks: Of networks.
        steps: Of samplers whose network costs nothing, in parts of 1000.
        batches: Images that they sample.
        whole: Steps and images of samplers with a network.
        memory: Steps and images of the sampling whose memory is measured.
        likelihood: Side of images and how many.
        rounds: Measurements of each sampler.
        slow: Measurements of whatever takes seconds.
    """

    networks: diffusion_networks.Size = field(default_factory=diffusion_networks.Size)
    steps: int = 50
    batches: tuple[int, ...] = (1, 64)
    whole: tuple[int, int] = (20, 16)
    memory: tuple[int, int] = (1000, 64)
    likelihood: tuple[int, int] = (8, 16)
    rounds: int = 15
    slow: int = 5


QUICK = Size(networks=diffusion_networks.QUICK, whole=(10, 4), likelihood=(8, 4), rounds=9, slow=3)

_GROWTH = """
torch.set_num_threads(1)
def lines(name):
    return next(int(s.split()[1]) for s in open("/proc/self/status") if s.startswith(name))
sample(1)
open("/proc/self/clear_refs", "w").write("5")  # the peak so far is forgotten
before = lines("VmRSS")
sample({n})
print(max(1, lines("VmHWM") - before))
"""
"""Prints by how many KiB a process grows while it samples; it has sampled one image before."""

_OURS = """
import torch
from phosphene.core.rng import generator
from phosphene.generative.diffusion.samplers.ancestral import ancestral
from phosphene.generative.diffusion.samplers.table import run
from phosphene.generative.diffusion.schedule import build_schedule
from phosphene.generative.diffusion.target import V
table = ancestral(build_schedule("sigmoid", {steps}).levels({steps}), variance="posterior")
def sample(n):
    run(lambda x, level: 0.1 * x, torch.randn(n, 1, 28, 28), table, target=V(), clip=1.0)
"""
_THEIRS = """
import os
import torch
os.environ["TQDM_DISABLE"] = "1"
from torch import nn
from benchmarks.stand_ins import imported
class Network(nn.Module):
    channels, out_dim, self_condition = 1, 1, False
    def forward(self, x, t, condition=None):
        return 0.1 * x
process = imported("denoising-diffusion-pytorch")[0].GaussianDiffusion(
    Network(), image_size=(28, 28), timesteps={steps})
def sample(n):
    return process.sample(batch_size=n)
"""


def growth(name: str, theirs: str, ours: str, steps: int, n: int, rounds: int, peer: str) -> Case:
    """By how many MiB two programs grow, each in a new interpreter; both define ``sample(n)``."""
    programs = [(program + _GROWTH).format(steps=steps, n=n) for program in (theirs, ours)]
    return peak_memory(name, *programs, rounds, peer)


def memory(steps: int, n: int, rounds: int) -> Iterator[Case]:
    """What ancestral sampling holds beside its network, which holds nothing."""
    if Path("/proc/self/clear_refs").exists():
        name = f"memory in MiB that sampling {n}x1x28x28 takes, {steps} steps"
        yield growth(name, _THEIRS, _OURS, steps, n, rounds, LUCIDRAINS)


def _samplers(size: Size) -> Iterator[Case]:
    if installed(DIFFUSERS):
        for case in diffusion_schedulers.cases(size.steps, size.batches):
            yield replace(case, rounds=size.rounds)
    for case in diffusion_samplers.cases(size.steps, size.batches):
        yield replace(case, rounds=size.rounds)


def _whole(size: Size) -> Iterator[Case]:
    if installed(DIFFUSERS):
        yield from diffusion_schedulers.with_network(*size.whole)


def _memory(size: Size) -> Iterator[Case]:
    if installed(LUCIDRAINS):
        yield from memory(*size.memory, rounds=size.slow)


def _likelihood(size: Size) -> Iterator[Case]:
    if installed(diffusion_likelihood.PEER):
        yield from diffusion_likelihood.cases(*size.likelihood)


PARTS: dict[str, Callable[[Size], Iterator[Case]]] = {
    "samplers": _samplers,
    "whole": _whole,
    "networks": lambda size: diffusion_networks.cases(size.networks),
    "memory": _memory,
    "likelihood": _likelihood,
}
"""What ``--only`` names."""


def cases(size: Size, parts: Sequence[str] = tuple(PARTS)) -> Iterator[Case]:
    """All cases of some parts, built one by one; those of a peer that is missing are left out."""
    for part in parts:
        yield from PARTS[part](size)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Measure, print, and write the table."""

    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS))

    options = arguments("Diffusion models against diffusers and others", argv, extend)
    torch.set_num_threads(1)
    size = QUICK if options.quick else Size()
    rows = run_all(cases(size, options.only), size.slow, PEERS)
    if options.json:
        write_json(rows, options.json)
    return rows


if __name__ == "__main__":
    main()

"""What a sampler costs beside its network: our tables against azula and smalldiffusion.

Both peers hold their coefficients in tensors and compute a step's from them at each step. azula is
given its own schedule, smalldiffusion its own deviations; our tables are made of the same numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.common import Case, installed
from benchmarks.diffusion_schedulers import SHAPE, per_call
from benchmarks.stand_ins import imported
from phosphene.core.context import Context
from phosphene.core.rng import generator
from phosphene.generative.diffusion.asking import Told
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.samplers.ancestral import ancestral
from phosphene.generative.diffusion.samplers.ddim import ddim
from phosphene.generative.diffusion.samplers.table import Table, run
from phosphene.generative.diffusion.samplers.two_stage import heun
from phosphene.generative.diffusion.target import Data, Noise, Target

__all__ = ["PEERS", "cases", "largest_difference"]

PEERS = ("azula", "smalldiffusion")
_TOLERANCE = 1e-5

Sampling = Callable[[Tensor], Tensor]
Network = Callable[[Tensor], Tensor]


def _bent(x: Tensor) -> Tensor:
    return torch.tanh(1.3 * x + 0.2)


def _ours(table: Table, target: Target, network: Network) -> Sampling:
    def sample(x: Tensor) -> Tensor:
        told = Told(lambda x, time, context: network(x), target, Context())
        return run(told, x, table, target=target)

    return sample


def _azula(
    kind: str, steps: int, dtype: torch.dtype
) -> tuple[Callable[[Network], Sampling], Table]:
    from azula import sample as samplers
    from azula.denoise import Denoiser, DiracPosterior
    from azula.noise import CosineSchedule

    class Given(Denoiser):  # type: ignore[misc]
        """A network that gives the data."""

        def __init__(self, network: Network) -> None:
            super().__init__()
            self.network, self.schedule = network, CosineSchedule()

        def forward(self, x_t: Tensor, t: Tensor, **kwargs: Any) -> Any:
            return DiracPosterior(mean=self.network(x_t))

    def theirs(network: Network) -> Sampling:
        made = getattr(samplers, kind)(Given(network), steps=steps, silent=True, dtype=dtype)
        return lambda x: made(x)

    times = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)
    alphas, sigmas = CosineSchedule()(times)
    numbers = zip(times.tolist(), alphas.tolist(), sigmas.tolist(), strict=True)
    levels = [Level(*row) for row in numbers]
    table = {
        "DDPMSampler": lambda: ancestral(levels, variance="posterior"),
        "DDIMSampler": lambda: ddim(levels),
        "HeunSampler": lambda: heun(levels),
    }[kind]()
    return theirs, table


def _smalldiffusion(
    kind: str, steps: int, dtype: torch.dtype
) -> tuple[Callable[[Network], Sampling], Table]:
    module, _ = imported("smalldiffusion")
    sigmas = module.ScheduleDDPM(1000).sample_sigmas(steps).to(dtype)
    place = SimpleNamespace(device=torch.device("cpu"))

    class Given(module.ModelMixin, nn.Module):  # type: ignore[misc, name-defined]
        """A network that gives the noise."""

        input_dims = SHAPE

        def __init__(self, network: Network) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor, sigma: Tensor, cond: Any = None) -> Tensor:
            return self.network(x)

        def rand_input(self, batchsize: int) -> Tensor:
            return torch.randn((batchsize, *SHAPE), dtype=dtype)

    def theirs(network: Network) -> Sampling:
        model = Given(network)

        def sample(x: Tensor) -> Tensor:
            mu = 0.5 if kind == "DDPM" else 0.0
            for state in module.samples(model, sigmas, mu=mu, xt=x, accelerator=place):
                x = state
            return x

        return sample

    levels = [Level(0.0, 1.0, float(sigma)) for sigma in sigmas]
    table = ancestral(levels, variance="posterior") if kind == "DDPM" else ddim(levels)
    return theirs, table


_MADE: dict[str, tuple[Any, Sequence[str], type[Target]]] = {
    "azula": (_azula, ("DDPMSampler", "DDIMSampler", "HeunSampler"), Data),
    "smalldiffusion": (_smalldiffusion, ("DDPM", "DDIM"), Noise),
}
"""How, which samplers, and what the network gives."""


def largest_difference(peer: str, kind: str, steps: int) -> float:
    """Of samples from the same noise, in double precision, relative to the largest value."""
    make, _, target = _MADE[peer]
    theirs, table = make(kind, steps, torch.float64)
    x = table.rows[0].asked.sigma * torch.randn(
        2, *SHAPE, generator=generator(3), dtype=torch.float64
    )
    found = []
    for sample in (theirs(_bent), _ours(table, target(), _bent)):
        with torch.random.fork_rng(devices=[]):  # the peers draw from torch's own generator
            torch.manual_seed(7)
            found.append(sample(x))
    worst = float((found[0] - found[1]).abs().max() / found[0].abs().max())
    assert worst < _TOLERANCE, f"{peer}'s {kind} and ours differ by {worst}"
    return worst


def cases(steps: int, batches: Sequence[int]) -> Iterator[Case]:
    """A step of each sampler beside its network; those of a peer that is missing are left out."""
    for peer in filter(installed, PEERS):
        make, kinds, target = _MADE[peer]
        if peer == "smalldiffusion":
            _, stood_in = imported(peer)
            if stood_in:
                print(f"{peer}: stand-ins were imported for {', '.join(stood_in)}")
        for n in batches:
            for kind in kinds:
                yield _case(peer, kind, make(kind, steps, torch.float32), target(), steps, n)


def _case(peer: str, kind: str, made: Any, target: Target, steps: int, n: int) -> Case:
    theirs, table = made
    g = generator(5)
    x, ready = (torch.randn(n, *SHAPE, generator=g) for _ in range(2))
    loop, own = theirs(lambda x: ready), _ours(table, target, lambda x: ready)
    calls = table.evaluations
    return Case(
        f"1000 steps of {kind}, {n}x{'x'.join(map(str, SHAPE))}",
        peer,
        lambda: largest_difference(peer, kind, steps),
        per_call(lambda: loop(x), calls, 1000),
        per_call(lambda: own(x), calls, 1000),
    )

"""What a sampler costs beside its network: our tables against diffusers' schedulers.

The network of the timed loops returns a tensor that is already there. The peer's loop is that of
its pipelines, its times are set before the clock starts, and so is our table.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.common import Case, Timed, Watch
from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.diffusion.asking import Told
from phosphene.generative.diffusion.ddpm import DDPM
from phosphene.generative.diffusion.level import CLEAN, Level
from phosphene.generative.diffusion.path import Straight
from phosphene.generative.diffusion.samplers.ancestral import ancestral
from phosphene.generative.diffusion.samplers.ddim import ddim
from phosphene.generative.diffusion.samplers.dpm_solver import dpm_solver
from phosphene.generative.diffusion.samplers.table import Table, run
from phosphene.generative.diffusion.samplers.two_stage import euler, heun
from phosphene.generative.diffusion.schedule import build_schedule
from phosphene.generative.diffusion.target import Noise, Target, Velocity

__all__ = ["SHAPE", "Sampler", "agreement", "cases", "per_call", "samplers", "with_network"]

PEER = "diffusers"
SHAPE = (1, 28, 28)
_TOLERANCE = 1e-5
"""In double precision, relative to the largest value."""
_CHAIN = build_schedule("linear", 1000)
_KNOWN = {"num_train_timesteps": 1000, "beta_schedule": "linear", "timestep_spacing": "trailing"}

Network = Callable[[Tensor, float], Tensor]
"""Of x and a time from 0 to 1000."""


@dataclass
class Sampler:
    """One sampler in two ways.

    Args:
        name: The peer's class, and what is told to it.
        table: Ours.
        target: What the network gives.
        theirs: x and a network to samples.
        reset: What the peer does before each sampling, which is not timed.
        start: The deviation of the first noise.
        scales: Whether x is scaled to unit variance before the network.
        clip: Where the estimate of the data is cut off.
        pace: What the network is told of the time 1.
    """

    name: str
    table: Table
    target: Target
    theirs: Callable[[Tensor, Network, torch.Generator], Tensor]
    reset: Callable[[], object]
    start: float = 1.0
    scales: bool = False
    clip: float | None = None
    pace: float = 1000.0

    @property
    def noisy(self) -> bool:
        """Whether steps draw noise."""
        return any(row.noise for row in self.table.rows)

    def ours(self, x: Tensor, network: Any, g: torch.Generator) -> Tensor:
        """Samples by our table; the network takes a tensor of times and a context."""
        told = Told(network, self.target, Context(), scales=self.scales, pace=self.pace)
        return run(told, x, self.table, target=self.target, generator=g, clip=self.clip)


def _loop(
    scheduler: Any, *, draws: bool, offset: float, scales: bool = False, **more: Any
) -> Callable[[Tensor, Network, torch.Generator], Tensor]:
    @torch.no_grad()
    def sample(x: Tensor, network: Network, g: torch.Generator) -> Tensor:
        taken = {"generator": g, **more} if draws else more
        for t in scheduler.timesteps:
            seen = scheduler.scale_model_input(x, t) if scales else x
            m = network(seen, t + offset)
            x = scheduler.step(m, t, x, return_dict=False, **taken)[0]
        return x

    return sample


def _trailing(scheduler: Any, steps: int) -> list[Level[float]]:
    scheduler.set_timesteps(steps)
    return [*(_CHAIN.level(int(t) + 1) for t in scheduler.timesteps), CLEAN]


def samplers(steps: int) -> Iterator[Sampler]:
    """Every sampler that both have, of so many steps."""
    import diffusers

    for clip in (None, 1.0):
        cut, told = clip is not None, ", clipped" if clip else ""
        peer = diffusers.DDPMScheduler(clip_sample=cut, **_KNOWN)
        table = ancestral(_trailing(peer, steps), variance="posterior")
        loop = _loop(peer, draws=True, offset=1)
        reset = _setter(peer, steps)
        yield Sampler(f"DDPMScheduler{told}", table, Noise(), loop, reset, clip=clip)
        peer = diffusers.DDIMScheduler(clip_sample=cut, **_KNOWN)
        table = ddim(_trailing(peer, steps))
        loop = _loop(peer, draws=False, offset=1, use_clipped_model_output=cut)
        reset = _setter(peer, steps)
        yield Sampler(f"DDIMScheduler{told}", table, Noise(), loop, reset, clip=clip)
    peer = diffusers.DPMSolverMultistepScheduler(
        algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero", **_KNOWN
    )
    table = dpm_solver(_trailing(peer, steps))
    loop = _loop(peer, draws=False, offset=1)
    name = "DPMSolverMultistepScheduler"
    yield Sampler(name, table, Noise(), loop, _setter(peer, steps))
    peer = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0)
    sigmas = [1 - i / steps for i in range(steps)]
    loop, table = _loop(peer, draws=False, offset=0), euler(Straight().levels(steps))
    name = "FlowMatchEulerDiscreteScheduler"
    yield Sampler(name, table, Velocity(), loop, lambda: peer.set_timesteps(sigmas=sigmas))
    yield _heun(steps)


def _setter(peer: Any, steps: int) -> Callable[[], object]:
    return lambda: peer.set_timesteps(steps)


def _heun(steps: int) -> Sampler:
    import diffusers

    peer = diffusers.HeunDiscreteScheduler(beta_start=1e-4, beta_end=0.02, **_KNOWN)
    peer.set_timesteps(steps)
    times, sigmas = peer.timesteps.tolist(), peer.sigmas.tolist()
    own = [0, *range(1, len(times), 2)]  # each level but the first stands there twice
    levels = [Level(times[i] + 1, 1.0, sigmas[i]) for i in own]
    return Sampler(
        "HeunDiscreteScheduler",
        heun([*levels, CLEAN]),
        Noise(),
        _loop(peer, draws=False, offset=1, scales=True),
        lambda: peer.set_timesteps(steps),
        start=float(peer.init_noise_sigma),
        scales=True,
        pace=1.0,
    )


def _bent(x: Tensor, time: float) -> Tensor:
    """A network for the comparison: neither linear in x nor the same at any two times."""
    return torch.tanh(1.3 * x + 0.4 * torch.sin(torch.tensor(float(time) / 90.0).to(x.dtype)))


def agreement(sampler: Sampler, shape: Sequence[int] = (2, *SHAPE)) -> float:
    """The largest relative difference of samples from the same noise, in double precision."""
    x = sampler.start * torch.randn(*shape, generator=generator(3), dtype=torch.float64)
    sampler.reset()
    wanted = sampler.theirs(x, _bent, generator(4))
    found = sampler.ours(x, lambda x, time, context: _bent(x, float(time)), generator(4))
    worst = float((found - wanted).abs().max() / wanted.abs().max())
    assert worst < _TOLERANCE, f"{sampler.name}: samples differ by {worst}"
    return worst


def per_call(
    sample: Callable[[], object],
    calls: int,
    steps: int = 1,
    before: Callable[[], object] | None = None,
    less: Callable[[], object] | None = None,
) -> Timed:
    """One time is a time of so many steps: of sampling, over the network's calls.

    Args:
        sample: Samples.
        calls: How often it calls the network.
        steps: Of which one time is a time.
        before: Is done before the clock starts.
        less: Is timed next, and taken off.
    """

    def work(watch: Watch) -> None:
        if before is not None:
            before()
        watch.start()
        sample()
        watch.stop()
        if less is not None:
            other = Watch()
            less()
            other.stop()
            watch.wall, watch.cpu = watch.wall - other.wall, watch.cpu - other.cpu
        watch.wall, watch.cpu = watch.wall * steps / calls, watch.cpu * steps / calls

    return work


def cases(steps: int, batches: Sequence[int]) -> Iterator[Case]:
    """A step of each sampler beside its network, at each size of batch."""
    for n in batches:
        g = generator(5)
        x, ready = (torch.randn(n, *SHAPE, generator=g) for _ in range(2))
        for sampler in samplers(steps):
            yield from _beside(sampler, x, ready)


def _beside(sampler: Sampler, x: Tensor, ready: Tensor) -> Iterator[Case]:
    calls = sampler.table.evaluations
    z = torch.empty_like(x)

    def noise() -> None:
        for row in sampler.table.rows:
            if row.noise:
                z.normal_(generator=g)

    def theirs() -> Tensor:
        return sampler.theirs(x, lambda x, t: ready, g)

    def ours() -> Tensor:
        return sampler.ours(x, lambda x, time, context: ready, g)

    g = generator(6)
    shape = "x".join(map(str, x.shape))
    for less in (None, noise) if sampler.noisy else (None,):
        told = " less its noise" if less else ""
        yield Case(
            f"1000 steps of {sampler.name}{told}, {shape}",
            PEER,
            lambda: agreement(sampler),
            per_call(theirs, calls, 1000, sampler.reset, less),
            per_call(ours, calls, 1000, None, less),
        )


def with_network(steps: int, n: int) -> Iterator[Case]:
    """Whole steps: the network that ``ddpm`` has for 28x28 images, and the sampler."""
    with seeded(1):
        model = DDPM(Event.image(1, 28), schedule="linear")
        for p in model.network.parameters():
            if not bool(p.any()):  # outputs begin at zero, where all samplers agree
                torch.nn.init.normal_(p, std=0.02)
    network = model.network.eval()
    x = torch.randn(n, *SHAPE, generator=generator(5))
    told: Context = model.given(None, n)

    def theirs(x: Tensor, t: Any) -> Tensor:
        return network(x, (t / 1000.0).to(x.dtype).view(1), told)  # type: ignore[no-any-return]

    for sampler in samplers(steps):
        if "DDPM" not in sampler.name and "DPMSolver" not in sampler.name:
            continue
        if sampler.clip is not None:
            continue
        yield _whole(sampler, x, network, theirs, told)


def _whole(sampler: Sampler, x: Tensor, network: Any, theirs: Network, context: Context) -> Case:
    sampler.pace = 1.0
    calls = sampler.table.evaluations

    def peer() -> Tensor:
        return sampler.theirs(x, theirs, generator(6))

    def ours() -> Tensor:
        told = Told(network, sampler.target, context)
        return run(told, x, sampler.table, target=sampler.target, generator=generator(6))

    def check() -> float:
        sampler.reset()
        wanted, found = peer(), ours()
        worst = float((found - wanted).abs().max() / wanted.abs().max())
        assert worst < 1e-3, f"{sampler.name}: samples differ by {worst}"
        return worst

    shape = "x".join(map(str, x.shape))
    name = f"network and step of {sampler.name}, {shape}"
    return Case(name, PEER, check, per_call(peer, calls, 1, sampler.reset), per_call(ours, calls))

"""Whole trajectories of our samplers against diffusers' schedulers, under the same noise."""

import pytest
import torch

from phosphene.generative.diffusion.level import CLEAN, Level
from phosphene.generative.diffusion.path import Straight
from phosphene.generative.diffusion.samplers.ancestral import ancestral
from phosphene.generative.diffusion.samplers.ddim import ddim
from phosphene.generative.diffusion.samplers.dpm_solver import dpm_solver
from phosphene.generative.diffusion.samplers.table import run
from phosphene.generative.diffusion.samplers.two_stage import euler, heun
from phosphene.generative.diffusion.schedule import build_schedule
from phosphene.generative.diffusion.target import Noise, Velocity

diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")

CHAIN = build_schedule("linear", 1000)
KNOWN = {"num_train_timesteps": 1000, "beta_schedule": "linear", "timestep_spacing": "trailing"}
X = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
STEPS = [10, 40, 50]  # parts of 1000: else its DDIM steps to times that it did not list
PINNED = "0.42.1"


def network(x, t):
    """The noise in x at a time of 1..1000, by an estimate of the data that is not linear."""
    level = CHAIN.level(round(t))
    D = 0.8 * torch.tanh(1.3 * x + 0.4 * torch.sin(torch.tensor(t / 90.0, dtype=torch.float64)))
    return (x - level.alpha * D) / level.sigma


def velocity(x, t):
    return torch.tanh(1.3 * x + t) - x


def theirs(scheduler, x, ask=network, scale=False):
    """(len, n, d): x after each of a scheduler's steps."""
    g, path = torch.Generator().manual_seed(7), []
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t) if scale else x
        taken = {} if "Euler" in type(scheduler).__name__ or scale else {"generator": g}
        x = scheduler.step(ask(seen, float(t) + 1), t, x, **taken).prev_sample
        path.append(x)
    return torch.stack(path)


def ours(table, x, ask, target, start=1.0):
    path, g = [], torch.Generator().manual_seed(7)
    run(ask, x * start, table, target=target, generator=g,
        observe=lambda x, D, row: path.append(x))  # fmt: skip
    return torch.stack(path)


def asked(x, level):
    return network(x, level.time * 1000)


def trailing(steps, scheduler):
    scheduler.set_timesteps(steps)
    return [*(CHAIN.level(int(t) + 1) for t in scheduler.timesteps), CLEAN]


def test_which_version():
    print(f"diffusers {diffusers.__version__}; these tests were written for {PINNED}")


@pytest.mark.parametrize("steps", [*STEPS, 1000])
@pytest.mark.parametrize(
    ("kind", "variance"), [("fixed_large", "beta"), ("fixed_small", "posterior")]
)
def test_ancestral(kind, variance, steps):
    peer = diffusers.DDPMScheduler(variance_type=kind, clip_sample=False, **KNOWN)
    if steps == 1000:  # its table in single precision is 4.5e-5 off after so many steps
        peer.alphas_cumprod = CHAIN.alpha_bar[1:]
    levels = trailing(steps, peer)
    found, wanted = ours(ancestral(levels, variance=variance), X, asked, Noise()), theirs(peer, X)
    # Of a subset of the steps, its wide variance adds noise to the last one too; ours does not.
    last = steps if variance == "posterior" or steps == 1000 else steps - 1
    torch.testing.assert_close(found[:last], wanted[:last], rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_ddim(eta, steps):
    peer = diffusers.DDIMScheduler(clip_sample=False, **KNOWN)
    levels = trailing(steps, peer)
    found = ours(ddim(levels, eta=eta), X, asked, Noise())
    x, g, path = X, torch.Generator().manual_seed(7), []
    for t in peer.timesteps:
        x = peer.step(network(x, float(t) + 1), t, x, eta=eta, generator=g).prev_sample
        path.append(x)
    torch.testing.assert_close(found, torch.stack(path), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("steps", [10, 14, 25, 50])
def test_dpm_solver(steps):
    peer = diffusers.DPMSolverMultistepScheduler(
        algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero", **KNOWN
    )
    levels = trailing(steps, peer)
    found = ours(dpm_solver(levels), X, asked, Noise())
    torch.testing.assert_close(found, theirs(peer, X), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("steps", [5, 10, 30])
def test_heun(steps):
    peer = diffusers.HeunDiscreteScheduler(
        beta_start=1e-4, beta_end=0.02, num_train_timesteps=1000, beta_schedule="linear",
        timestep_spacing="trailing",
    )  # fmt: skip
    peer.set_timesteps(steps)
    sigmas = [float(s) for s in peer.sigmas]
    times = [float(t) for t in peer.timesteps]
    own = [0, *range(1, len(times), 2)]  # each level but the first stands there twice
    levels = [Level(times[i] + 1, 1.0, sigmas[i]) for i in own]
    assert len(levels) == steps

    def scaled(x, level):
        return network(x / (level.sigma**2 + 1) ** 0.5, level.time)

    start = float(peer.init_noise_sigma)
    found = ours(heun([*levels, CLEAN]), X, scaled, Noise(), start)
    wanted = theirs(peer, X * start, scale=True)
    assert len(found) == len(wanted)
    whole = [i for i in range(len(found)) if i % 2 or i == len(found) - 1]
    size = wanted.abs().amax((1, 2), keepdim=True).clamp(min=1.0)
    torch.testing.assert_close((found / size)[whole], (wanted / size)[whole], rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("steps", STEPS)
def test_flow_matching_euler(steps, shift):
    """At shift 1, and with explicit times: its own times are shifted twice where it is not 1."""
    peer = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=shift)
    explicit = [1 - i / steps for i in range(steps)]
    peer.set_timesteps(sigmas=explicit)
    levels = Straight().levels(steps, shift)
    for level, sigma in zip(levels, peer.sigmas, strict=True):
        assert level.sigma == pytest.approx(float(sigma), abs=1e-6)
    found = ours(euler(levels), X, lambda x, level: velocity(x, level.time), Velocity())
    wanted = theirs(peer, X, ask=lambda x, t: velocity(x, (t - 1) / 1000))
    torch.testing.assert_close(found.float(), wanted.float(), rtol=0.0, atol=1e-5)

"""Latents are scaled to unit variance before noise is added to them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.data.loading import load
from phosphene.generative.diffusion.bound import prior_kl
from phosphene.generative.diffusion.ddpm import DDPM
from phosphene.generative.diffusion.level import log_snr
from phosphene.generative.diffusion.schedule import build_schedule
from phosphene.proofs.diffusion.diffusion_bound import gap
from phosphene.proofs.proof import Proof, Wrong, above, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "z -> (z - mean) / std before the chain, and back after it: then Var x_t = alpha_t^2 + "
    "sigma_t^2 = 1 at every t. Latents of deviation s have s^2 times the SNR at every step, so "
    "that a schedule made for 1 spends its steps at the wrong levels (Rombach et al., 2022)."
)
_STEPS, _KEPT = 100, 4


def _scaled(z: Tensor) -> Tensor:
    """What a model of the family makes of latents before it adds noise."""
    with seeded(0):
        make: Any = DDPM
        model: DDPM = make(Event.real(z.shape[1]), widths=(4,), steps=_STEPS)
    model.double().prepare(Batch.of(z))
    return model.encoded(z)[0]


def prove(seed: int = 0, *, formula: Callable[[Tensor], Tensor] = _scaled) -> Proof:
    """Latents of digits, their four leading principal components, in the linear chain.

    Args:
        seed: Of the noise.
        formula: What is done to latents (n, d) before the chain.

    Example:
        >>> prove().holds
        True
    """
    x = load("digits", "train").x.flatten(1).double()
    x = x - x.mean(0)
    z = x @ torch.linalg.svd(x, full_matrices=False).Vh[:_KEPT].T + 3  # a mean, as networks leave
    y = formula(z)
    chain = build_schedule("linear", _STEPS)
    eps = torch.randn(y.shape, generator=generator(seed), dtype=torch.float64)
    eps = (eps - eps.mean(0)) / eps.std(0)
    off = []
    for t in range(_STEPS + 1):
        level = chain.level(t)
        variance = level.alpha**2 * y.var(0) + level.sigma**2 * eps.var(0)
        off.append((variance - 1).abs().max())
    std = y.std(0)
    ends = prior_kl(y, chain.level(_STEPS)) - prior_kl(0 * y, chain.level(_STEPS))
    covered = [log_snr(chain.level(t)) + 2 * float(std.max().log()) for t in range(1, _STEPS + 1)]
    rows = [
        below("largest |mean| of a latent", y.mean(0).abs().max(), 1e-9),
        below("largest |deviation - 1|", (std - 1).abs().max(), 0.001),
        below("largest |Var x_t - 1| over all t", max(off), 0.002),
        below("what x_T still knows of it, nats a dimension", ends.mean() / _KEPT, 1e-4),
        below(
            "first t / T where there is more noise than data",
            next(t for t, value in enumerate(covered, 1) if value < 0) / _STEPS,
            0.3,
        ),
        above("largest deviation of the latents as they are", z.std(0).max(), 10),
        above(
            "T = 100: gap of the bound of normal data with that deviation, nats a dimension",
            gap(_STEPS, "beta", mean=0.0, spread=float(z.var(0).max())),
            0.05,
        ),
        below("that of normal data of deviation 1",
              gap(_STEPS, "beta", mean=0.0, spread=1.0), 1e-9),
    ]  # fmt: skip
    figure = {
        "x": torch.arange(_STEPS + 1) / _STEPS,
        "|Var x_t - 1|": torch.stack(off),
    }
    return Proof("latent-scaling", "Latents of unit variance", _STATEMENT, rows, figure)


WRONG = Wrong(
    "the chain on the latents as the encoder gives them, without (z - mean) / std",
    {"formula": lambda z: z},
)

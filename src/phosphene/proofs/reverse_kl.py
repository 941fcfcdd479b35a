"""Variational inference by a flow: reverse KL on an unnormalized density of known integral."""

import math
from typing import Any

import torch
from torch import Tensor

from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.realnvp import RealNVP
from phosphene.nn.gaussian import log_standard_normal
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "banana", "prove"]

_STATEMENT = (
    "For w = p~(x) / q(x) with p = p~ / Z: KL(q || p) = log Z - E_q[log w] >= 0, so that "
    "E_q[log w] <= log Z is a bound that is raised by gradients through draws x = f^-1(z) of a "
    "flow (Rezende and Mohamed, 2015). Where q is close to p, log mean w estimates log Z."
)
WIDTH, BEND, NOISE = 1.5, 0.5, 0.5
LOG_Z = math.log(2 * math.pi * WIDTH * NOISE)


def banana(x: Tensor) -> Tensor:
    """log p~ (n,) = -(x_1 / 1.5)^2 / 2 - ((x_2 - x_1^2 / 2) / 0.5)^2 / 2; Z = 2 pi 1.5 0.5.

    A normal x_1, and a normal x_2 about a parabola of it: the bend has slope 1, so that the
    integral is that of two normals.
    """
    along, across = x[:, 0] / WIDTH, (x[:, 1] - BEND * x[:, 0].square()) / NOISE
    return -0.5 * (along.square() + across.square())


def prove(seed: int = 0, steps: int = 1000, *, model: type[RealNVP] = RealNVP) -> Proof:
    """Train a RealNVP by reverse KL, and compare log Z with its closed form.

    Args:
        seed: Seeds the weights and the draws.
        steps: Batches of 512 draws.
        model: The flow.

    Example:
        >>> proof = prove(steps=2)
        >>> len(proof.figure["x"]), proof.rows[0]["holds"]  # a bound it is from the start
        (2, True)
    """
    with seeded(seed):
        flow = model(Event.real(2), layers=6, hidden=(32, 32), activation="tanh")
    optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        x, log_q = flow.rsample_and_log_prob(512, generator=generator(seed, 1, step))
        loss = (log_q - banana(x)).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(LOG_Z + loss.detach())

    with torch.no_grad():
        x, log_q = flow.rsample_and_log_prob(50_000, generator=generator(seed, 2))
    log_w = (banana(x) - log_q).double()
    bound, error = float(log_w.mean()), float(log_w.std() / len(log_w) ** 0.5)
    kl = LOG_Z - bound
    log_z = float(torch.logsumexp(log_w, 0)) - math.log(len(log_w))
    rows = [
        below("E_q[log w], at most log Z = log(1.5 pi)", bound, LOG_Z, 4 * error),
        below("KL(q || p) = log Z - E_q[log w]", kl, 0.02),
        equal("log Z by importance sampling, log mean w", log_z, LOG_Z, 0.02),
        above("log mean w, at least E_q[log w]", log_z, bound),
    ]
    figure = {"x": torch.arange(steps), "KL(q || p) in training": torch.stack(losses)}
    return Proof("reverse-kl", "Variational inference by a flow", _STATEMENT, rows, figure)


class _WithoutDeterminant(RealNVP):
    def rsample_and_log_prob(self, n: int, *args: Any, **told: Any) -> tuple[Tensor, Tensor]:
        """Draws, and the density of the z that they were made of."""
        x, _ = super().rsample_and_log_prob(n, *args, **told)
        return x, log_standard_normal(self.forward_and_log_det(x)[0].flatten(1))


WRONG = Wrong(
    "log q(x) = log N(z; 0, I): without the log-determinant of the flow",
    {"model": _WithoutDeterminant},
)

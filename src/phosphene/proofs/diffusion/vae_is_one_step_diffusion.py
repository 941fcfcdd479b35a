"""A chain of one step is a variational autoencoder whose encoder is fixed."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.data.loading import load
from phosphene.generative.autoencoder.vae import VAE
from phosphene.generative.diffusion.bound import normal_log_prob, prior_kl
from phosphene.generative.diffusion.ddpm import DDPM
from phosphene.generative.diffusion.level import Level
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "Chained", "prove"]

_STATEMENT = (
    "With T = 1 the bound is E log p(x_0 | x_1) - KL(q(x_1 | x_0) || N(0, I)) = the ELBO of a "
    "variational autoencoder with z = x_1, the fixed encoder N(alpha_1 x, sigma_1^2 I) and a "
    "decoder of fixed variance: there are no steps between (Luo, 2022)."
)

Bound = Callable[[DDPM, Tensor, torch.Generator], Tensor]


class Chained(VAE):
    """A variational autoencoder with the encoder and the decoder of a chain of one step.

    Args:
        chain: The model of T = 1.
    """

    @classmethod
    def of(cls, chain: DDPM) -> "Chained":
        """Around a model of T = 1 of reals."""
        size, sigma = chain.event.dimensions, chain.chain.level(1).sigma
        make: Any = cls
        vae: Chained = make(
            chain.event, latent_dim=size, hidden=(4,), variance="fixed", sigma=sigma
        ).double()
        vae.__dict__["own"] = chain  # not one of its parts
        return vae

    own: DDPM

    def _posterior(self, x: Tensor, condition: Any, uniform: Any = None) -> tuple[Tensor, Tensor]:
        level = self.own.chain.level(1)
        y, _ = self.own.encoded(x)
        return level.alpha * y, torch.full_like(y, 2 * math.log(level.sigma))

    def _params(self, z: Tensor, condition: Any, uniform: Any = None) -> Tensor:
        flat = z.flatten(0, -2)
        level = Level(*(flat.new_full((len(flat),), v) for v in self.own.chain.level(1)))
        return self.own.estimate(flat, level).view(z.shape)[..., None, :]


def _elbo(model: DDPM, x: Tensor, g: torch.Generator) -> Tensor:
    return model.elbo(x, generator=g)


def prove(seed: int = 0, *, formula: Bound = _elbo) -> Proof:
    """Both bounds on digits, with the same noise.

    Args:
        seed: Of the network and of the noise.
        formula: The bound of a chain, of the model, examples and a generator.

    Example:
        >>> prove().holds
        True
    """
    x = load("digits", "test").x[:50].flatten(1).double() / 8 - 1
    with seeded(seed):
        make: Any = DDPM
        model: DDPM = make(Event.real(64), widths=(16,), steps=1, schedule="linear").double()
    g = generator(seed)
    for parameter in model.parameters():  # it begins at zero
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=g, dtype=torch.float64)
    vae = Chained.of(model)
    with torch.no_grad():
        found = formula(model, x, generator(seed, 1))
        told = vae.elbo(x, generator=generator(seed, 1))
    level = model.chain.level(1)
    eps = torch.empty_like(x).normal_(generator=generator(seed, 1))
    with torch.no_grad():
        D = model.estimate(level.alpha * x + level.sigma * eps, model.at(torch.ones(50).long()))
    by_hand = normal_log_prob(x, D, level.sigma) - prior_kl(x, level)
    rows = [
        below("bound against the VAE's, 50 digits, worst, nats", _gap(found, told), 1e-9),
        below("against log p(x_0 | x_1) - KL, worst, nats", _gap(found, by_hand), 1e-9),
        equal("steps between", model.terms(x)["steps"].abs().max(), 0, 0),
        equal("mean bound of the chain, nats", found.mean(), told.mean(), 1e-9),
    ]
    figure = {"x": torch.arange(50).double(), "chain": found, "autoencoder": told}
    return Proof("vae-is-one-step-diffusion", "A VAE is one step", _STATEMENT, rows, figure)


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


WRONG = Wrong(
    "bound = E log p(x_0 | x_1), as a loss of reconstruction alone: what z keeps of x, KL(q(x_1 | "
    "x_0) || N(0, I)), is left out",
    {"formula": lambda model, x, g: model.terms(x, generator=g)["decoder"]},
)

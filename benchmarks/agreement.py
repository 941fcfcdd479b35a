"""How the equality of a VAE of ours and of pythae's is checked, before either is timed."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
import torch.distributions as td
from pythae.models import VAE as PythaeVAE
from torch import Tensor

from benchmarks.pythae_models import bounded, copy_weights, noise_given
from phosphene.core.batch import Batch
from phosphene.generative.autoencoder.vae import VAE

__all__ = ["difference", "particles_used", "same_likelihood", "same_training"]


def difference(a: Tensor, b: Tensor) -> float:
    """Largest absolute difference, relative where values are above 1."""
    scale = max(1.0, float(b.detach().abs().max()))
    return float((a - b).detach().abs().max()) / scale


def same_training(ours: VAE, peer: PythaeVAE, x: Tensor, tolerance: float = 2e-5) -> float:
    """Largest difference of posteriors, reconstructions, loss and gradients; asserts them equal."""
    copy_weights(ours, peer)
    noise = Batch.of(x, seed=3).normal((ours.particles, ours.latent_dim))
    with bounded(peer), noise_given(peer, noise.view):
        posterior = peer.encoder(x.float())
        theirs = peer({"data": x.float()})
        peer.zero_grad()
        theirs.loss.backward()
    loss = ours.loss(Batch.of(x, seed=3))
    ours.zero_grad()
    loss.total.backward()
    mu, logvar = ours.posterior(x)
    z = mu + torch.exp(0.5 * logvar) * noise[:, 0]
    pairs = [
        (mu, posterior.embedding),
        (logvar, posterior.log_covariance),
        (ours.decode(z), theirs.recon_x),
        (_gradients(ours), _gradients(peer)),
    ]
    if ours.particles == 1:  # with more, the peer's loss has the bound's gradient, not its value
        pairs.append((loss.total / x[0].numel(), theirs.loss / x[0].numel()))
    worst = max(difference(a, b) for a, b in pairs)
    assert worst < tolerance, f"ours and the peer's differ by {worst}"
    return worst


def _gradients(model: VAE | PythaeVAE) -> Tensor:
    """All gradients, encoder first; a split head's parts in the order of the whole one's rows."""
    weights: list[Tensor] = []
    biases: list[Tensor] = []
    for part in (model.encoder, model.decoder):
        for name, p in part.named_parameters():
            assert p.grad is not None
            (biases if name.endswith("bias") else weights).append(p.grad.flatten())
    return torch.cat([*weights, *biases])


def oracle(model: VAE, x: Tensor, eps: Tensor) -> Tensor:
    """The importance-weighted bound of given noise (k, n, d), from densities in float64."""
    double = VAE(model.event, **_settings(model)).double()
    double.load_state_dict(model.state_dict())
    mu, logvar = double.posterior(x)
    posterior = td.Normal(mu, torch.exp(0.5 * logvar))
    z = mu + posterior.stddev * eps.double()
    logits = torch.stack([double.decode_params(one).squeeze(1) for one in z])
    log_joint = td.Bernoulli(logits=logits).log_prob(x.double()).flatten(2).sum(-1)
    log_joint += td.Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_w = log_joint - posterior.log_prob(z).sum(-1)
    return torch.logsumexp(log_w, 0) - math.log(len(eps))


def _settings(model: VAE) -> dict[str, Any]:
    return {k: v for k, v in model.config.items() if k != "event"}


@torch.no_grad()
def same_likelihood(ours: VAE, peer: PythaeVAE, x: Tensor, particles: int) -> float:
    """Largest relative difference of both from the oracle, with the same noise; asserts them equal.

    The peer must draw as many particles as it was asked for.
    """
    with noise_recorded(ours.latent_dim) as drawn:
        bounds = torch.cat([ours.elbo(one[None], particles=particles) for one in x])
    eps = torch.cat(drawn).view(len(x), particles, -1)
    exact = oracle(ours, x, eps.transpose(0, 1))
    used: list[int] = []
    with bounded(peer), noise_given(peer, _in_pieces(eps, used)):
        # Despite its name it returns the mean log-likelihood.
        mean = float(peer.get_nll(x.float(), n_samples=particles, batch_size=100))
    assert sum(used) == particles * len(x), f"the peer drew {sum(used)} particles"
    worst = max(difference(bounds, exact), abs(float(exact.mean()) / mean - 1.0))
    assert worst < 1e-5, f"log-likelihoods differ by {worst} of their size"
    return worst


@contextlib.contextmanager
def noise_recorded(latent_dim: int) -> Iterator[list[Tensor]]:
    """The normal numbers drawn inside the block, as rows of ``latent_dim``."""
    drawn: list[Tensor] = []
    randn = torch.randn

    def record(*args: Any, **kwargs: Any) -> Tensor:
        drawn.append(randn(*args, **kwargs))
        return drawn[-1]

    with mock.patch.object(torch, "randn", record):
        yield drawn
    drawn[:] = [noise.reshape(-1, latent_dim) for noise in drawn]


def _in_pieces(eps: Tensor, used: list[int]) -> Callable[[tuple[int, ...]], Tensor]:
    """Noise (n, k, d) as the peer asks for it, in order; the sizes are noted in ``used``."""
    rows = iter(eps.flatten(0, 1))

    def give(shape: tuple[int, ...]) -> Tensor:
        used.append(shape[0])
        return torch.stack([next(rows) for _ in range(shape[0])])

    return give


@torch.no_grad()
def particles_used(ours: VAE, peer: PythaeVAE, x: Tensor, asked: int) -> tuple[int, int]:
    """How many samples of z the peer and we draw for one example when asked for so many."""
    used: list[int] = []

    def draw(shape: tuple[int, ...]) -> Tensor:
        used.append(shape[0])
        return torch.zeros(shape)

    with noise_given(peer, draw):
        peer.get_nll(x[:1].float(), n_samples=asked, batch_size=100)
    with noise_recorded(ours.latent_dim) as drawn:
        ours.elbo(x[:1], particles=asked)
    return sum(used), sum(map(len, drawn))

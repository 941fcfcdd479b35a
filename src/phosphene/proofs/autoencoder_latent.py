"""An autoencoder's codes are neither continuous nor interpolable; a VAE's are more so.

The VAE is that of Kingma and Welling (2014).
"""

from typing import Protocol

import torch
from torch import Tensor

from phosphene import data
from phosphene.core.protocols import Decodes, Encodes
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoencoder.autoencoder import Autoencoder
from phosphene.generative.autoencoder.vae import VAE
from phosphene.proofs.fitting import fit
from phosphene.proofs.proof import Proof, Wrong, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "Decode the straight line between the codes of two test digits, g((1 - t) f(a) + t f(b)): "
    "the distance to the nearest training digit, averaged over 0 < t < 1, is smaller for a VAE "
    "than for an autoencoder of the same size, whose codes the loss leaves free to lie anywhere. "
    "So is that of g(z) for z drawn from a Gaussian with the codes' own mean and covariance: "
    "distance(VAE) < distance(autoencoder)."
)
_STEPS = torch.linspace(0, 1, 9)


@torch.no_grad()
def prove(seed: int = 0, steps: int = 1000, *, model: type[VAE] = VAE) -> Proof:
    """Train both on the 8x8 digits, with the same widths, code and number of steps.

    Autoencoder: Hinton and Salakhutdinov (2006); VAE: Kingma and Welling (2014).

    Args:
        seed: Seeds the weights, the batches, the pairs and the random codes.
        steps: Steps of training.
        model: The VAE.

    Example:
        >>> proof = prove(steps=2)
        >>> [row["relation"] for row in proof.rows], len(proof.figure["x"])
        (['<', '<', '<'], 9)
    """
    train, test = data.load("digits", "train"), data.load("digits", "test")
    with torch.enable_grad():
        with seeded(seed):
            plain = Autoencoder(train.event, latent_dim=16, hidden=(256, 128), activation="silu")
        fit(plain, train.x, steps=steps, lr=4e-3, batch_size=128, cosine=True, seed=seed)
        with seeded(seed):
            vae = model(train.event, latent_dim=16, hidden=(256, 128), activation="silu")
        fit(vae, train.x, steps=steps, lr=4e-3, batch_size=128, cosine=True, seed=seed)
    reference = train.x.flatten(1) / 16
    g = generator(seed, 3)
    a, b = torch.randperm(len(test), generator=g), torch.randperm(len(test), generator=g)
    paths = {
        name: _path(coded, test.x[a], test.x[b], reference)
        for name, coded in (("autoencoder", plain), ("VAE", vae))
    }
    random = {
        name: _random(coded, train.x, reference, seed)
        for name, coded in (("autoencoder", plain), ("VAE", vae))
    }
    inside = slice(1, -1)
    rows = [
        below(
            "mean nearest-neighbor distance along paths: the VAE's, part of the autoencoder's",
            paths["VAE"][inside].mean() / paths["autoencoder"][inside].mean(),
            0.97,
        ),
        below(
            "mean nearest-neighbor distance of random codes: the VAE's, part of the autoencoder's",
            random["VAE"] / random["autoencoder"],
            0.9,
        ),
        below(
            "rise along the path, middle over ends: the VAE's, part of the autoencoder's",
            _rise(paths["VAE"]) / _rise(paths["autoencoder"]),
            0.97,
        ),
    ]
    figure = {"x": _STEPS} | {f"nearest-neighbor distance, {k}": v for k, v in paths.items()}
    title = "An autoencoder's codes do not interpolate"
    return Proof("autoencoder-latent", title, _STATEMENT, rows, figure)


class _Coded(Encodes, Decodes, Protocol):
    pass


def _path(model: _Coded, a: Tensor, b: Tensor, reference: Tensor) -> Tensor:
    """Mean distance to the nearest training digit at each step of the paths."""
    start, end = model.encode(a), model.encode(b)
    decoded = [model.decode(torch.lerp(start, end, float(t))) for t in _STEPS]
    return torch.stack([_nearest(x, reference) for x in decoded])


def _rise(path: Tensor) -> Tensor:
    return path[len(path) // 2] / path[[0, -1]].mean()


def _random(model: _Coded, x: Tensor, reference: Tensor, seed: int) -> Tensor:
    """The same for codes drawn from a Gaussian with the moments of the training codes."""
    z = model.encode(x)
    root = torch.linalg.cholesky(torch.cov(z.T))
    noise = torch.randn(500, z.shape[1], generator=generator(seed, 4))
    return _nearest(model.decode(z.mean(0) + torch.matmul(noise, root.T)), reference)


def _nearest(x: Tensor, reference: Tensor) -> Tensor:
    return torch.cdist(x.flatten(1) / 16, reference).amin(1).mean()


class _WithoutKL(VAE):
    def objective(self, reconstruction: Tensor, kl: Tensor) -> Tensor:
        """Nothing is charged for where the codes lie."""
        return reconstruction


WRONG = Wrong(
    "max E_q log p(x|z), without - KL(q(z|x) || p(z)): the codes are left free again",
    {"model": _WithoutKL},
)

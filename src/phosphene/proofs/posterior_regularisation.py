"""What the two terms of the bound do to the latents: one gathers, the other fills in.

The bound is Kingma and Welling's (2014), the weight beta on its KL Higgins et al.'s (2017).
"""

import torch
from torch import Tensor

from phosphene import data
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoencoder.beta_vae import BetaVAE
from phosphene.proofs.fitting import fit
from phosphene.proofs.proof import Proof, Wrong, above, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "Reconstruction puts similar examples near each other; the KL term makes the averaged "
    "posterior q(z) = E_x q(z|x) fill the prior without holes. So the kernel distance "
    "MMD(q(z), N(0, I)) at beta = 1 < MMD at beta = 0, while a latent's nearest neighbors have "
    "its class in both."
)


@torch.no_grad()
def prove(seed: int = 0, steps: int = 600, *, model: type[BetaVAE] = BetaVAE) -> Proof:
    """Train a VAE on the 8x8 digits with beta = 0 and beta = 1, everything else equal.

    Kingma and Welling (2014); the weight beta: Higgins et al. (2017).

    Args:
        seed: Seeds the weights, the batches and the draws.
        steps: Steps of training.
        model: The VAE with a weight on its KL.

    Example:
        >>> proof = prove(steps=2)
        >>> len(proof.rows), proof.figure["z, beta = 1"].shape
        (4, torch.Size([1297, 2]))
    """
    train, test = data.load("digits", "train"), data.load("digits", "test")
    assert train.y is not None
    assert test.y is not None
    distance, accuracy, figure = {}, {}, {}
    for beta in (0.0, 1.0):
        with seeded(seed), torch.enable_grad():
            vae = model(train.event, beta=beta, latent_dim=2, hidden=(128, 64), activation="silu")
            fit(vae, train.x, steps=steps, lr=4e-3, batch_size=128, cosine=True, seed=seed)
        mu, logvar = vae.posterior(train.x)
        g = generator(seed, 5)
        z = mu + torch.exp(0.5 * logvar) * torch.randn(mu.shape, generator=g)
        distance[beta] = _mmd(z, torch.randn(z.shape, generator=g))
        accuracy[beta] = _neighbor_accuracy(vae.encode(test.x), test.y, mu, train.y)
        figure[f"z, beta = {beta:g}"] = z
    rows = [
        below("MMD^2 of q(z) to N(0, I): beta = 1, against beta = 0", distance[1.0], distance[0.0]),
        below("MMD^2 of q(z) to N(0, I) at beta = 1", distance[1.0], 0.05),
        above("accuracy of the nearest latents' class, beta = 0 (chance 0.1)", accuracy[0.0], 0.6),
        above("accuracy of the nearest latents' class, beta = 1 (chance 0.1)", accuracy[1.0], 0.6),
    ]
    title = "Reconstruction clusters, the KL fills in"
    return Proof("posterior-regularisation", title, _STATEMENT, rows, {**figure, "y": train.y})


def _mmd(x: Tensor, y: Tensor) -> float:
    """Unbiased squared maximum mean discrepancy (Gretton et al., 2012).

    The kernel is the mean of Gaussians of widths 1/2, 1, 2 and 4: the prior's own scale, halved
    and doubled. Its largest value is 1, so the distance is at most 2.
    """
    widths = (0.5, 1.0, 2.0, 4.0)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        squares = torch.cdist(a, b).square()
        return torch.stack([torch.exp(-squares / (2 * w * w)) for w in widths]).mean(0)

    def within(a: Tensor) -> Tensor:
        n = len(a)
        return (kernel(a, a).sum() - n) / (n * (n - 1))

    return float(within(x) + within(y) - 2 * kernel(x, y).mean())


def _neighbor_accuracy(z: Tensor, y: Tensor, known_z: Tensor, known_y: Tensor) -> float:
    """How often the majority of the five nearest known latents has the right class."""
    nearest = torch.cdist(z, known_z).topk(5, largest=False).indices
    return float((known_y[nearest].mode(1).values == y).float().mean())


class _WithoutKL(BetaVAE):
    def objective(self, reconstruction: Tensor, kl: Tensor) -> Tensor:
        """Nothing is charged for, whatever beta is."""
        return reconstruction


WRONG = Wrong(
    "max E_q log p(x|z), without - beta KL(q(z|x) || p(z))",
    {"model": _WithoutKL},
)

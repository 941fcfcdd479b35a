"""The optimal linear autoencoder is PCA, up to a change of basis of its code."""

import torch
from torch import Tensor

from phosphene import data
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoencoder.linear_autoencoder import LinearAutoencoder, principal_angles
from phosphene.proofs.fitting import fit
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "min E|x - m - W2 W1 (x - m)|^2 = sum of the eigenvalues of Cov(x) beyond the k-th, reached "
    "where W2 spans the top k eigenvectors (Baldi and Hornik, 1989). Only the span is PCA's; with "
    "the penalty l2 (|W1|^2 + |W2|^2) the axes are too, with singular values "
    "s_i^2 = 1 - l2 / lambda_i (Kunin et al., 2019)."
)


def prove(
    seed: int = 0, k: int = 8, *, model: type[LinearAutoencoder] = LinearAutoencoder
) -> Proof:
    """Train on the 8x8 digits by L-BFGS, and compare with the eigendecomposition.

    Baldi and Hornik (1989); the axes under a penalty: Kunin, Bloom, Goeva and Seed (2019).

    Args:
        seed: Seeds the weights and the Gaussian data.
        k: Size of the code.
        model: The autoencoder.

    Example:
        >>> [row["holds"] for row in prove(k=2).rows[:2]]
        [True, True]
    """
    digits = data.load("digits", "train")
    x = digits.x.double()
    values, vectors = _eigen(x.flatten(1) / 16)
    found = _trained(model, digits.event, x, k, 0.0, seed, steps=12)
    rows = [
        equal(
            f"squared error with k = {k}, against the discarded eigenvalues",
            float(found.squared_error(x).detach().mean()),
            float(values[k:].sum()),
            1e-4 * float(values[k:].sum()),
        ),
        below(
            "largest principal angle to PCA's span, radians",
            float(principal_angles(found.subspace(), vectors[:, :k]).max()),
            1e-3,
        ),
    ]

    # Axes: on correlated Gaussian data, where neighboring eigenvalues are well apart.
    y = _correlated(seed)
    lambdas, axes = _eigen(y)
    free = _trained(model, Event.real(10), y, 3, 0.0, seed, steps=6)
    ridge = _trained(model, Event.real(10), y, 3, 0.2, seed, steps=15)
    rows += [
        above("largest angle of an unpenalized axis to its eigenvector", _tilt(free, axes), 0.05),
        below("largest angle of a penalized axis to its eigenvector", _tilt(ridge, axes), 1e-3),
        below(
            "largest error of s_i^2 = 1 - l2 / lambda_i",
            float((ridge.axes()[1].square() - (1 - 0.2 / lambdas[:3])).abs().max()),
            1e-4,
        ),
    ]
    kept = torch.tensor([float(values[i:].sum()) for i in range(33)])
    figure = {"x": torch.arange(33), "PCA's error with k components": kept}
    return Proof(
        "linear-autoencoder-is-pca", "A linear autoencoder is PCA", _STATEMENT, rows, figure
    )


def _trained(
    kind: type[LinearAutoencoder],
    event: Event,
    x: Tensor,
    k: int,
    l2: float,
    seed: int,
    steps: int,
) -> LinearAutoencoder:
    with seeded(seed):
        model = kind(event, latent_dim=k, l2=l2, optimizer="lbfgs").double()
    fit(model, x, steps=steps)
    return model


def _eigen(x: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, descending, and eigenvectors of the covariance (1/n)."""
    values, vectors = torch.linalg.eigh(torch.cov(x.T, correction=0))
    return values.flip(0), vectors.flip(1)


def _correlated(seed: int) -> Tensor:
    g = generator(seed, 1)
    basis = torch.linalg.qr(torch.randn(10, 10, generator=g, dtype=torch.float64))[0]
    scales = torch.linspace(2.5, 0.3, 10, dtype=torch.float64)
    noise = torch.randn(500, 10, generator=g, dtype=torch.float64)
    return torch.matmul(noise * scales, basis.T) + 1


def _tilt(model: LinearAutoencoder, vectors: Tensor) -> float:
    """The largest angle between a left singular vector of the decoder and its eigenvector."""
    u, _ = model.axes()
    pairs = zip(u.T, vectors.T[: u.shape[1]], strict=True)
    return max(float(principal_angles(a[:, None], b[:, None])) for a, b in pairs)


class _Uncentered(LinearAutoencoder):
    def _error(self, x: Tensor) -> Tensor:
        u = self._unit(x)
        return (u - u @ self.W1.T @ self.W2.T).square().sum(1)


WRONG = Wrong(
    "E|x - W2 W1 x|^2: the mean m is not taken away first",
    {"model": _Uncentered},
)

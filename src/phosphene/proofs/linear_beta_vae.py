"""The optimum of a linear beta-VAE: beta is a threshold on the eigenvalues.

With z ~ N(0, I), x | z ~ N(W z, s2 I) and q(z|x) = N(V x, diag v), everything in the objective is
a Gaussian expectation, so it is trained here without any sampling:

    E|x - W V x|^2 + tr(W diag(v) W^T)
    ---------------------------------- + beta KL
                  2 s2
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.nn.gaussian import kl_to_standard
from phosphene.proofs.proof import Proof, Row, Wrong, below, equal

__all__ = ["WRONG", "optimum", "prove"]

_STATEMENT = (
    "max_W,q E_q log N(x; W z, s2 I) - beta KL(q || N(0, I)) has singular values "
    "s_i(W)^2 = max(lambda_i - beta s2, 0), lambda the eigenvalues of Cov(x), and a mean KL of "
    "sum_i max(log(lambda_i / (beta s2)), 0) / 2: a direction is used only if lambda_i > beta s2. "
    "beta = 1 is the probabilistic PCA of Tipping and Bishop (1999)."
)


def optimum(eigenvalues: Tensor, beta: float, s2: float) -> tuple[Tensor, Tensor]:
    """The squared singular values of the best W, and the mean KL in nats, by direction.

    Args:
        eigenvalues: Of Cov(x) (d,).
        beta: Weight of the KL.
        s2: Variance of x given z.

    Returns:
        max(lambda - beta s2, 0) and max(log(lambda / (beta s2)), 0) / 2, each (d,).

    Example:
        >>> optimum(torch.tensor([4.0, 1.0]), 2.0, 1.0)
        (tensor([2., 0.]), tensor([0.3466, 0.0000]))
    """
    noise = beta * s2
    return (eigenvalues - noise).clamp(min=0), 0.5 * (eigenvalues / noise).log().clamp(min=0)


def prove(
    seed: int = 0,
    betas: Sequence[float] = (0.5, 1.0, 2.0, 5.0),
    *,
    best: Callable[[Tensor, float, float], tuple[Tensor, Tensor]] = optimum,
) -> Proof:
    """Train at beta = 1/2, 1, 2, 5 and compare singular values, active units and KL.

    Higgins et al. (2017) for beta; Tipping and Bishop (1999) for the optimum at beta = 1, of which
    the others follow by writing beta s2 for the noise that the encoder reckons with.

    Args:
        seed: Seeds the data's axes and the weights.
        betas: The weights of the KL to train with.
        best: The optimum, of the eigenvalues, beta and s2.

    Example:
        >>> prove(betas=(2.0,)).holds
        True
    """
    s2 = 0.25
    lambdas = torch.tensor([4.0, 2.0, 1.0, 0.7, 0.4, 0.1], dtype=torch.float64)
    g = generator(seed)
    basis = torch.linalg.qr(torch.randn(6, 6, generator=g, dtype=torch.float64))[0]
    covariance = basis * lambdas @ basis.T
    rows: list[Row] = []
    for beta in betas:
        W, kl = _train(covariance, beta, s2, g)
        found = torch.linalg.svdvals(W).square()
        expected, rate = best(lambdas, beta, s2)
        rows += [
            below(
                f"beta = {beta:g}: worst |s_i^2 - max(lambda_i - beta s2, 0)|",
                (found - expected).abs().max(),
                1e-4,
            ),
            equal(
                f"beta = {beta:g}: active units",
                int((found > 1e-2).sum()),
                int((expected > 0).sum()),
                0,
            ),
            equal(f"beta = {beta:g}: mean KL in nats", kl, rate.sum(), 1e-4),
        ]
    grid = torch.linspace(0.2, 8, 79, dtype=torch.float64)
    figure = {"x": grid} | {
        f"s^2 of the direction with lambda = {float(v):g}": (v - grid * s2).clamp(min=0)
        for v in lambdas
    }
    return Proof("linear-beta-vae", "The linear beta-VAE's optimum", _STATEMENT, rows, figure)


def _train(covariance: Tensor, beta: float, s2: float, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """The trained decoder (d, d) and the mean KL, by L-BFGS on the exact objective."""
    d = len(covariance)
    W = (torch.randn(d, d, generator=g, dtype=torch.float64) / d).requires_grad_()
    V = (torch.randn(d, d, generator=g, dtype=torch.float64) / d).requires_grad_()
    logvar = torch.zeros(d, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [W, V, logvar],
        max_iter=2000,
        history_size=50,
        tolerance_grad=1e-9,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def mean_kl() -> Tensor:
        # E mu^2 is the diagonal of V C V^T, and kl_to_standard is linear in mu^2.
        power = torch.einsum("ij,jk,ik->i", V, covariance, V)
        return kl_to_standard(torch.zeros_like(logvar), logvar).sum() + 0.5 * power.sum()

    def closure() -> Tensor:
        optimizer.zero_grad()
        residual = torch.eye(d, dtype=torch.float64) - W @ V
        error = torch.einsum("ij,jk,ik->", residual, covariance, residual)
        spread = (W.square() * logvar.exp()).sum()
        total = (error + spread) / (2 * s2) + beta * mean_kl()
        total.backward()
        return total.detach()

    optimizer.step(closure)
    return W.detach(), mean_kl().detach()


WRONG = Wrong(
    "s_i(W)^2 = max(lambda_i - s2, 0): probabilistic PCA's optimum whatever beta is",
    {"best": lambda eigenvalues, beta, s2: optimum(eigenvalues, 1.0, s2)},
)

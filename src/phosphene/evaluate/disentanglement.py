"""Disentanglement scores of codes against true factors: MIG, DCI, SAP.

All three ask whether each factor is held by one code dimension of its own. They want codes (n, d)
and whole-numbered factors (n, f).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator
from phosphene.evaluate.score import Score

__all__ = [
    "DCI",
    "dci",
    "disentanglement",
    "lasso",
    "mutual_information",
    "mutual_information_gap",
    "separated_attribute_predictability",
]


def _check(codes: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    if len(codes) != len(factors) or codes.ndim != 2 or factors.ndim != 2:
        raise ConfigError(
            f"codes (n, d) and factors (n, f) must agree in n, got {tuple(codes.shape)} "
            f"and {tuple(factors.shape)}"
        )
    if codes.shape[1] < 2:
        raise ConfigError("disentanglement scores need codes of at least 2 dimensions")
    codes = codes.detach().cpu().double()
    if not bool(torch.isfinite(codes).all()):
        raise ConfigError("the codes hold NaN or infinite values")
    moving = (factors != factors[:1]).any(0)
    if not bool(moving.any()):
        raise ConfigError("no factor takes more than one value")
    return codes, factors.cpu()[:, moving]


def _levels(column: Tensor) -> Tensor:
    """Values renumbered 0, 1, ... in their order."""
    levels: Tensor = column.unique(return_inverse=True)[1]
    return levels


def _binned(codes: Tensor, bins: int) -> Tensor:
    """Codes (n, d) to the numbers of ``bins`` equally wide intervals between extremes."""
    low, high = codes.min(0).values, codes.max(0).values
    scaled = (codes - low) / (high - low).clamp(min=1e-300) * bins
    return scaled.long().clamp(0, bins - 1)


def _entropy(counts: Tensor) -> Tensor:
    p = counts.double() / counts.sum()
    return -torch.xlogy(p, p).sum()


def mutual_information(a: Tensor, b: Tensor) -> float:
    """Mutual information in nats of two columns of whole numbers (n,), from their counts.

    Example:
        >>> a = torch.tensor([0, 0, 1, 1])
        >>> round(mutual_information(a, a), 4), mutual_information(a, torch.tensor([0, 1, 0, 1]))
        (0.6931, 0.0)
    """
    a, b = _levels(a), _levels(b)
    width = int(b.max()) + 1
    joint = torch.bincount(a * width + b, minlength=(int(a.max()) + 1) * width).view(-1, width)
    nats = _entropy(joint.sum(1)) + _entropy(joint.sum(0)) - _entropy(joint.flatten())
    return max(0.0, float(nats))


def mutual_information_gap(codes: Tensor, factors: Tensor, *, bins: int = 20) -> float:
    r"""Mutual information gap (Chen et al., 2018).

    .. math:: \frac1F \sum_f \frac{I(z_{(1)}; v_f) - I(z_{(2)}; v_f)}{H(v_f)}

    where (1) and (2) are the two dimensions that know most about the factor.

    Args:
        codes: Codes (n, d).
        factors: Factors (n, f), whole numbers.
        bins: Equally wide intervals that each code dimension is cut into.
    """
    codes, factors = _check(codes, factors)
    binned = _binned(codes, bins)
    gaps = []
    for factor in factors.T:
        information = torch.tensor([mutual_information(z, factor) for z in binned.T])
        best, second = information.sort(descending=True).values[:2]
        gaps.append(float(best - second) / float(_entropy(torch.bincount(_levels(factor)))))
    return sum(gaps) / len(gaps)


def lasso(x: Tensor, y: Tensor, alpha: float, *, sweeps: int = 1000, tol: float = 1e-10) -> Tensor:
    r"""Weights (d,) that minimize the lasso (Tibshirani, 1996), by coordinate descent.

    .. math:: \frac1{2n} |y - X w|^2 + \alpha |w|_1

    Args:
        x: Centred predictors (n, d).
        y: Centred target (n,).
        alpha: The strength of the penalty.
        sweeps: The most passes over coordinates.
        tol: Stop when no weight moves by more.
    """
    n = len(x)
    gram, target = (x.T @ x / n).tolist(), (x.T @ y / n).tolist()
    w = [0.0] * len(target)
    for _ in range(sweeps):
        moved = 0.0
        for j, row in enumerate(gram):
            if row[j] == 0:
                continue
            rho = target[j] - sum(g * v for g, v in zip(row, w, strict=True)) + row[j] * w[j]
            shrunk = max(abs(rho) - alpha, 0.0) / row[j]
            new = shrunk if rho > 0 else -shrunk
            moved, w[j] = max(moved, abs(new - w[j])), new
        if moved < tol:
            break
    return torch.tensor(w, dtype=torch.float64)


@dataclass(frozen=True)
class DCI:
    """Disentanglement, completeness and informativeness, each in [0, 1], 1 best.

    Args:
        disentanglement: Whether each dimension matters to one factor only.
        completeness: Whether each factor is held by one dimension only.
        informativeness: Mean R² of the factors' predictions on held-out examples, at least 0.
    """

    disentanglement: float
    completeness: float
    informativeness: float


def _one_minus_entropy(weights: Tensor) -> Tensor:
    """1 - H(p) / log k of rows of nonnegative weights (m, k); 0 for rows of zeros."""
    k = weights.shape[1]
    if k == 1:
        return torch.ones(len(weights), dtype=torch.float64)
    p = weights / weights.sum(1, keepdim=True).clamp(min=1e-300)
    concentration = 1 + torch.xlogy(p, p).sum(1) / torch.tensor(float(k)).double().log()
    return torch.where(weights.sum(1) > 0, concentration, 0.0)


def _explained(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], kept: Tensor) -> float:
    """R² on the second half of least squares on the kept codes, fitted on the first; at least 0."""
    (x_train, x_test), (y_train, y_test) = x, y
    if not bool(kept.any()):
        return 0.0
    w = torch.linalg.lstsq(x_train[:, kept], y_train[:, None], driver="gelsd").solution
    residual = (y_test - (x_test[:, kept] @ w)[:, 0]).square().sum()
    return max(0.0, 1 - float(residual / y_test.square().sum().clamp(min=1e-12)))


def dci(codes: Tensor, factors: Tensor, *, alpha: float | None = None, seed: int = 0) -> DCI:
    r"""Disentanglement, completeness, informativeness (Eastwood and Williams, 2018), by lasso.

    With R_{ij} the absolute weight of code i in the lasso that predicts factor j (everything
    standardized), D = \sum_i \rho_i (1 - H(R_{i\cdot})), \rho_i the share of code i in all of R,
    and C = mean_j (1 - H(R_{\cdot j})), entropies to the base of the number of their outcomes. The
    lasso is one of the two regressors of the paper; it reads factors as ordered numbers, so a
    factor that is held in a curved or unordered way counts as less informative. Informativeness is
    that of least squares on the codes that the lasso keeps, so that its shrinkage costs nothing.

    Args:
        codes: Codes (n, d).
        factors: Factors (n, f), whole numbers.
        alpha: The lasso's penalty; None for \sqrt{2 \log(2 d f / 0.001) / n}: correlations of noise
            all stay below it with probability 0.999, so that a random code scores 0. (One weight
            that noise let through would alone make a disentanglement of 1.)
        seed: Draws the half of the examples that informativeness is measured on.
    """
    codes, factors = _check(codes, factors)
    order = torch.randperm(len(codes), generator=generator(seed, 11))
    train, test = order[: (len(order) + 1) // 2], order[(len(order) + 1) // 2 :]
    if alpha is None:
        alpha = math.sqrt(2 * math.log(2000 * codes.shape[1] * factors.shape[1]) / len(train))

    def halves(v: Tensor) -> tuple[Tensor, Tensor]:
        mean, scale = v[train].mean(0), v[train].std(0).clamp(min=1e-12)
        return (v[train] - mean) / scale, (v[test] - mean) / scale

    x = halves(codes)
    weights, explained = [], []
    for factor in factors.double().T:
        y = halves(factor)
        w = lasso(x[0], y[0], alpha)
        weights.append(w.abs())
        explained.append(_explained(x, y, w != 0))
    importance = torch.stack(weights, 1)  # (d, f)
    share = importance.sum(1) / importance.sum().clamp(min=1e-300)
    return DCI(
        float((share * _one_minus_entropy(importance)).sum()),
        float(_one_minus_entropy(importance.T).mean()),
        sum(explained) / len(explained),
    )


def separated_attribute_predictability(codes: Tensor, factors: Tensor) -> float:
    """SAP: the gap between the two dimensions that predict a factor best, mean over factors.

    The score of a dimension for a factor is the squared correlation, the R² of a linear regression
    on that dimension alone (Kumar, Sattigeri and Balakrishnan, 2018).

    Args:
        codes: Codes (n, d).
        factors: Factors (n, f), whole numbers read as ordered.
    """
    codes, factors = _check(codes, factors)
    z, v = codes - codes.mean(0), factors.double() - factors.double().mean(0)
    norms = z.square().sum(0)[:, None] * v.square().sum(0)[None]
    squared = (z.T @ v).square() / norms.clamp(min=1e-300)
    top = squared.sort(0, descending=True).values
    return float((top[0] - top[1]).mean())


def disentanglement(codes: Tensor, factors: Tensor, *, seed: int = 0) -> dict[str, Score]:
    """MIG, DCI and SAP, each beside the floor that shuffled factors give.

    Args:
        codes: Codes (n, d).
        factors: Factors (n, f), whole numbers.
        seed: Draws halves and the shuffle.

    Raises:
        ConfigError: The shapes disagree, codes have one dimension or no factor moves.
    """
    kind = "against true factors"

    def scores(z: Tensor) -> dict[str, float]:
        parts = dci(z, factors, seed=seed)
        return {
            "mig": mutual_information_gap(z, factors),
            "dci_disentanglement": parts.disentanglement,
            "dci_completeness": parts.completeness,
            "dci_informativeness": parts.informativeness,
            "sap": separated_attribute_predictability(z, factors),
        }

    shuffled = codes[torch.randperm(len(codes), generator=generator(seed, 12))]
    floors = scores(shuffled)
    return {name: Score(v, kind, floor=floors[name]) for name, v in scores(codes).items()}

"""Evaluation metrics against the packages that a user would pick instead.

    python -m benchmarks.metrics [--quick] [--json FILE]

Both are given the same features, and both results are compared before anything is timed; how it
is timed stands in README.md here.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from benchmarks.common import Case, Row, arguments, run_all, write_json
from phosphene.core.rng import generator
from phosphene.evaluate.disentanglement import lasso, mutual_information
from phosphene.evaluate.distances import frechet_distance, kernel_distance
from phosphene.evaluate.moments import Moments
from phosphene.evaluate.neighbors import manifolds
from phosphene.evaluate.two_sample import logistic_regression

Numbers = list[float]


def compared(
    name: str,
    peer: str,
    theirs: Callable[[], Numbers],
    ours: Callable[[], Numbers],
    tolerance: float,
    rounds: int | None = None,
) -> Case:
    """Two ways to the same numbers; the tolerance is relative to the largest of them."""

    def check() -> float:
        a, b = np.array(theirs()), np.array(ours())
        difference = float(np.abs(a - b).max())
        scale = max(1e-12, float(np.abs(a).max()))
        assert difference <= tolerance * scale, f"{name}: {a} and {b} differ"
        return difference

    return Case(name, peer, check, lambda watch: theirs(), lambda watch: ours(), rounds)


def features(n: int, d: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    """Correlated features whose variances span three orders of magnitude, as a network's do."""
    x = torch.randn(n, d, generator=generator(seed), dtype=torch.float64)
    mix = torch.linalg.qr(torch.randn(d, d, generator=generator(9), dtype=torch.float64))[0]
    return (x * torch.logspace(0, -1.5, d, dtype=torch.float64)) @ mix + shift


def frechet(d: int) -> Iterator[Case]:
    a, b = Moments.of(features(4 * d, d, 0)), Moments.of(features(4 * d, d, 1, 0.01))
    s, t = a.covariance.numpy(), b.covariance.numpy()
    gap = float((a.mean - b.mean).square().sum())

    def scipy_way() -> Numbers:
        import scipy.linalg

        root = scipy.linalg.sqrtm(s @ t)
        return [gap + float(np.trace(s) + np.trace(t) - 2 * np.trace(root.real))]

    def torchmetrics_way() -> Numbers:
        from torchmetrics.image.fid import _compute_fid

        return [float(_compute_fid(a.mean, a.covariance, b.mean, b.covariance))]

    def ours() -> Numbers:
        return [frechet_distance(a, b)]

    yield compared(f"Frechet distance, d={d}, sqrtm", "scipy", scipy_way, ours, 1e-5)
    yield compared(
        f"Frechet distance, d={d}, eigvals", "torchmetrics", torchmetrics_way, ours, 1e-5
    )


def neighbors(n: int, d: int) -> Iterator[Case]:
    real, fake = features(n, d, 2).float(), features(n, d, 3, 0.02).float()
    names = ("precision", "recall", "density", "coverage")

    def theirs() -> Numbers:
        import contextlib
        import io

        import prdc

        with contextlib.redirect_stdout(io.StringIO()):
            values = prdc.compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)
        return [values[name] for name in names]

    def ours() -> Numbers:
        balls = manifolds(real, fake, k=5)
        return [float(getattr(balls, name).mean()) for name in names]

    name = f"precision, recall, density, coverage, N={n}, d={d}"
    yield compared(name, "prdc", theirs, ours, 1e-9, rounds=3 if n > 5000 else None)


def kernel(n: int, d: int) -> Iterator[Case]:
    x, y = features(n, d, 4), features(n, d, 5, 0.05)

    def theirs() -> Numbers:
        from torchmetrics.image.kid import poly_mmd

        return [float(poly_mmd(x, y))]

    def ours() -> Numbers:
        return [kernel_distance(x, y)[0]]

    yield compared(
        f"kernel distance (ours with its error), N={n}, d={d}", "torchmetrics", theirs, ours, 1e-6
    )


def learners(n: int, d: int) -> Iterator[Case]:
    x = torch.cat([features(n, d, 6), features(n, d, 7, 0.05)])
    x = (x - x.mean(0)) / x.std(0)
    y = torch.cat([torch.zeros(n), torch.ones(n)]).double()
    target = x[:, 0] + 0.5 * x[:, 1]
    target = (target - target.mean()) / target.std()

    def theirs() -> Numbers:
        from sklearn.linear_model import LogisticRegression

        fitted = LogisticRegression(C=1.0, max_iter=1000, tol=1e-6).fit(x.numpy(), y.numpy())
        return [*fitted.coef_[0], *fitted.intercept_]

    def their_lasso() -> Numbers:
        from sklearn.linear_model import Lasso

        fitted = Lasso(alpha=0.01, fit_intercept=False, tol=1e-8, max_iter=10_000)
        return list(fitted.fit(x[:, :16].numpy(), target.numpy()).coef_)

    yield compared(
        f"logistic regression of the two-sample test, N={2 * n}, d={d}",
        "scikit-learn",
        theirs,
        lambda: logistic_regression(x, y).tolist(),
        1e-3,
    )
    yield compared(
        f"lasso of DCI, N={2 * n}, d=16",
        "scikit-learn",
        their_lasso,
        lambda: lasso(x[:, :16], target, 0.01).tolist(),
        1e-3,
    )


def information(n: int) -> Iterator[Case]:
    a = torch.randint(20, (n,), generator=generator(8))
    b = (a + torch.randint(4, (n,), generator=generator(9))) % 10

    def theirs() -> Numbers:
        from sklearn.metrics import mutual_info_score

        return [float(mutual_info_score(a.numpy(), b.numpy()))]

    yield compared(
        f"mutual information of MIG, N={n}",
        "scikit-learn",
        theirs,
        lambda: [mutual_information(a, b)],
        1e-9,
    )


def cases(quick: bool) -> Iterator[Case]:
    for d in (64,) if quick else (64, 256, 512):
        yield from frechet(d)
    n = 500 if quick else 2000
    yield from neighbors(n, 64)
    if not quick:
        yield from neighbors(10_000, 64)
    yield from kernel(n // 2, 64)
    yield from learners(n // 2, 64)
    yield from information(n)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Run the benchmark's command line."""
    args = arguments("Evaluation metrics against their peers.", argv)
    torch.set_num_threads(1)
    rows = run_all(cases(args.quick), 3 if args.quick else 5)
    if args.json:
        write_json(rows, args.json)
    return rows


if __name__ == "__main__":
    main()

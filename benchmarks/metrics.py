"""Evaluation metrics against the packages that a user would pick instead.

    python -m benchmarks.metrics [--quick] [--json FILE]

Ours and the peer run in one process on the same features, in turns, each first in every other
turn, and the medians are printed: milliseconds of processor time on one thread, which other
programs on the machine disturb less than the clock on the wall. Both results are compared before
anything is timed. Rows where we are slower are printed too. A peer that is not installed is skipped
by name.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

# Before numpy and torch are imported: one thread for ours and for the peers.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# ruff: noqa: E402
import numpy as np
import torch

from phosphene.core.rng import generator
from phosphene.evaluate.disentanglement import lasso, mutual_information
from phosphene.evaluate.distances import frechet_distance, kernel_distance
from phosphene.evaluate.moments import Moments
from phosphene.evaluate.neighbors import manifolds
from phosphene.evaluate.two_sample import logistic_regression

Numbers = list[float]


@dataclass(frozen=True)
class Row:
    """One line of the table; ratio = peer / ours."""

    case: str
    peer: str
    version: str
    peer_ms: float
    ours_ms: float
    ratio: float
    max_difference: float


@dataclass(frozen=True)
class Case:
    """Two ways to the same numbers, and how nearly the same they must be (relative)."""

    name: str
    peer: str
    theirs: Callable[[], Numbers]
    ours: Callable[[], Numbers]
    tolerance: float


def milliseconds(function: Callable[[], Numbers]) -> float:
    start = time.process_time()
    function()
    return 1e3 * (time.process_time() - start)


def run(case: Case, repeats: int) -> Row:
    """Check that both agree, then time them in turns; the first calls have warmed both up."""
    theirs, ours = np.array(case.theirs()), np.array(case.ours())
    difference = float(np.abs(theirs - ours).max())
    scale = max(1e-12, float(np.abs(theirs).max()))
    assert difference <= case.tolerance * scale, f"{case.name}: {theirs} and {ours} differ"
    peer_times, our_times = [], []
    for turn in range(repeats):
        if turn % 2:
            our_times.append(milliseconds(case.ours))
        peer_times.append(milliseconds(case.theirs))
        if not turn % 2:
            our_times.append(milliseconds(case.ours))
    peer_ms, ours_ms = float(np.median(peer_times)), float(np.median(our_times))
    version = importlib.metadata.version(case.peer)
    ratio = peer_ms / ours_ms
    return Row(case.name, case.peer, version, peer_ms, ours_ms, ratio, difference)


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

    yield Case(f"Frechet distance, d={d}, sqrtm", "scipy", scipy_way, ours, 1e-5)
    yield Case(f"Frechet distance, d={d}, eigvals", "torchmetrics", torchmetrics_way, ours, 1e-5)


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

    yield Case(f"precision, recall, density, coverage, N={n}, d={d}", "prdc", theirs, ours, 1e-9)


def kernel(n: int, d: int) -> Iterator[Case]:
    x, y = features(n, d, 4), features(n, d, 5, 0.05)

    def theirs() -> Numbers:
        from torchmetrics.image.kid import poly_mmd

        return [float(poly_mmd(x, y))]

    def ours() -> Numbers:
        return [kernel_distance(x, y)[0]]

    yield Case(
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

    yield Case(
        f"logistic regression of the two-sample test, N={2 * n}, d={d}",
        "scikit-learn",
        theirs,
        lambda: logistic_regression(x, y).tolist(),
        1e-3,
    )
    yield Case(
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

    yield Case(
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


MODULES = {"scikit-learn": "sklearn"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Metrics against their peers.")
    parser.add_argument("--quick", action="store_true", help="small cases, few repeats")
    parser.add_argument("--json", metavar="FILE", help="write the table as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    skipped: set[str] = set()
    print(f"{'case':62} {'peer':22} {'peer ms':>9} {'ours ms':>9} {'ratio':>7} {'max diff':>9}")
    for case in cases(args.quick):
        if importlib.util.find_spec(MODULES.get(case.peer, case.peer)) is None:
            skipped.add(case.peer)
            continue
        row = run(case, 3 if args.quick or "10000" in case.name else 5)
        rows.append(row)
        peer = f"{row.peer} {row.version}"
        numbers = f"{row.peer_ms:9.2f} {row.ours_ms:9.2f} {row.ratio:6.2f}x"
        print(f"{row.case:62} {peer:22} {numbers} {row.max_difference:9.1e}", flush=True)
    for peer in sorted(skipped):
        print(f"skipped: {peer} is not installed (pip install -e '.[peers]')")
    if args.json:
        with open(args.json, "w") as file:
            json.dump([asdict(row) for row in rows], file, indent=2)


if __name__ == "__main__":
    main()

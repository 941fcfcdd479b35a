"""Log-densities of small tables: every flow by default, one Gaussian, a mixture, and zuko.

    python -m benchmarks.tables [--quick] [--json FILE] [--seconds 10] [--table wine]

Wine, breast cancer and diabetes (with its target) of scikit-learn: 178 to 569 rows of 11 to 30
columns. Of each seed 70 % of the rows train, 15 % choose the weights, the mixture's number of
components and the stop, and 15 % are scored: nats a row in the table's own units, more is better.
The recipes of the flows were chosen on other tables. Importing this module imports no peer.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev

import torch
from torch import Tensor

import phosphene as ph
from benchmarks.common import installed
from phosphene.core.event import Event
from phosphene.core.protocols import Density
from phosphene.core.rng import generator, seeded
from phosphene.data.dataset import Dataset

__all__ = ["FLOWS", "TABLES", "Found", "Split", "gaussian", "main", "mixture", "scores", "split"]

TABLES = ("wine", "breast cancer", "diabetes")
FLOWS = (
    "maf", "iaf", "realnvp", "nice", "neural-spline-flow", "planar-flow", "radial-flow",
    "sylvester-flow", "continuous-flow",
)  # fmt: skip
PEERS = ("MAF", "NSF")
_COMPONENTS = (1, 2, 3, 4, 6, 8)


@dataclass(frozen=True)
class Split:
    """Rows that train, that choose, and that are scored, each (n, D)."""

    train: Tensor
    validation: Tensor
    test: Tensor


@dataclass(frozen=True)
class Found:
    """One line: nats a row on the test rows of each seed."""

    table: str
    model: str
    nats: tuple[float, ...]

    def shown(self) -> str:
        """Mean and standard error over seeds."""
        error = stdev(self.nats) / math.sqrt(len(self.nats)) if len(self.nats) > 1 else math.nan
        return f"{self.table:14} {self.model:22} {mean(self.nats):9.2f}  +- {error:.2f}"


def rows_of(table: str) -> Tensor:
    """A table of scikit-learn's (n, D); diabetes has its target as the last column."""
    from sklearn import datasets

    if table == "diabetes":
        whole = datasets.load_diabetes(scaled=False)
        data, target = torch.as_tensor(whole.data), torch.as_tensor(whole.target)
        return torch.cat((data, target[:, None]), 1).double()
    load = {"wine": datasets.load_wine, "breast cancer": datasets.load_breast_cancer}[table]
    return torch.as_tensor(load().data).double()


def split(table: str, seed: int) -> Split:
    """The rows in an order drawn by the seed, cut at 70 % and 85 %."""
    x = rows_of(table)
    x = x[torch.randperm(len(x), generator=generator(seed, 21))].float()
    a, b = int(0.7 * len(x)), int(0.85 * len(x))
    return Split(x[:a], x[a:b], x[b:])


def _standardized(rows: Split) -> tuple[list[Tensor], float]:
    """All three in units of the training rows' deviation, and what that adds to a log-density."""
    wide = rows.train.double()
    mu, sigma = wide.mean(0), wide.std(0, correction=0)
    parts = [(x.double() - mu) / sigma for x in (rows.train, rows.validation, rows.test)]
    return parts, -float(sigma.log().sum())


def gaussian(rows: Split) -> float:
    """The Gaussian of the training rows' mean and covariance, without shrinkage."""
    (train, _, test), volume = _standardized(rows)
    covariance = train.T.cov(correction=0) + 1e-9 * torch.eye(train.shape[1])
    one = torch.distributions.MultivariateNormal(train.mean(0), covariance)
    return float(one.log_prob(test).mean()) + volume


def mixture(rows: Split) -> float:
    """scikit-learn's, the number of components chosen on the validation rows."""
    from sklearn.mixture import GaussianMixture

    (train, validation, test), volume = _standardized(rows)
    fitted = [
        GaussianMixture(k, random_state=0, reg_covar=1e-3).fit(train.numpy()) for k in _COMPONENTS
    ]
    best = max(fitted, key=lambda found: float(found.score(validation.numpy())))
    return float(best.score(test.numpy())) + volume


def ours(system: str, rows: Split, seed: int, seconds: float) -> float:
    """A flow by its default recipe; the weights that the validation rows prefer."""
    event = Event.real(rows.train.shape[1])
    train = Dataset(name="table", split="train", event=event, x=rows.train)
    told = Dataset(name="table", split="validation", event=event, x=rows.validation)
    with tempfile.TemporaryDirectory() as folder:
        model = ph.train(
            system, data=train, validation=told, budget=f"{seconds:g}s", seed=seed, folder=folder,
            threads=1, device="cpu",
        ).model.eval()  # fmt: skip
    with torch.no_grad():
        if isinstance(model, Density):
            return float(model.log_prob(rows.test).mean())
        return float(model.estimate_log_prob(rows.test)[0].mean())


def peer(name: str, rows: Split, seed: int, seconds: float) -> float:
    """A flow of zuko by its own defaults, for as long, by Adam on standardized rows."""
    import zuko

    parts, volume = _standardized(rows)
    train, validation, test = (part.float() for part in parts)
    with seeded(seed):
        flow = getattr(zuko.flows, name)(train.shape[1])
    optimizer, order = torch.optim.Adam(flow.parameters(), lr=1e-3), generator(seed)
    best, state, end, step = -math.inf, flow.state_dict(), time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        batch = train[torch.randperm(len(train), generator=order)[:256]]
        optimizer.zero_grad()
        (-flow().log_prob(batch).mean()).backward()
        optimizer.step()
        step += 1
        if step % 10 == 0:
            with torch.no_grad():
                score = float(flow().log_prob(validation).mean())
            if score > best:
                best, state = score, {k: v.clone() for k, v in flow.state_dict().items()}
    flow.load_state_dict(state)
    with torch.no_grad():
        return float(flow().log_prob(test).mean()) + volume


def scores(
    tables: Sequence[str], seeds: int, seconds: float, flows: Sequence[str] = FLOWS
) -> Iterator[Found]:
    """Every line, one table after another."""
    made: dict[str, Callable[[Split, int], float]] = {
        "one Gaussian": lambda rows, seed: gaussian(rows),
        "mixture of Gaussians": lambda rows, seed: mixture(rows),
    }
    for system in flows:
        made[system] = lambda rows, seed, system=system: ours(system, rows, seed, seconds)
    for name in PEERS if installed("zuko") else ():
        made[f"zuko {name}"] = lambda rows, seed, name=name: peer(name, rows, seed, seconds)
    for table in tables:
        for model, score in made.items():
            found = tuple(score(split(table, seed), seed) for seed in range(seeds))
            yield Found(table, model, found)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table as it grows; ``--quick`` is one seed of 2 seconds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed, 2 seconds each")
    parser.add_argument("--seconds", type=float, default=10.0, help="training of each flow")
    parser.add_argument("--table", action="append", choices=TABLES, help="only this one")
    parser.add_argument("--json", metavar="FILE", help="write the lines as JSON")
    told = parser.parse_args(argv)
    torch.set_num_threads(1)
    seeds, seconds = (1, 2.0) if told.quick else (3, told.seconds)
    found = []
    for line in scores(told.table or TABLES, seeds, seconds):
        found.append(line)
        print(line.shown(), flush=True)
    if told.json:
        Path(told.json).write_text(json.dumps([asdict(line) for line in found], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The small tables of the benchmark: their cuts, the Gaussian they are compared with, a line."""

import math

import pytest
import torch

from benchmarks.tables import TABLES, gaussian, scores, split

pytest.importorskip("sklearn")


@pytest.mark.parametrize("table", TABLES)
def test_rows_are_cut_once_and_anew_for_each_seed(table: str) -> None:
    parts = split(table, 0)
    sizes = [len(x) for x in (parts.train, parts.validation, parts.test)]
    assert sum(sizes) in (178, 569, 442)
    assert sizes[0] > 4 * sizes[1]
    assert not torch.equal(parts.test, split(table, 1).test)
    assert torch.equal(parts.test, split(table, 0).test)


def test_the_gaussian_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    rows = split("diabetes", 0)
    wide = rows.train.double()
    one = stats.multivariate_normal(wide.mean(0).numpy(), wide.T.cov(correction=0).numpy())
    expected = float(one.logpdf(rows.test.double().numpy()).mean())
    assert gaussian(rows) == pytest.approx(expected, abs=1e-3)


def test_a_default_is_scored_beside_it() -> None:
    lines = {line.model: line for line in scores(["wine"], 1, 1.0, flows=("maf",))}
    one, flow = lines["one Gaussian"].nats[0], lines["maf"].nats[0]
    assert math.isfinite(flow)
    assert flow > one - 1.0

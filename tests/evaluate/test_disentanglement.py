"""Disentanglement: axis-aligned codes score 1, rotated codes less, random codes 0."""

import math

import pytest
import torch

from phosphene.core.errors import ConfigError
from phosphene.evaluate.disentanglement import (
    dci,
    disentanglement,
    mutual_information_gap,
    separated_attribute_predictability,
)


@pytest.fixture(scope="module")
def factors():
    g = torch.Generator().manual_seed(0)
    return torch.stack([torch.randint(n, (3000,), generator=g) for n in (3, 5, 8)], 1)


def aligned(factors):
    """One code for each factor, in another order and scale, and two unused ones."""
    g = torch.Generator().manual_seed(1)
    unused = torch.randn(len(factors), 2, generator=g)
    return torch.cat([factors.flip(1).double() * torch.tensor([-3.0, 1.0, 0.2]), unused], 1)


def rotated(factors):
    z = (factors.double() - factors.double().mean(0)) / factors.double().std(0)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(4)))[0]
    return z @ turn.double()


def random(factors):
    return torch.randn(len(factors), 4, generator=torch.Generator().manual_seed(2))


def test_a_perfect_code_scores_one(factors):
    z = aligned(factors)
    assert mutual_information_gap(z, factors) > 0.95
    scores = dci(z, factors)
    assert scores.disentanglement > 0.95
    assert scores.completeness > 0.95
    assert scores.informativeness > 0.99
    assert separated_attribute_predictability(z, factors) > 0.95


def test_a_rotated_code_scores_less_though_it_knows_as_much(factors):
    z = rotated(factors)
    assert mutual_information_gap(z, factors) < 0.5
    scores = dci(z, factors)
    assert scores.disentanglement < 0.7
    assert scores.completeness < 0.7
    assert scores.informativeness > 0.99
    assert separated_attribute_predictability(z, factors) < 0.6


def test_a_random_code_scores_nothing(factors):
    z = random(factors)
    assert mutual_information_gap(z, factors) < 0.02
    scores = dci(z, factors)
    assert scores.disentanglement == scores.completeness == scores.informativeness == 0.0
    assert separated_attribute_predictability(z, factors) < 0.01


def test_mutual_information_gap_by_hand():
    # z0 = v exactly; z1 knows which half v is in: I = ln 4 and ln 2, H = ln 4.
    v = torch.arange(4).repeat(25)
    z = torch.stack([v, v // 2], 1).double()
    assert mutual_information_gap(z, v[:, None]) == pytest.approx(0.5)
    assert math.log(4) - math.log(2) == pytest.approx(0.5 * math.log(4))


def test_sap_by_hand():
    v = torch.tensor([[0], [0], [1], [1]])
    z = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    assert separated_attribute_predictability(z, v) == pytest.approx(1.0)


def test_scores_come_with_the_floor_of_shuffled_factors(factors):
    scores = disentanglement(aligned(factors), factors)
    assert set(scores) == {
        "mig", "dci_disentanglement", "dci_completeness", "dci_informativeness", "sap",
    }  # fmt: skip
    assert scores["mig"].floor < 0.02
    assert scores["dci_disentanglement"].floor == 0.0
    assert scores["mig"].value > 0.95
    assert scores == disentanglement(aligned(factors), factors)


def test_a_factor_that_never_moves_is_left_out(factors):
    still = torch.cat([factors, torch.zeros(len(factors), 1, dtype=torch.long)], 1)
    z = aligned(factors)
    assert mutual_information_gap(z, still) == mutual_information_gap(z, factors)


def test_a_dead_code_is_harmless(factors):
    z = torch.cat([aligned(factors), torch.full((len(factors), 1), 2.0)], 1)
    assert dci(z, factors).disentanglement > 0.95
    assert mutual_information_gap(z, factors) > 0.95


def test_bad_input(factors):
    with pytest.raises(ConfigError, match="must agree in n"):
        dci(torch.zeros(5, 2), factors)
    with pytest.raises(ConfigError, match="at least 2 dimensions"):
        dci(torch.zeros(len(factors), 1), factors)
    with pytest.raises(ConfigError, match="no factor takes more than one value"):
        dci(torch.zeros(5, 2), torch.ones(5, 2))
    with pytest.raises(ConfigError, match="NaN"):
        dci(torch.full((5, 2), math.nan), factors[:5])

"""Moments of data, and the maps between data and what networks see."""

import numpy as np
import pytest
import torch

from phosphene.core.moments import Moments, outgrows, restore, standardize

STAMPS = 1_700_000_000.0


def test_moments_are_numpys_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.RandomState(0).rand(1000, 3) * [1.0, 50.0, 1e-3] + [1e6, -7.0, 0.0]
    for block in (1, 7 * 3, 2**20):
        monkeypatch.setattr("phosphene.core.moments._BLOCK", block)
        m = Moments.of(torch.from_numpy(x))
        for found, true in ((m.mean, x.mean(0)), (m.std, x.std(0)), (m.low, x.min(0))):
            np.testing.assert_allclose(found.numpy(), true, rtol=1e-9)


def test_a_column_is_constant_only_if_it_never_varies() -> None:
    x = torch.zeros(1000, 3)
    x[999, 1], x[:, 2] = 1e-20, 5.0
    assert Moments.of(x).constant == [0, 2]
    assert Moments.of(x).units[0] == Moments.of(x).units[2] > 0


def test_pooled_moments_are_those_of_all_values_together() -> None:
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 5)
    whole = Moments.of(x.reshape(-1, 1))
    pooled = Moments.of(x).pooled
    for name in ("mean", "std", "low", "high"):
        torch.testing.assert_close(getattr(pooled, name), getattr(whole, name))


def test_what_lies_far_from_zero_keeps_its_resolution() -> None:
    shift, scale = torch.tensor([STAMPS], dtype=torch.float64), torch.tensor([30.0])
    x = shift + torch.arange(100.0, dtype=torch.float64)[:, None]
    y = standardize(x, shift, scale, torch.float32)
    assert y.dtype == torch.float32
    assert len(y.unique()) == 100
    back = restore(y, shift, scale)
    assert back.dtype == torch.float64
    assert float((back - x).abs().max()) < 1e-4
    assert bool(outgrows(shift, scale))
    near = torch.tensor([2.0], dtype=torch.float64)
    assert restore(y, near, scale).dtype == torch.float32

"""Temperature, top-k, nucleus and the uniform number."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator
from phosphene.nn.choosing import Choosing, choose

P = torch.tensor([0.0, 0.1, 0.45, 0.0, 0.25, 0.2, 0.0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_that_cannot_occur_do_not(dtype: torch.dtype) -> None:
    edge = 1.0 - torch.finfo(dtype).eps / 2
    u = torch.tensor([0.0, 0.2, 0.6, 0.85, edge], dtype=dtype)
    codes = choose(P.to(dtype).log().expand(5, -1), u, Choosing())
    assert codes.tolist() == [1, 2, 4, 5, 5]


@given(st.integers(2, 300), st.integers(0, 1000))
def test_the_last_code_is_never_passed(levels: int, seed: int) -> None:
    log_p = 4 * torch.randn(levels, generator=generator(seed))
    u = torch.tensor([0.0, 1.0 - 2.0**-24])
    codes = choose(log_p.expand(2, -1), u, Choosing())
    assert int(codes.min()) >= 0
    assert int(codes.max()) < levels


def test_frequencies_are_the_probabilities() -> None:
    n = 40_000
    u = (torch.arange(n) + 0.5) / n
    counts = torch.bincount(choose(P.log().expand(n, -1), u, Choosing()), minlength=7) / n
    assert float((counts - P).abs().max()) < 1e-4


def test_top_k_and_nucleus_cut_the_tail() -> None:
    u = torch.rand(2000, generator=generator(0))
    log_p = P.log().expand(2000, -1)
    assert set(choose(log_p, u, Choosing(top_k=2)).tolist()) == {2, 4}
    assert set(choose(log_p, u, Choosing(top_p=0.6)).tolist()) == {2, 4}
    assert set(choose(log_p, u, Choosing(top_p=0.4)).tolist()) == {2}
    assert set(choose(log_p, u, Choosing(top_k=100, top_p=1.0)).tolist()) == {1, 2, 4, 5}
    assert set(choose(log_p, u, Choosing(temperature=0.0)).tolist()) == {2}


def test_temperature_sharpens() -> None:
    u = (torch.arange(20_000) + 0.5) / 20_000
    codes = choose(P.log().expand(20_000, -1), u, Choosing(temperature=0.5))
    wanted = P.square() / P.square().sum()
    assert float((torch.bincount(codes, minlength=7) / 20_000 - wanted).abs().max()) < 1e-4


@pytest.mark.parametrize(
    "bad",
    [{"temperature": -0.1}, {"temperature": float("inf")}, {"temperature": float("nan")},
     {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}],
)  # fmt: skip
def test_bad_choices_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Choosing(**bad)  # type: ignore[arg-type]

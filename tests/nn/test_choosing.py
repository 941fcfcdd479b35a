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


# Each probability is a sum of powers of two, so that sums of them are exact: a nucleus that just
# reaches p is told from one that a hair is missing from.
EIGHTHS = torch.tensor([0.0625, 0.5, 0.0, 0.125, 0.25, 0.0625], dtype=torch.float64)


def kept(how: Choosing, p: torch.Tensor) -> torch.Tensor:
    """The probability with which each code is chosen, by a fine grid of uniform numbers."""
    n = 1 << 14
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return torch.bincount(choose(p.log().expand(n, -1), u, how), minlength=len(p)) / n


@pytest.mark.parametrize(
    ("how", "members"),
    [
        ({"top_p": 0.25}, {1}),
        ({"top_p": 0.5}, {1}),  # the likeliest alone just reaches it
        ({"top_p": 0.5001}, {1, 4}),
        ({"top_p": 0.75}, {1, 4}),
        ({"top_p": 0.7501}, {1, 4, 3}),
        ({"top_p": 0.875}, {1, 4, 3}),
        ({"top_p": 0.99}, {1, 4, 3, 0, 5}),
        ({"top_p": 1.0}, {1, 4, 3, 0, 5}),
        ({"top_k": 1}, {1}),
        ({"top_k": 2}, {1, 4}),
        ({"top_k": 3}, {1, 4, 3}),
        ({"top_k": 5}, {1, 4, 3, 0, 5}),
        ({"top_k": 6}, {1, 4, 3, 0, 5}),
        ({"top_k": 7}, {1, 4, 3, 0, 5}),
        # The nucleus is of what top-k has left: 4/7 of it, then 6/7.
        ({"top_k": 3, "top_p": 0.57}, {1}),
        ({"top_k": 3, "top_p": 0.58}, {1, 4}),
        ({"top_k": 3, "top_p": 0.86}, {1, 4, 3}),
    ],
)
def test_what_is_kept_and_how_often_exactly(how: dict[str, float], members: set[int]) -> None:
    wanted = torch.zeros_like(EIGHTHS)
    wanted[list(members)] = EIGHTHS[list(members)]
    wanted /= wanted.sum()
    assert float((kept(Choosing(**how), EIGHTHS) - wanted).abs().max()) < 1e-3  # type: ignore


@given(st.integers(2, 9), st.integers(0, 1000), st.floats(0.05, 0.95))
def test_the_nucleus_is_the_smallest_set_that_reaches_its_probability(
    levels: int, seed: int, reach: float
) -> None:
    p = torch.softmax(1.5 * torch.randn(levels, generator=generator(seed)).double(), 0)
    order = sorted(range(levels), key=lambda i: -float(p[i]))
    total, members = 0.0, []
    for i in order:
        members.append(i)
        total += float(p[i])
        if total >= reach:
            break
    for how in (Choosing(top_p=reach), Choosing(top_k=len(members))):
        wanted = torch.zeros_like(p)
        wanted[members] = p[members] / total
        assert float((kept(how, p) - wanted).abs().max()) < 1e-3


@pytest.mark.parametrize(
    "bad",
    [{"temperature": -0.1}, {"temperature": float("inf")}, {"temperature": float("nan")},
     {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}],
)  # fmt: skip
def test_bad_choices_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Choosing(**bad)  # type: ignore[arg-type]

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phosphene.core.batch import Batch, Noise
from phosphene.core.context import Context

KINDS = ("normal", "uniform")


def draw(noise: Noise, kind: str, shape: tuple[int, ...] = ()) -> torch.Tensor:
    value: torch.Tensor = getattr(noise, kind)(shape)
    return value


@given(
    st.integers(1, 400), st.integers(0, 400), st.sampled_from(KINDS), st.sampled_from([(), (3,)])
)
def test_slices_equal_the_whole(n: int, cut: int, kind: str, shape: tuple[int, ...]) -> None:
    cut = min(cut, n)
    key = (3, 11)
    whole, first, second = Noise(key, 0, n), Noise(key, 0, cut), Noise(key, cut, n - cut)
    for _ in range(3):
        parts = torch.cat([draw(first, kind, shape), draw(second, kind, shape)])
        assert torch.equal(draw(whole, kind, shape), parts)


@given(st.integers(1, 300), st.data())
def test_slices_of_slices_equal_the_whole(n: int, data: st.DataObject) -> None:
    a = data.draw(st.integers(0, n))
    b = data.draw(st.integers(a, n))
    c = data.draw(st.integers(0, b - a))
    x = torch.zeros(n, 2)
    whole, part = Batch.of(x, seed=5), Batch.of(x, seed=5)[a:b][c:]
    assert torch.equal(whole.normal((2,))[a + c : b], part.normal((2,)))
    assert torch.equal(whole.randint(7, (2,))[a + c : b], part.randint(7, (2,)))
    assert torch.equal(whole.index[a + c : b], part.index)


@given(st.integers(1, 300), st.integers(1, 300))
def test_a_row_does_not_depend_on_the_size_of_the_batch(n: int, m: int) -> None:
    small, large = Noise((0,), 0, min(n, m)), Noise((0,), 0, max(n, m))
    assert torch.equal(small.normal((2,)), large.normal((2,))[: min(n, m)])


@pytest.mark.parametrize("kind", KINDS)
def test_draws_steps_and_seeds_differ(kind: str) -> None:
    noise = Noise((1, 2), 0, 8)
    values = [draw(noise, kind), draw(noise, kind)]
    values += [draw(Noise(key, 0, 8), kind) for key in ((1, 3), (2, 2), (2, 1), (1,))]
    for i, one in enumerate(values):
        assert all(not torch.equal(one, other) for other in values[:i])
    assert len(draw(Noise((1, 2), 0, 300), kind).unique()) > 290, "blocks repeat each other"


def test_the_numbers_are_what_they_are_called() -> None:
    noise = Noise((0,), 0, 20_000)
    normal, uniform = noise.normal(()), noise.uniform(())
    assert abs(float(normal.mean())) < 4 / 20_000**0.5
    assert abs(float(normal.var()) - 1) < 4 * (2 / 20_000) ** 0.5
    assert abs(float(uniform.mean()) - 0.5) < 4 * (1 / 12 / 20_000) ** 0.5
    assert float(uniform.min()) >= 0
    assert float(uniform.max()) < 1
    whole = Batch.of(torch.zeros(20_000, 1)).randint(5, ())
    counts = torch.bincount(whole, minlength=5)
    assert len(counts) == 5
    assert float(((counts - 4000.0) ** 2 / 4000).sum()) < 25


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    batch = Batch.of(torch.zeros(3, 2))
    batch.normal((2,)), batch.uniform(()), batch.randint(3, ())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("start", [0, 5, 128, 130])
def test_no_rows_give_no_numbers(start: int) -> None:
    noise = Noise((0,), start, 0)
    assert noise.normal((3,)).shape == (0, 3)
    assert noise.uniform(()).shape == (0,)


def test_a_batch_cuts_all_its_parts() -> None:
    batch = Batch.of(torch.arange(6.0)[:, None], Context(label=torch.arange(6)))
    cut = batch[2:4]
    assert len(cut) == 2
    assert cut.x.flatten().tolist() == [2, 3]
    assert cut.index.tolist() == [2, 3]
    assert cut.context.label is not None
    assert cut.context.label.tolist() == [2, 3]
    assert len(batch[4:100]) == 2
    with pytest.raises(AssertionError, match="runs of rows"):
        batch[::2]


def test_moving_a_batch_keeps_its_noise() -> None:
    one, other = Batch.of(torch.zeros(3, 2)), Batch.of(torch.zeros(3, 2)).to("cpu")
    assert torch.equal(one.normal((2,)), other.normal((2,)))

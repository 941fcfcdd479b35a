import torch
from hypothesis import given
from hypothesis import strategies as st

from phosphene.core.rng import generator, mix, seeded


@given(st.lists(st.integers(-(2**70), 2**70), max_size=5))
def test_a_mix_is_a_seed(counters: list[int]) -> None:
    assert 0 <= mix(*counters) < 2**63
    assert mix(*counters) == mix(*counters)
    torch.Generator().manual_seed(mix(*counters))


def test_small_counters_never_collide() -> None:
    keys = [(a, b, c) for a in range(20) for b in range(40) for c in range(20)]
    keys += [(a, b) for a in range(20) for b in range(40)] + [(a,) for a in range(20)]
    assert len({mix(*key) for key in keys}) == len(keys)


def test_order_and_length_matter() -> None:
    assert len({mix(), mix(0), mix(0, 0), mix(0, 1), mix(1, 0), mix(1)}) == 6


def test_one_bit_in_changes_half_the_bits_out() -> None:
    flips = [
        bin(mix(k, 7) ^ mix(k ^ (1 << bit), 7)).count("1") for k in range(20) for bit in range(30)
    ]
    mean = sum(flips) / len(flips)
    assert abs(mean - 31.5) < 4 * (63 / 4 / len(flips)) ** 0.5 + 0.1


def test_generators_repeat() -> None:
    one, same, other = (torch.rand(4, generator=generator(*key)) for key in ((1, 2), (1, 2), (2,)))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_seeded_restores_the_global_generator() -> None:
    before = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(2)
    with seeded(3):
        assert torch.equal(first, torch.rand(2))
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_restores_after_an_error() -> None:
    before = torch.get_rng_state()
    try:
        with seeded(3):
            torch.rand(1)
            raise KeyError
    except KeyError:
        pass
    assert torch.equal(torch.get_rng_state(), before)

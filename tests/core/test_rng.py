from concurrent.futures import ThreadPoolExecutor

import torch
from hypothesis import given
from hypothesis import strategies as st

from phosphene.core.rng import generator, mix, seeded
from tests.helpers.meddler import Meddler


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


def test_threads_that_build_do_not_disturb_each_other() -> None:
    def built(seed: int) -> torch.Tensor:
        with seeded(seed):
            return torch.cat([torch.nn.Linear(3, 3).weight.detach() for _ in range(100)])

    alone = [built(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(built, list(range(4)) * 10))
    assert all(torch.equal(found, alone[k % 4]) for k, found in enumerate(together))


def test_numbers_are_those_of_the_global_generator() -> None:
    def draws() -> list[torch.Tensor]:
        x = torch.zeros(2, 3)
        return [
            torch.randn(2, 3), torch.rand(4), torch.randint(0, 9, (5,)), torch.randperm(6),
            torch.normal(0.0, 1.0, (2,)), torch.bernoulli(torch.full((4,), 0.5)),
            torch.multinomial(torch.ones(5), 3), torch.rand_like(x), torch.randn_like(x),
            torch.randint_like(x, 7), torch.randint_like(x, 3, 7), x.clone().uniform_(),
            x.clone().normal_(), x.clone().exponential_(), x.clone().bernoulli_(0.5),
            torch.nn.init.kaiming_uniform_(x.clone()), torch.nn.init.orthogonal_(x.clone()),
            torch.nn.init.trunc_normal_(x.clone()), torch.nn.GRU(2, 3).weight_ih_l0.detach(),
        ]  # fmt: skip

    torch.manual_seed(5)
    told = draws()
    with Meddler(), seeded(5):
        found = draws()
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(told, found, strict=True))


def test_a_generator_that_is_named_is_used() -> None:
    with seeded(5):
        found = torch.rand(3, generator=generator(1))
    assert torch.equal(found, torch.rand(3, generator=generator(1)))

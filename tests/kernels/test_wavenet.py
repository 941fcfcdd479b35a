"""WaveNet's kernel against its reference."""

import pytest
import torch

from phosphene.kernels.library import backend, forced
from phosphene.kernels.wavenet import (
    WavenetArrays,
    wavenet_reference,
    wavenet_sample,
    wavenet_usable,
)

pytestmark = pytest.mark.skipif(backend().library is None, reason=backend().why)


def arrays(
    n=0, dilations=(1, 2, 4, 1, 2), kernel=2, channels=12, skip=20, levels=17, dtype=torch.float64
):
    g = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype) * 0.4

    depth = len(dilations)
    rows = (n,) if n else ()
    return WavenetArrays(
        dilations, normal(depth, kernel, channels, 2 * channels),
        normal(*rows, depth, 2 * channels),
        normal(depth - 1, channels, channels), normal(depth * channels, skip), normal(skip),
        normal(skip, skip), normal(skip), normal(skip, levels), normal(levels),
        normal(levels, channels), normal(channels),
    )  # fmt: skip


def uniform(n, steps=30, dtype=torch.float64):
    return torch.rand(n, steps, generator=torch.Generator().manual_seed(1), dtype=dtype)


def agree(net, u, **options):
    assert wavenet_usable(net, u)
    assert torch.equal(wavenet_sample(net, u, **options), wavenet_reference(net, u, **options))


@pytest.mark.parametrize("n", [1, 4, 6])
@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("rows", [False, True])
def test_draws_are_those_of_the_reference(n, kernel, rows):
    agree(arrays(n if rows else 0, kernel=kernel), uniform(n))


@pytest.mark.parametrize("channels", [1, 16, 33])
@pytest.mark.parametrize("levels", [2, 256])
def test_sizes(channels, levels):
    agree(arrays(channels=channels, skip=channels + 5, levels=levels), uniform(5))


def test_one_layer_and_a_reach_beyond_the_sequence():
    agree(arrays(dilations=(1,)), uniform(2))
    agree(arrays(dilations=(1, 64, 128)), uniform(2))


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.5])
def test_temperature(temperature):
    agree(arrays(), uniform(3), temperature=temperature)


def test_known_codes_are_kept():
    given = (torch.randint(0, 17, (4, 30)).double(), torch.rand(4, 30) < 0.4)
    agree(arrays(), uniform(4), given=given)


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_every_build_draws_the_same(level):
    with forced(level) as found:
        if found.library is None:
            pytest.skip(found.why)
        agree(arrays(), uniform(5))


def test_float32_draws_nearly_always_the_same():
    net, u = arrays(dtype=torch.float32), uniform(40, dtype=torch.float32)
    same = (wavenet_sample(net, u) == wavenet_reference(net, u)).all(1)
    assert same.double().mean() > 0.9


def test_one_thread_and_two_give_the_same_bits():
    net, u = arrays(dtype=torch.float32), uniform(11, dtype=torch.float32)
    before, drawn = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            drawn.append(wavenet_sample(net, u))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*drawn)

"""The benchmark of masked flows at a tiny size: it compares before it times."""

import pytest
import torch

from benchmarks import masked_flows
from benchmarks.common import run_all
from phosphene.kernels.library import backend

TINY = masked_flows.Size(
    sampled=((6, 10, 3),), splines=((6, 10, 3),), trained=((6, 10, 3, 4),), rounds=1
)


@pytest.mark.parametrize("peer", masked_flows.PEERS)
def test_every_sampler_agrees(peer):
    pytest.importorskip(peer)
    cases = [case for case in masked_flows.sampling(TINY) if case.peer == peer]
    assert len(cases) == (2 if backend().library is None else 4)
    for row in run_all(cases, 1):
        assert row.max_difference < 2e-5


@pytest.mark.parametrize("spline", [False, True])
def test_losses_and_gradients_agree(spline):
    pytest.importorskip("zuko")
    pytest.importorskip("nflows")
    for case in masked_flows.training(TINY, spline=spline):
        assert case.check() < 1e-4


def test_another_answer_is_noticed():
    z = torch.randn(3, 6)
    case = masked_flows._sampled("", "zuko", torch.neg, lambda z: 0.01 - z, z, "auto", 1)
    with pytest.raises(AssertionError, match="differ"):
        case.check()

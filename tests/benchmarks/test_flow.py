"""The benchmark of flows at a tiny size: it compares before it times, and writes its JSON."""

import json

import pytest
import torch

from benchmarks import coupling_flows, flow, masked_flows, normflows_glow
from benchmarks.common import installed, run_all, write_json
from phosphene.nn.monotone import Affine
from phosphene.nn.spline import RationalQuadratic

MAKERS = {"zuko": coupling_flows.zuko_pair, "nflows": coupling_flows.nflows_pair}

TINY = flow.Size(
    masked=masked_flows.Size(
        sampled=((5, 8, 3),), splines=((5, 8, 3),), trained=((5, 8, 2, 6),), rounds=1, slow=1
    ),
    coupled=((5, 8, 3, 6),),
    glow=(),
    rounds=1,
    commands=1,
)  # fmt: skip


def test_every_case_agrees_and_is_written_as_json(tmp_path):
    rows = run_all(flow.cases(TINY), 1, ())
    write_json(rows, tmp_path / "rows.json")
    written = json.loads((tmp_path / "rows.json").read_text())
    names = [(row["case"], row["peer"]) for row in written]
    assert len(set(names)) == len(names)
    for row in written:
        assert row["max_difference"] < 1e-4
        assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ours_ms"])
    if installed("zuko"):
        assert any("RealNVP" in name for name, _ in names)
        assert any("spline coupling" in name for name, _ in names)


@pytest.mark.parametrize("peer", MAKERS)
@pytest.mark.parametrize("spline", [False, True], ids=["affine", "spline"])
def test_the_peers_weights_give_its_density_and_its_gradients(peer, spline):
    pytest.importorskip(peer)
    both = MAKERS[peer](7, 12, 4, spline=spline)
    x = 2 * torch.randn(40, 7, generator=torch.Generator().manual_seed(0))
    assert both.agreement(x) < 2e-5
    assert len(both.pairs) == len(list(both.flow.parameters())) == 4 * 6


@pytest.mark.parametrize("spline", [False, True], ids=["affine", "spline"])
def test_another_function_is_noticed(spline):
    pytest.importorskip("zuko")
    both = coupling_flows.zuko_pair(4, 8, 2, spline=spline)
    for coupling in both.flow.transform:
        coupling.monotone = RationalQuadratic(8, 5.0) if spline else Affine(1.0)
    with pytest.raises(AssertionError, match="differ"):
        both.agreement(torch.randn(40, 4, generator=torch.Generator().manual_seed(0)))


def test_another_weight_is_noticed():
    pytest.importorskip("zuko")
    both = coupling_flows.zuko_pair(4, 8, 2, spline=False)
    with torch.no_grad():
        both.pairs[0][0][0] += 0.1
    with pytest.raises(AssertionError, match="differ"):
        both.agreement(torch.randn(40, 4, generator=torch.Generator().manual_seed(0)))


def test_memory_is_measured_in_a_new_interpreter():
    small, large = "print(1024 * 1024)", "print('noise', 2 * 1024 * 1024)"
    (row,) = run_all([flow.peak_memory("peak", large, small, 1, "torch")], 1)
    assert (row.peer_ms, row.ours_ms, row.ratio) == pytest.approx((2048, 1024, 2))


def test_what_start_up_builds_can_be_built():
    for peer in filter(installed, flow.PEERS):
        names: dict[str, object] = {}
        exec(flow._BUILT[peer], names)
    exec(flow._READY, {})


def test_glow_agrees_with_normflows():
    pytest.importorskip("normflows")
    for case in normflows_glow.cases(((1, 1, 4, 2),), 1):
        assert case.check() < 1e-4

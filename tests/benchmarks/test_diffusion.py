"""The benchmark of diffusion at a tiny size: it compares before it times, and writes its JSON."""

import json
import time
from pathlib import Path

import pytest

from benchmarks import diffusion, diffusion_samplers, diffusion_schedulers
from benchmarks.common import Watch, installed, run_all, write_json
from phosphene.generative.diffusion.samplers.table import Table

TINY = diffusion.Size(steps=4, batches=(1,), whole=(2, 1), memory=(20, 2), rounds=1, slow=1)


def test_every_sampler_agrees_and_is_written_as_json(tmp_path):
    write_json(run_all(diffusion.cases(TINY, ("samplers", "whole")), 1), tmp_path / "rows.json")
    written = json.loads((tmp_path / "rows.json").read_text())
    names = [(row["case"], row["peer"]) for row in written]
    assert len(set(names)) == len(names)
    for row in written:
        assert row["max_difference"] < 1e-3
        assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ours_ms"])
    if installed("diffusers"):
        for peer in ("DDPM", "DDIM", "DPMSolverMultistep", "Heun", "FlowMatchEuler"):
            assert any(peer in name for name, _ in names)


def test_another_sampler_is_noticed():
    pytest.importorskip("diffusers")
    for sampler in diffusion_schedulers.samplers(5):
        assert diffusion_schedulers.agreement(sampler) < 1e-5
        last = sampler.table.rows[-2]._replace(data=sampler.table.rows[-2].data + 0.01)
        sampler.table = Table([*sampler.table.rows[:-2], last, sampler.table.rows[-1]])
        with pytest.raises(AssertionError, match="differ"):
            diffusion_schedulers.agreement(sampler)


def test_what_is_taken_off_a_time_is_timed_apart():
    watch = Watch()
    work = diffusion_schedulers.per_call(
        lambda: time.sleep(0.06), 2, 1, less=lambda: time.sleep(0.04)
    )
    work(watch)
    assert 0.005 < watch.wall < 0.02


@pytest.mark.parametrize("peer", diffusion_samplers.PEERS)
def test_the_peers_samples_are_ours(peer):
    if not installed(peer):
        pytest.skip(f"{peer} is not installed")
    for kind in diffusion_samplers._MADE[peer][1]:
        assert diffusion_samplers.largest_difference(peer, kind, 6) < 1e-9


KEPT = """
import torch
def sample(n):
    kept = [torch.zeros(n, 2**14) for _ in range(32)]
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no peaks to be read here")
def test_memory_is_what_sampling_takes_beyond_what_was_there():
    before = "import torch\nlarge = torch.zeros(64, 2**20)\ndel large\n"
    ours = before + diffusion._OURS
    (row,) = run_all([diffusion.growth("growth", KEPT, ours, 60, 16, 1, "torch")], 1)
    assert 31 < row.peer_ms < 40  # MiB
    assert row.ours_ms < 10


def test_the_peers_program_samples():
    if not installed("denoising-diffusion-pytorch"):
        pytest.skip("denoising-diffusion-pytorch is not installed")
    names: dict[str, object] = {}
    exec(diffusion._THEIRS.format(steps=3), names)
    assert names["sample"](2).shape == (2, 1, 28, 28)

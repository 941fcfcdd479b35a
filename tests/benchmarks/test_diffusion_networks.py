"""The benchmark of denoising networks at a tiny size: it compares before it times."""

import pytest
import torch

from benchmarks import diffusion_networks
from benchmarks.common import run_all
from benchmarks.diffusion_networks import Shape, Size

TINY = Shape(2, 8, (32, 64), 1, (1,), 2)


def test_every_case_agrees():
    pytest.importorskip("diffusers")
    rows = run_all(diffusion_networks.cases(Size(shapes=(TINY,), lucidrains=(16, 1))), 1)
    names = [row.case for row in rows]
    assert len(set(names)) == len(names) >= 6  # the peers', whose number of parameters is checked
    assert all(row.max_difference < 1e-5 for row in rows)


def test_another_weight_is_noticed():
    pytest.importorskip("diffusers")
    ours, peer = diffusion_networks._same_weights(TINY)
    with torch.no_grad():
        ours.decoder.attend[0].attention.qkv.weight[0] += 0.1
    x, time = diffusion_networks._data((2, 2, 8, 8))
    with pytest.raises(AssertionError, match="differ"):
        diffusion_networks._agreement(ours, peer, x, time)

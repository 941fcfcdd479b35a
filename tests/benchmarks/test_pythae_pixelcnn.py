"""The peer's PixelCNN inside ours: equal conditionals and equal draws, and not by accident."""

import pytest
import torch

pytest.importorskip("pythae")

from benchmarks.pythae_pixelcnn import difference, peer_of, transplant


@pytest.mark.parametrize("levels", [2, 5])
def test_the_peers_weights_give_its_conditionals_and_its_draws(levels):
    sampler = peer_of(5, levels, layers=3, kernel=3)
    ours = transplant(sampler.pixelcnn_model, 5, levels)
    assert difference(sampler, ours, n=4) < 1e-5


def test_other_weights_are_noticed():
    sampler = peer_of(5, 5, layers=2, kernel=3)
    ours = transplant(sampler.pixelcnn_model, 5, 5)
    with torch.no_grad():
        ours.blocks[0].conv.bias += 0.1
    with pytest.raises(AssertionError, match="conditionals differ"):
        difference(sampler, ours, n=2)

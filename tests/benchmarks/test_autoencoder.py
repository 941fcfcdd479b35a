"""The autoencoder benchmark at a tiny size: it compares before it times, and writes its JSON."""

import json

import pytest
import torch

from benchmarks import autoencoder
from benchmarks.common import run_all, write_json
from phosphene.core.event import Event
from phosphene.generative.autoencoder.vae import VAE

pytest.importorskip("pythae")

from benchmarks.agreement import particles_used, same_training
from benchmarks.pythae_models import copy_weights, like_ours, quiet

TINY = autoencoder.Size(
    data="digits-binary", examples=64, epochs=1, rounds=1, scored=2, decoded=8, learned=2
)


def test_every_case_agrees_with_the_peer_and_is_written_as_json(tmp_path):
    with quiet():
        rows = run_all(autoencoder.cases(TINY), 1, ["pythae"])
    write_json(rows, tmp_path / "rows.json")
    written = json.loads((tmp_path / "rows.json").read_text())
    assert len(written) == len({row["case"] for row in written}) >= 6
    for row in written:
        assert set(row) == {
            "case", "peer", "version", "peer_ms", "ours_ms", "ratio", "max_difference",
        }  # fmt: skip
        assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ours_ms"])
        assert row["max_difference"] < 1e-4


def test_start_up_is_measured_in_a_new_interpreter():
    case = autoencoder.start_up("nothing", ("-c", "pass"), ("-c", "pass"), 1)
    (row,) = run_all([case], 1, [])
    assert row.peer_ms > 1.0


def test_a_command_that_fails_is_not_a_time():
    case = autoencoder.start_up("failing", ("-c", "pass"), ("-c", "raise SystemExit(1)"), 1)
    with pytest.raises(Exception, match="exit status 1"):
        run_all([case], 1, [])


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_weights_of_another_model_are_noticed(network):
    x = torch.randint(0, 2, (8, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    ours = VAE(Event.image(1, 8, levels=2), hidden=(8, 16), latent_dim=2, network=network)
    peer = like_ours(ours)
    assert same_training(ours, peer, x) < 1e-5
    other = VAE(Event.image(1, 8, levels=2), hidden=(8, 16), latent_dim=2, network=network)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.agreement.copy_weights", lambda *args: copy_weights(other, peer))
        with pytest.raises(AssertionError, match="differ"):
            same_training(ours, peer, x)


def test_the_peer_counts_particles_in_whole_batches_and_we_do_not():
    """get_nll(n_samples=250, batch_size=100) draws 200; with n_samples=50 it draws 100."""
    x = torch.zeros(1, 9)
    ours = VAE(Event.binary(9), hidden=(8,), latent_dim=2)
    for asked, theirs in ((250, 200), (50, 100), (300, 300)):
        assert particles_used(ours, like_ours(ours), x, asked) == (theirs, asked)

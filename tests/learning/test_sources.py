"""Sources of known entropy rate: models come as near to it as they should, untrained ones do not.

Each training takes under a minute of one core; the numbers are of the test split.
"""

import pytest
import torch

import phosphene as ph
from phosphene.core.batch import Batch
from phosphene.core.rng import seeded
from phosphene.data.sources import source
from phosphene.generative.autoregressive.tcn import TCN
from phosphene.generative.autoregressive.transformer import Transformer
from phosphene.generative.autoregressive.wavenet import WaveNet
from phosphene.proofs.fitting import fit

WAVENET = {"layers": 3, "channels": 16, "skip": 32, "components": 2}
TCN_SETTINGS = {"channels": 64, "blocks": 2, "kernel": 2}
TRANSFORMER = {"width": 64, "depth": 2, "heads": 2}


def excess(model, data):
    """KL(source || model) in nats a value: exact up to the sample of the test split."""
    with torch.no_grad():
        gap = data.log_prob(data.x) - model.log_prob(data.x)
    return float(gap.mean()) / data.event.dimensions


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cls", "settings", "steps", "lr", "within"),
    [
        ("ar2", WaveNet, WAVENET, 300, 5e-3, 0.03),
        ("markov3", TCN, TCN_SETTINGS, 600, 5e-3, 0.01),
        ("markov3", Transformer, TRANSFORMER, 800, 3e-3, 0.01),
    ],
)
def test_model_comes_near_the_entropy_rate(name, cls, settings, steps, lr, within):
    train, test = ph.data.load(name, "train"), ph.data.load(name, "test")
    with seeded(0):
        model = cls(train.event, **settings)
    model.prepare(Batch.of(train.x[:256]))
    before = excess(model, test)
    fit(model, train.x, steps=steps, lr=lr, batch_size=32, cosine=True)
    after = excess(model, test)
    print(name, f"{before:.4f} -> {after:.5f} nats above {source(name).entropy_rate:.4f}")
    assert -0.002 < after < within
    assert before > 10 * within

"""A base with heavy tails models heavy tails better than a normal one: paired, over seeds."""

import math

import torch

import phosphene as ph
from phosphene.core.rng import seeded
from phosphene.generative.flow.realnvp import RealNVP
from phosphene.proofs.fitting import fit

SEEDS, STEPS = 5, 150


def nll(base: str, seed: int) -> torch.Tensor:
    """Nats of each test example, of flows that differ in nothing but their base."""
    train, test = ph.data.load("heavy-tails", "train"), ph.data.load("heavy-tails", "test")
    with seeded(seed):
        flow = RealNVP(train.event, layers=4, hidden=(32,), base=base)
    fit(flow, train.x, steps=STEPS, lr=5e-3, batch_size=256, cosine=True, seed=seed)
    with torch.no_grad():
        return -flow.log_prob(test.x)


def test_student_t_beats_normal():
    test = ph.data.load("heavy-tails", "test")
    entropy = -float(test.log_prob(test.x).mean())
    gains, heavy = [], []
    for seed in range(SEEDS):
        normal, student = nll("normal", seed), nll("student-t", seed)
        gains.append(float((normal - student).mean()))
        heavy.append(float(student.mean()))
    gain = torch.tensor(gains)
    error = float(gain.std()) / math.sqrt(SEEDS)
    print(f"gain {gain.mean():.3f} +- {error:.3f} nats, each {[round(g, 3) for g in gains]}")
    print(f"student-t {sum(heavy) / SEEDS:.3f}, entropy of the data {entropy:.3f} nats")
    assert min(gains) > 0
    assert float(gain.mean()) > 3 * error
    assert sum(heavy) / SEEDS < entropy + 0.15

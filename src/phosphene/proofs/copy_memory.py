"""Copy memory: symbols are repeated after a long pause (Hochreiter and Schmidhuber, 1997).

In the form of Bai, Kolter and Koltun (2018), whose temporal convolutional network is used.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers.temporal import TemporalNetwork
from phosphene.proofs.proof import Proof, Wrong, above, below, equal
from phosphene.proofs.undilated import Undilated

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "Ten of eight symbols come first, T blanks follow, then a sign to repeat the symbols. Without "
    "a memory the blanks are known and the ten symbols are guessed, 10 ln 8 / (T + 20) nats a "
    "step. A network that sees RF > T + 10 values back does better: loss < 10 ln 8 / (T + 20)."
)
BLANKS, SYMBOLS, SIGN = 100, 10, 9


def prove(
    seed: int = 0, steps: int = 2000, *, network: type[TemporalNetwork] = TemporalNetwork
) -> Proof:
    """Train a temporal convolutional network on fresh sequences, and test it on others.

    Args:
        seed: Seeds the weights and the sequences.
        steps: Batches of 32 sequences.
        network: What reads the sequences.

    Example:
        >>> proof = prove(steps=2)
        >>> proof.rows[0]["holds"], len(proof.figure["x"])  # it sees far enough
        (True, 2)
    """
    with seeded(seed):
        body = network(10, 24, blocks=6, kernel=2)
        readout = nn.Linear(24, 10)
    parameters = [*body.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=4e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def logits(x: Tensor) -> Tensor:
        rows = F.one_hot(x.reshape(-1), 10).float()
        out: Tensor = readout(body(rows, x.shape[1]))
        return out

    losses = []
    for step in range(steps):
        x, y = _sequences(32, generator(seed, 1, step))
        optimizer.zero_grad()
        loss = F.cross_entropy(logits(x), y.reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())

    x, y = _sequences(500, generator(seed, 2))
    with torch.no_grad():
        found = logits(x)
    guess = SYMBOLS * math.log(8) / (BLANKS + 2 * SYMBOLS)
    known = torch.zeros(10).index_fill(0, torch.arange(1, 9), 1 / 8).log().expand(SYMBOLS * 500, 10)
    guessed = F.cross_entropy(known, y[-SYMBOLS:].reshape(-1)) * SYMBOLS / len(y)
    recalled = (found.argmax(-1).view_as(y) == y)[-SYMBOLS:].float().mean()
    rows = [
        above("values that an output sees", body.receptive_field, BLANKS + SYMBOLS),
        equal("loss of guessing the ten symbols, 10 ln 8 / (T + 20)", guessed, guess, 1e-6),
        below(
            "loss of the network on 500 new sequences", F.cross_entropy(found, y.flatten()), guess
        ),
        above("symbols recalled (chance 1/8)", recalled, 0.5),
    ]
    figure = {"x": torch.arange(steps), "nats a step in training": torch.stack(losses)}
    return Proof("copy-memory", "Copy memory", _STATEMENT, rows, figure)


def _sequences(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs and what is asked for, each (T + 20, n): blanks are 0, symbols 1..8, the sign 9."""
    symbols = torch.randint(1, 9, (SYMBOLS, n), generator=g)
    blank = torch.zeros(BLANKS + 2 * SYMBOLS, n, dtype=torch.long)
    x, y = blank.clone(), blank.clone()
    x[:SYMBOLS], y[-SYMBOLS:] = symbols, symbols
    x[-SYMBOLS - 1 :] = SIGN
    return x, y


WRONG = Wrong(
    "dilations 1, 1, 1, ... in the place of 1, 2, 4, ...: RF = 1 + 2 (k - 1) B = 13 < T + 10 = 110",
    {"network": Undilated},
)

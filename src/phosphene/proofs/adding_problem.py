"""The adding problem: two numbers far apart are found and added (Hochreiter and Schmidhuber, 1997).

The network is the temporal convolutional network of Bai, Kolter and Koltun (2018).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers.temporal import TemporalNetwork
from phosphene.learning.recurrent.adding import adding_problem
from phosphene.proofs.proof import Proof, Wrong, above, below
from phosphene.proofs.undilated import Undilated

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "Of T = 200 numbers, uniform on [0, 1], two are marked; what is asked for is their sum. Saying "
    "1 has a mean squared error of 2 Var U = 1/6. A network that sees RF = 1 + 2 (k-1) (2^B - 1) "
    "values back can be right: error < 1e-3."
)
LENGTH = 200


def prove(
    seed: int = 0, steps: int = 3000, *, network: type[TemporalNetwork] = TemporalNetwork
) -> Proof:
    """Train a temporal convolutional network on fresh sequences, and test it on others.

    The error stays at 1/6 for some 500 steps, until the markers are found; in all it takes about
    a minute of one core.

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
        body = network(2, 24, blocks=6, kernel=3)
        readout = nn.Linear(24, 1)
    parameters = [*body.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=4e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def answer(x: Tensor) -> Tensor:
        n = x.shape[1]
        last: Tensor = readout(body.last(x.reshape(-1, 2), n))
        return last[:, 0]

    losses = []
    for step in range(steps):
        x, y = adding_problem(32, LENGTH, generator(seed, 1, step))
        optimizer.zero_grad()
        loss = F.mse_loss(answer(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())

    x, y = adding_problem(1000, LENGTH, generator(seed, 2))
    with torch.no_grad():
        error = F.mse_loss(answer(x), y)
    rows = [
        above("values that an answer sees", body.receptive_field, LENGTH),
        above("mean squared error of saying 1 (1/6)", F.mse_loss(torch.ones_like(y), y), 0.15),
        below("mean squared error of the network on 1,000 new sequences", error, 1e-3),
    ]
    figure = {"x": torch.arange(steps), "mean squared error in training": torch.stack(losses)}
    return Proof("adding-problem", "The adding problem", _STATEMENT, rows, figure)


WRONG = Wrong(
    "dilations 1, 1, 1, ... in the place of 1, 2, 4, ...: RF = 1 + 2 (k - 1) B = 25 < T = 200",
    {"network": Undilated},
)

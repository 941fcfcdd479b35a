"""Training feeds the truth and generation feeds its own output: the conditionals are the same."""

import torch
from torch import Tensor

from phosphene import data
from phosphene.core.batch import Batch
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.autoregressive import (
    Autoregressive,
    free_running,
    teacher_forcing,
)
from phosphene.generative.autoregressive.fvsbn import FVSBN
from phosphene.generative.autoregressive.made import MADE
from phosphene.proofs.fitting import fit
from phosphene.proofs.proof import Proof, Row, Wrong, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "log p(x) = sum_k log p(x_k | x_<k), each conditional given the true values before it, is one "
    "parallel pass (teacher forcing; Williams and Zipser, 1989) and equals the sum taken one value "
    "after another. What a model generates by free running, fed to it as if it were the truth, has "
    "the very conditionals it was drawn from: the two differ in where x comes from, and in nothing "
    "else."
)


def prove(seed: int = 0, steps: int = 150, *, model: type[FVSBN] = FVSBN) -> Proof:
    """Train two models by teacher forcing, and compare both ways in float64.

    Williams and Zipser (1989). A gradient taken through single steps equals that of the parallel
    pass, which is why training needs no loop over values.

    Args:
        seed: Seeds the weights, the batches and the draws.
        steps: Steps of training.
        model: The belief network; MADE is the other.

    Example:
        >>> prove(steps=2).holds
        True
    """
    digits = data.load("digits-binary", "train")
    rows: list[Row] = []
    for name, one in _models(model, digits.event, seed).items():
        fit(one, digits.x, steps=steps, lr=5e-3, batch_size=64, seed=seed)
        rows += _same(name, one.double(), digits.x[:32], seed)
        if isinstance(one, FVSBN):
            rows.append(_same_gradient(one, digits.x[:32]))
    return Proof("teacher-forcing", "Teacher forcing and free running", _STATEMENT, rows)


def _models(kind: type[FVSBN], event: Event, seed: int) -> dict[str, Autoregressive]:
    with seeded(seed):
        return {
            "FVSBN": kind(event),
            "MADE": MADE(event, hidden=(100,), order="random"),
        }


@torch.no_grad()
def _same(name: str, model: Autoregressive, x: Tensor, seed: int) -> list[Row]:
    """Parallel against sequential, and what was generated against what scoring it says."""
    parallel, sequential = model.log_prob(x), model.log_prob_sequential(x)
    difference = float((parallel - sequential).abs().max())
    drawn = list(free_running(model, 32, generator=generator(seed, 1)))
    y = torch.zeros(32, model.event.dimensions, dtype=model.dtype)
    for i, _, value in drawn:
        y[:, i] = value
    shaped = y.reshape(32, *model.event.shape)
    forced = teacher_forcing(model, shaped)
    worst = max(float((forced[:, i] - params).abs().max()) for i, params, _ in drawn)
    free = torch.stack([params for _, params, _ in drawn], 1)
    values = torch.stack([value for _, _, value in drawn], 1)
    total = model.conditional.log_prob(free, values).sum(1)
    return [
        below(f"{name}: |parallel - sequential| log p(x), largest", difference, 1e-10),
        below(f"{name}: free running against scoring, largest difference of a logit", worst, 1e-10),
        equal(
            f"{name}: mean log p of draws, summed while drawing",
            total.mean(),
            model.log_prob(shaped).mean(),
            1e-10,
        ),
    ]


def _same_gradient(model: FVSBN, x: Tensor) -> Row:
    """d/dW of the sum of single steps against that of the parallel loss."""
    parallel = torch.autograd.grad(model.eval().loss(Batch.of(x)).total, model.weight)[0]
    flat, step = x.flatten(1).to(model.dtype), model.stepper(len(x))
    logits = torch.stack([step(k, flat) for k in range(model.event.dimensions)], 1)
    log_p = model.conditional.log_prob(logits, flat).sum(1)
    one_by_one = torch.autograd.grad(-log_p.mean(), model.weight)[0]
    worst = float((parallel - one_by_one).abs().max())
    return below("FVSBN: largest difference of a gradient, step by step", worst, 1e-10)


class _SeesItself(FVSBN):
    def setup(self) -> None:
        """The parallel pass feeds each conditional its own value, too."""
        super().setup()
        self.mask.copy_(torch.ones_like(self.mask).tril(0))


WRONG = Wrong(
    "p(x_k | x_<=k) in the parallel pass: the value itself is fed to its own conditional",
    {"model": _SeesItself},
)

"""A model of images given their class is a classifier, and needs no label to score an image."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene import data
from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.generative.autoregressive.fvsbn import FVSBN
from phosphene.proofs.fitting import fit
from phosphene.proofs.proof import Proof, Row, Wrong, above, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "A discriminative model learns p(y | x); a generative one learns p(x, y) = p(y) p(x | y), "
    "classifies by argmax_y log p(x, y) (Ng and Jordan, 2002), and scores, or learns from, an "
    "image whose label is missing by log p(x) = log sum_y p(x, y)."
)
_PENALTY = 1e-3  # chosen by validation
_LABELS = ContextSpec(label=10)


def prove(seed: int = 0, steps: int = 400, *, model: type[FVSBN] = FVSBN) -> Proof:
    """Train a belief network for each class of the binary 8x8 digits, and ask it for the class.

    Ng and Jordan (2002). The second half gives a model the labels of 200 digits, and then the other
    digits without theirs.

    Args:
        seed: Names the batches.
        steps: Steps of training with all labels.
        model: p(x | y), and what follows from it by Bayes' rule.
    """
    train, test = data.load("digits-binary", "train"), data.load("digits-binary", "test")
    assert train.y is not None
    assert test.y is not None
    whole = _fitted(model, train.event, train.x, train.y, steps, seed)
    with torch.no_grad():
        chosen = whole.classify(test.x).argmax(1)
    few, more = _few_labels(model, train.event, train.x, train.y, seed)
    with torch.no_grad():
        labeled, both = (-float(m.log_prob(test.x).mean()) for m in (few, more))
    rows = [
        above("test accuracy of argmax_y log p(x, y)", (chosen == test.y).double().mean(), 0.95),
        *_marginal(whole.double(), test.x, test.y),
        below("test NLL, 200 labels and 1,097 digits without, against 200 alone", both, labeled),
    ]
    return Proof("generative-classifier", "A generative classifier", _STATEMENT, rows)


def _fitted(kind: type[FVSBN], event: Event, x: Tensor, y: Tensor, steps: int, seed: int) -> FVSBN:
    model = kind(event, penalty=_PENALTY, weights="per-class", context=_LABELS)
    context = Context(label=y)
    fit(model, x, steps=steps, lr=0.03, batch_size=256, cosine=True, seed=seed, context=context)
    return model


def _few_labels(
    kind: type[FVSBN], event: Event, x: Tensor, y: Tensor, seed: int
) -> tuple[FVSBN, FVSBN]:
    """The model of 200 labeled digits, and the same trained on with all digits."""
    known = torch.zeros(len(y), dtype=torch.bool)
    known[:200] = True  # the split is in random order
    few = _fitted(kind, event, x[known], y[known], 200, seed)
    more = kind(event, penalty=_PENALTY, weights="per-class", context=_LABELS)
    more.load_state_dict(few.state_dict())
    optimizer = torch.optim.Adam(more.parameters(), lr=3e-3)
    context = Context(label=torch.where(known, y, -1))
    for _ in range(40):
        optimizer.zero_grad()
        more.loss(Batch.of(x, context)).total.backward()
        optimizer.step()
    return few, more


@torch.no_grad()
def _marginal(model: FVSBN, x: Tensor, y: Tensor) -> list[Row]:
    """What is said of images without labels against the sum over all of them."""
    joint = torch.stack(
        [model.log_prob(x, Context(label=torch.full_like(y, c))) for c in range(10)], 1
    )
    joint = joint + model.log_prior
    missing = torch.arange(len(y)) % 2 == 0
    mixed = Context(label=torch.where(missing, -1, y))
    given = joint.gather(1, y[:, None])[:, 0] - model.log_prior[y]
    expected = torch.where(missing, joint.logsumexp(1), given)
    loss = model.eval().loss(Batch.of(x, mixed)).terms["nll"]
    posterior = model.classify(x).exp().sum(1)
    return [
        below(
            "|log p(x) - logsumexp_y log p(x, y)|, largest",
            (model.log_prob(x) - joint.logsumexp(1)).abs().max(),
            1e-10,
        ),
        below(
            "the same in a loss of which every other label is missing",
            (loss + expected).abs().max(),
            1e-10,
        ),
        below("|sum_y p(y | x) - 1|, largest", (posterior - 1).abs().max(), 1e-10),
    ]


class _WithoutPrior(FVSBN):
    def _joint(
        self, x: Tensor, context: Context, score: Callable[[Tensor, Context], Tensor]
    ) -> Tensor:
        return super()._joint(x, context, score) - self.log_prior


WRONG = Wrong(
    "log p(x) = log sum_y p(x | y): the classes are summed without their p(y)",
    {"model": _WithoutPrior},
)

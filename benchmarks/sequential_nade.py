"""A training step of NADE against the usual form: a Python loop over the values, with autograd.

Two loops with the same weights: a bare one, and one that like pytorch-generative's forward pass
also draws every value, in case it was not given. Both are written here, after the equations.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.common import Case, Watch
from phosphene.core.batch import Batch
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.nade import NADE

__all__ = ["SequentialNADE", "cases"]

_TOLERANCE = 1e-5


class SequentialNADE(nn.Module):
    """h_i = f(a_i), logit_i = c_i + V_i h_i, a_{i+1} = a_i + W_i x_i, one i after another.

    Args:
        model: Whose weights and activation are taken.
        draws: Also draw each value, where x is negative.
    """

    def __init__(self, model: NADE, *, draws: bool) -> None:
        super().__init__()
        (chain,) = model.chains
        self.W = nn.Parameter(chain.W[:, 0].detach().T.clone())  # (H, D), a column for each value
        self.V = nn.Parameter(chain.V[:, 0].detach().clone())
        self.b, self.c = (nn.Parameter(p.detach().clone()) for p in (chain.b, chain.c[:, 0]))
        self.activation = getattr(torch, model.activation)
        self.draws = draws

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, D)."""
        a, logits = self.b.expand(len(x), -1), []
        for i in range(x.shape[1]):
            h = self.activation(a)
            logit = h @ self.V[i : i + 1].T + self.c[i : i + 1]
            value = x[:, i : i + 1]
            if self.draws:
                drawn = torch.distributions.Bernoulli(torch.sigmoid(logit)).sample()
                value = torch.where(value < 0, drawn, value)
            logits.append(logit)
            a = a + value @ self.W[:, i : i + 1].T
        return torch.cat(logits, 1)

    def loss(self, x: Tensor) -> Tensor:
        """Mean negative log-likelihood."""
        terms = F.binary_cross_entropy_with_logits(self(x), x, reduction="none")
        return terms.sum(1).mean()


def _strokes(n: int, dimensions: int, fill: float) -> Tensor:
    """Binary images as full as binarized digits (13 % of pixels)."""
    return (torch.rand((n, dimensions), generator=generator(0)) < fill).float()


def cases(
    dimensions: int = 784, hidden: int = 500, batch: int = 64, fill: float = 0.13
) -> Iterator[Case]:
    """A step is a loss, its gradients and one turn of fused Adam, with the same weights in both."""
    x = _strokes(batch, dimensions, fill)
    for activation in ("sigmoid", "relu"):
        for draws in (False, True):
            yield _case(x, hidden, activation, draws=draws)


def _case(x: Tensor, hidden: int, activation: str, *, draws: bool) -> Case:
    with seeded(0):
        ours = NADE(Event.binary(x.shape[1]), hidden=hidden, activation=activation)
    theirs = SequentialNADE(ours, draws=draws)
    batch = Batch.of(x)
    adam = [torch.optim.Adam(m.parameters(), lr=1e-4, fused=True) for m in (theirs, ours)]

    def check() -> float:
        one, other = theirs.loss(x), ours.loss(batch).total
        one.backward()
        other.backward()
        (chain,) = ours.chains
        assert theirs.W.grad is not None
        gap = (theirs.W.grad - chain.W.grad[:, 0].T).abs().max()
        assert float(gap) < _TOLERANCE, f"the gradients differ by {float(gap):.1e}"
        difference = abs(float(one.detach() - other.detach())) / abs(float(other.detach()))
        assert difference < _TOLERANCE, f"the losses differ by {difference:.1e}"
        return difference

    def their_step(watch: Watch) -> None:
        adam[0].zero_grad()
        theirs.loss(x).backward()
        adam[0].step()

    def our_step(watch: Watch) -> None:
        adam[1].zero_grad()
        ours.loss(batch).total.backward()
        adam[1].step()

    loop = "loop that also draws" if draws else "bare loop"
    size = f"D = {x.shape[1]}, H = {hidden}, batch {len(x)}, {activation}"
    name = f"NADE training step ({loop}), {size}"
    return Case(name, "torch", check, their_step, our_step, bound=())

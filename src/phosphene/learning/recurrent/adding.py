"""The adding problem: two of many numbers are marked, and their sum is asked for at the end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.optimizers.adam import Adam
from phosphene.learning.recurrent.clipping import clip_gradient_norm
from phosphene.learning.recurrent.layer import Recurrent

__all__ = ["Adder", "adding_problem", "trained"]


def adding_problem(n: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """n sequences of the adding problem (Hochreiter and Schmidhuber, 1997).

    Numbers are uniform on [0, 1], and one in each half is marked. Saying 1, whatever comes, has a
    mean squared error of 2 Var U = 1/6.

    Returns:
        Numbers and markers (length, n, 2), and the sums of those marked (n,).

    Example:
        >>> x, y = adding_problem(3, 10, torch.Generator().manual_seed(0))
        >>> tuple(x.shape), x[..., 1].sum(0).tolist()
        ((10, 3, 2), [2.0, 2.0, 2.0])
    """
    value = torch.rand(length, n, generator=generator)
    half = length // 2
    place = torch.randint(half, (2, n), generator=generator) + torch.tensor([[0], [half]])
    marker = torch.zeros(length, n).scatter_(0, place, 1.0)
    return torch.stack([value, marker], -1), (value * marker).sum(0)


@dataclass
class Adder:
    """A recurrent layer and what reads the sum from its last h: y = h_T w + b.

    Args:
        layer: With two inputs.
        w: (hidden,).
        b: ().
    """

    layer: Recurrent
    w: Tensor
    b: Tensor

    @classmethod
    def of(cls, layer: Recurrent) -> "Adder":
        """Begins by saying 1, the mean."""
        return cls(layer, torch.zeros(layer.hidden), torch.ones(()))

    def parameters(self) -> list[Tensor]:
        """All weights."""
        return [*self.layer.parameters.values(), self.w, self.b]

    def answer(self, x: Tensor) -> Tensor:
        """The sums (n,)."""
        return self.layer.forward(x)[-1] @ self.w + self.b

    def gradients(self, x: Tensor, y: Tensor) -> tuple[float, list[Tensor]]:
        """The mean squared error, and its gradients in the order of the parameters."""
        error = self.answer(x) - y
        d = 2 * error / len(error)
        h = self.layer.states["h"]
        dy = torch.zeros_like(h[1:])
        dy[-1] = d[:, None] * self.w
        self.layer.backward(dy)
        own = [self.layer.grads[name] for name in self.layer.parameters]
        return float(error.square().mean()), [*own, d @ h[-1], d.sum()]


def trained(
    adder: Adder,
    *,
    length: int,
    steps: int,
    lr: float = 1e-2,
    batch: int = 32,
    clip: float = 1.0,
    seed: int = 0,
    schedule: Callable[[float], float] = lambda part: 1.0,
) -> Iterator[float]:
    """Train with Adam on fresh sequences, step by step; yields the error of each.

    Args:
        adder: It changes.
        length: Of a sequence.
        steps: Of training.
        lr: Of Adam.
        batch: Sequences a step.
        clip: The most that the gradients' norm may be.
        seed: Of the sequences.
        schedule: What lr is multiplied by, given the part of the steps that is done.
    """
    parameters = adder.parameters()
    optimizer = Adam(parameters, lr=lr)
    for step in range(steps):
        x, y = adding_problem(batch, length, generator(seed, 1, step))
        error, gradients = adder.gradients(x, y)
        clip_gradient_norm(gradients, clip)
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = g
        optimizer.param_groups[0]["lr"] = lr * schedule(step / steps)
        optimizer.step()
        yield error

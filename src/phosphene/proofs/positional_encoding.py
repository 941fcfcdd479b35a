"""Positions: a shift is a rotation, and order can be learned only by what is told of it."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers.attention import MultiHeadAttention
from phosphene.generative.autoregressive.layers.positions import (
    Rotary,
    rotate,
    shift_matrix,
    sinusoidal,
)
from phosphene.proofs.proof import Proof, Wrong, above, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "PE(t) = (sin t w_i, cos t w_i)_i gives PE(t + k) = R(k) PE(t) with a rotation R(k) that does "
    "not depend on t (Vaswani et al., 2017). Rotary positions turn queries and keys themselves, "
    "and <q_m, k_n> depends on m - n alone (Su et al., 2021). Attention without a mask and without "
    "positions sees a set: told two numbers in either order, it cannot say which came first."
)
_LENGTH = 6


def prove(
    seed: int = 0, steps: int = 120, *, encoding: Callable[..., Tensor] = sinusoidal
) -> Proof:
    """Check the identities, and train a classifier of order with and without positions.

    The task: a sequence of distinct numbers; is the smallest before the largest? Sequences are
    shuffled, so that the set of numbers says nothing.

    Args:
        seed: Seeds data and weights.
        steps: Steps of training.
        encoding: PE, of positions and the width.

    Example:
        >>> len(prove(steps=1).rows)
        6
    """
    t = torch.arange(100)
    shifts = [
        (encoding(t, 32) @ shift_matrix(k, 32).T - encoding(t + k, 32)).abs().max()
        for k in (1, 10, 1000)
    ]
    R = shift_matrix(10, 32)
    orthogonal = (R @ R.T - torch.eye(32, dtype=torch.float64)).abs().max()
    accuracy = {
        positions: _learn(seed, steps, positions, encoding)
        for positions in (None, "added", "rotary")
    }
    rows = [
        below("worst |PE(t + k) - R(k) PE(t)|, k = 1, 10, 1000", max(shifts), 1e-11),
        below("worst |R R^T - I|", orthogonal, 1e-12),
        below("rotary scores at one distance, 100 places: their range", _range(seed), 1e-11),
        below("which came first, without positions: accuracy", accuracy[None], 0.6),
        above("with sinusoidal positions", accuracy["added"], 0.9),
        above("with rotary positions", accuracy["rotary"], 0.9),
    ]
    figure = {"PE(t)": encoding(torch.arange(64), 32)}
    return Proof("positional-encoding", "Positional encodings", _STATEMENT, rows, figure)


def _range(seed: int) -> Tensor:
    q, k = torch.randn(2, 16, generator=generator(seed), dtype=torch.float64)
    rotary, places = Rotary(16), torch.arange(100) * 7
    turned_q = rotate(q.expand(100, 16), rotary(places, torch.float64))
    turned_k = rotate(k.expand(100, 16), rotary(places + 3, torch.float64))
    scores = (turned_q * turned_k).sum(-1)
    return scores.max() - scores.min()


class _Reader(nn.Module):
    """One layer of attention over a set or a sequence, averaged: (n, T) codes to logits (n,)."""

    def __init__(
        self, positions: str | None, encoding: Callable[..., Tensor], width: int = 32
    ) -> None:
        super().__init__()
        self.positions = positions
        self.embed = nn.Embedding(_LENGTH, width)
        self.attend = nn.ModuleList(MultiHeadAttention(width, 2) for _ in range(2))
        self.mix = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(2)
        )
        self.out = nn.Linear(width, 1)
        self.turn = Rotary(width // 2, base=100.0)(torch.arange(_LENGTH))
        self.places = encoding(torch.arange(_LENGTH), width, base=100.0).float()

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        if self.positions == "added":
            h = h + self.places
        turn = self.turn if self.positions == "rotary" else None
        for attend, mix in zip(self.attend, self.mix, strict=True):
            h = h + attend(h, turn=turn)
            h = h + mix(h)
        out: Tensor = self.out(h.mean(1))[:, 0]
        return out


def _learn(seed: int, steps: int, positions: str | None, encoding: Callable[..., Tensor]) -> float:
    """Accuracy on new sequences after training."""
    with seeded(seed):
        model = _Reader(positions, encoding)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(steps):
        x, y = _examples(seed, step)
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(x), y).backward()
        optimizer.step()
    with torch.no_grad():
        x, y = _examples(seed, -1, 2000)
        return float(((model(x) > 0) == y.bool()).float().mean())


def _examples(seed: int, step: int, n: int = 128) -> tuple[Tensor, Tensor]:
    """Shuffled numbers, and whether the smallest comes before the largest."""
    g = generator(seed, step + 1)
    x = torch.rand((n, _LENGTH), generator=g).argsort(1)
    return x, (x.argmin(1) < x.argmax(1)).float()


def _each_its_own(positions: Tensor, width: int, *, base: float = 10000.0) -> Tensor:
    frequencies = base ** (-torch.arange(width, dtype=torch.float64) / width)
    angle = positions.double().unsqueeze(-1) * frequencies
    return torch.where(torch.arange(width) % 2 == 0, angle.sin(), angle.cos())


WRONG = Wrong(
    "PE(t)_j = sin or cos of t base^(-j / width): a sine and its cosine of different frequencies",
    {"encoding": _each_its_own},
)

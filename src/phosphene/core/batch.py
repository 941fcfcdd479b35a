"""A batch, and its noise: a function of (seed, step) for the whole batch, sliced by rank."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.moments import Moments
from phosphene.core.rng import generator

__all__ = ["Batch", "Noise"]

_BLOCK = 128


@dataclass
class Noise:
    """Random numbers of the global batch, of which this holds rows first..first+n.

    Rows are drawn in blocks of 128, each from its own generator seeded by
    (seed, step, draw, block). A rank or a micro-batch draws only the blocks it overlaps, and gets
    the rows that a single process would have got: ranks and accumulation cannot change a result.

    Args:
        key: Seed and counters that name the global batch.
        first: The first row of this slice in the global batch.
        n: The number of rows in this slice.
    """

    key: tuple[int, ...]
    first: int
    n: int
    draws: int = 0

    def _draw(self, kind: str, shape: tuple[int, ...], device: torch.device | str) -> Tensor:
        blocks = []
        last = (self.first + max(self.n, 1) - 1) // _BLOCK  # no rows still have a shape
        for block in range(self.first // _BLOCK, last + 1):
            g = generator(*self.key, self.draws, block, device=device)
            # Only whole blocks are drawn, so that a row does not depend on the batch's size.
            size = (_BLOCK, *shape)
            if kind == "normal":
                blocks.append(torch.randn(size, generator=g, device=device))
            else:
                blocks.append(torch.rand(size, generator=g, device=device))
        self.draws += 1
        start = self.first % _BLOCK
        whole = blocks[0] if len(blocks) == 1 else torch.cat(blocks)
        return whole[start : start + self.n]

    def normal(self, shape: tuple[int, ...], device: torch.device | str = "cpu") -> Tensor:
        """Standard normal numbers (n, *shape)."""
        return self._draw("normal", shape, device)

    def uniform(self, shape: tuple[int, ...], device: torch.device | str = "cpu") -> Tensor:
        """Uniform numbers in [0, 1) of shape (n, *shape)."""
        return self._draw("uniform", shape, device)


@dataclass
class Batch:
    """Examples, where they stand in the data set, their context and their noise.

    Args:
        x: Examples (n, *event.shape); codes for discrete events.
        index: Positions in the data set (n,).
        context: What the examples are conditioned on.
        noise: The source of every random number that a loss may use.
        moments: Of the reals of all training data, in the batch that a model is prepared on.

    Example:
        >>> batch = Batch.of(torch.zeros(4, 2))
        >>> batch.normal((3,)).shape
        torch.Size([4, 3])
        >>> whole, half = Batch.of(torch.zeros(4, 2)), Batch.of(torch.zeros(4, 2))[2:4]
        >>> torch.equal(whole.normal((3,))[2:], half.normal((3,)))
        True
    """

    x: Tensor
    index: Tensor
    context: Context = field(default_factory=Context)
    noise: Noise = field(default_factory=lambda: Noise((0,), 0, 0))
    moments: Moments | None = None

    @classmethod
    def of(cls, x: Tensor, context: Context | None = None, *, seed: int = 0) -> "Batch":
        """A batch of its own, outside any training."""
        n = len(x)
        return cls(x, torch.arange(n), context or Context(), Noise((seed,), 0, n))

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice) -> Self:
        start, stop, step = rows.indices(len(self))
        assert step == 1, "a batch is cut into runs of rows"
        noise = Noise(self.noise.key, self.noise.first + start, stop - start)
        return replace(self, noise=noise, **{k: v[rows] for k, v in self._columns().items()})

    def to(self, device: torch.device | str) -> Self:
        """The batch on another device; noise is then drawn there."""
        moved = {k: v.to(device) for k, v in self._columns().items() if k != "index"}
        return replace(self, **moved)

    def _columns(self) -> dict[str, Any]:
        """What has a row for each example, also what subclasses add."""
        held = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v for k, v in held.items() if isinstance(v, Tensor | Context)}

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Standard normal numbers (n, *shape), the same whatever the ranks."""
        return self.noise.normal(shape, self.x.device)

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        """Uniform numbers in [0, 1) of shape (n, *shape)."""
        return self.noise.uniform(shape, self.x.device)

    def randint(self, high: int, shape: tuple[int, ...]) -> Tensor:
        """Whole numbers 0..high-1 of shape (n, *shape), int64."""
        return (self.noise.uniform(shape, self.x.device) * high).long().clamp_(max=high - 1)

"""A sampler as a table of numbers, and the one loop that runs any of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.target import Data, Target

__all__ = ["Asked", "Row", "Table", "run"]


class Asked(Protocol):
    """A network at one level: (n, ...) to (n, ...)."""

    def __call__(self, x: Tensor, level: Level[float], /) -> Tensor:
        """What it gives, at a level that is the same for all."""
        ...


class Row(NamedTuple):
    """x' = x * ``x`` + D * ``data`` + D_before * ``before`` + z * ``noise``.

    D is the estimate of the data at ``asked``, D_before that of the row before, z standard normal.

    Args:
        asked: The level at which the network is asked; None for a row that does not ask.
        reached: The level at which x' lies.
        x: Of x.
        data: Of D.
        before: Of D_before.
        noise: Of z.
        whole: Whether x' ends a step, and is not the middle of one.
    """

    asked: Level[float] | None
    reached: Level[float]
    x: float
    data: float = 0.0
    before: float = 0.0
    noise: float = 0.0
    whole: bool = True


class _Folded(NamedTuple):
    """A row with D = p x + q m put in."""

    row: Row
    p: float
    q: float
    of_x: float
    of_m: float


@dataclass(frozen=True)
class Table:
    """All rows of a sampler, from noise to data.

    Args:
        rows: In order.

    Example:
        >>> from phosphene.generative.diffusion.level import CLEAN
        >>> noisy = Level(1.0, 0.0, 1.0)
        >>> Table([Row(noisy, CLEAN, x=0.0, data=1.0)]).evaluations
        1
    """

    rows: Sequence[Row]

    @property
    def evaluations(self) -> int:
        """How often the network is asked."""
        return sum(row.asked is not None for row in self.rows)

    def folded(self, target: Target) -> "list[_Folded]":
        """The rows for a network that gives a target in the place of D."""
        made = []
        for row in self.rows:
            p, q = target.linear(row.asked) if row.asked is not None else (0.0, 1.0)
            made.append(_Folded(row, p, q, row.x + row.data * p, row.data * q))
        return made


_DATA = Data()


@torch.no_grad()
def run(
    ask: Asked,
    x: Tensor,
    table: "Table | list[_Folded]",
    *,
    target: Target = _DATA,
    generator: torch.Generator | None = None,
    clip: float | None = None,
    observe: Callable[[Tensor, Tensor | None, Row], Tensor | None] | None = None,
) -> Tensor:
    """Where a sampler's table leads x.

    Args:
        ask: The network, or a network under guidance.
        x: Noise (n, ...), at the level of the first row.
        table: The sampler, or what :meth:`Table.folded` made of it.
        target: What the network gives.
        generator: Draws z.
        clip: Keep D within -clip..clip.
        observe: Called after each row with x', D (None where nothing was asked) and the row; what
            it returns takes the place of x'.

    Example:
        >>> from phosphene.generative.diffusion.level import CLEAN
        >>> table = Table([Row(Level(1.0, 0.0, 1.0), CLEAN, x=0.0, data=1.0)])
        >>> run(lambda x, level: x + 1, torch.zeros(1, 2), table)
        tensor([[1., 1.]])
    """
    rows = table.folded(target) if isinstance(table, Table) else table
    before: Tensor | None = None
    z: Tensor | None = None
    explicit = clip is not None or observe is not None or any(f.row.before for f in rows)
    scales = _numbers([f.row.x if explicit or f.row.asked is None else f.of_x for f in rows], x)
    shares = _numbers([f.p for f in rows], x) if explicit else scales
    for (row, p, q, of_x, of_m), scale, share in zip(rows, scales, shares, strict=True):
        D: Tensor | None = None
        if row.asked is None:
            x = x * scale
        elif explicit:
            m = ask(x, row.asked)
            if (p, q) == (0.0, 1.0):  # m is the network's own: it is not to be written to
                D = m if clip is None else m.clamp(-clip, clip)
            else:
                D = m * q if p == 0 else (x * share).add_(m, alpha=q)
                D = D if clip is None else D.clamp_(-clip, clip)
            x = D * row.data if row.x == 0 else (x * scale).add_(D, alpha=row.data)
            if row.before:
                assert before is not None
                x.add_(before, alpha=row.before)
            before = D
        else:
            m = ask(x, row.asked)
            x = m * of_m if of_x == 0 else (x * scale).add_(m, alpha=of_m)
        if row.noise:
            if z is None or z.stride() != x.stride():
                z = torch.empty_like(x)
            x.add_(z.normal_(generator=generator), alpha=row.noise)
        if observe is not None:
            changed = observe(x, D, row)
            x = x if changed is None else changed
    return x


def _numbers(values: list[float], x: Tensor) -> Sequence[Tensor]:
    """Numbers to multiply x by, as tensors () made at once: cheaper than one made in each row."""
    dtype = x.dtype if x.dtype == torch.float32 else torch.float64
    return torch.tensor(values, dtype=dtype, device="cpu").unbind()

"""Positions in a sequence: sinusoidal, rotary and learned.

Attention treats its inputs as a set; these tell it their order.
"""

import torch
from torch import Tensor, nn

from phosphene.core.errors import ConfigError, EventError

__all__ = ["LearnedPositions", "Rotary", "rotate", "shift_matrix", "sinusoidal"]


def _frequencies(pairs: int, base: float) -> Tensor:
    """Angular frequencies base^(-i / pairs) of pairs i = 0, 1, ...: (pairs,), float64."""
    frequencies: Tensor = base ** (-torch.arange(pairs, dtype=torch.float64) / pairs)
    return frequencies


def sinusoidal(positions: Tensor, width: int, *, base: float = 10000.0) -> Tensor:
    """PE(t) = (sin t w_0, cos t w_0, sin t w_1, cos t w_1, ...), w_i = base^(-2i/width).

    Vaswani et al. (2017). PE(t + k) is a fixed rotation of PE(t), see :func:`shift_matrix`:
    relative places are linear functions of absolute ones.

    Args:
        positions: Positions (...,), whole or real numbers.
        width: Size of an encoding; even.
        base: The slowest pair turns once in 2 pi base positions.

    Returns:
        Encodings (..., width) in float64.

    Example:
        >>> sinusoidal(torch.tensor([0, 1]), 2)
        tensor([[0.0000, 1.0000],
                [0.8415, 0.5403]], dtype=torch.float64)
    """
    if width < 2 or width % 2:
        raise ConfigError(f"sinusoidal positions need an even width of 2 or more, got {width}")
    angle = positions.double().unsqueeze(-1) * _frequencies(width // 2, base).to(positions.device)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)


def shift_matrix(k: float, width: int, *, base: float = 10000.0) -> Tensor:
    """The rotation R (width, width), float64, with PE(t + k) = R PE(t) for every t.

    Example:
        >>> R = shift_matrix(5, 4)
        >>> a, b = sinusoidal(torch.tensor([2, 7]), 4)
        >>> bool(torch.allclose(R @ a, b))
        True
    """
    angle = k * _frequencies(width // 2, base)
    cos, sin = angle.cos(), angle.sin()
    pairs = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)
    rotation: Tensor = torch.block_diag(*pairs)
    return rotation


class Rotary:
    """Rotary positions: a query or key at m is turned by m (Su et al., 2021).

    Coordinates 2i and 2i + 1 of a head are one complex number; f(q, m)_i = q_i exp(1j m w_i) with
    w_i = base^(-2i/d). Then <f(q, m), f(k, n)> depends on m - n alone: attention sees distances,
    not places.

    A position may have several axes, such as a pixel's row and column: each axis then turns its
    share of the pairs.

    Args:
        size: Coordinates d of a head; even, and at least two for each axis.
        base: The slowest pair turns once in about 2 pi base positions.
        axes: Numbers in one position.

    Raises:
        ConfigError: The size is odd or too small.

    Example:
        >>> turn = Rotary(4)(torch.arange(3))
        >>> turn.shape, turn.dtype
        (torch.Size([3, 2]), torch.complex64)
    """

    def __init__(self, size: int, *, base: float = 10000.0, axes: int = 1) -> None:
        if size % 2 or size < 2 * axes:
            raise ConfigError(
                f"rotary positions of {axes} axes need heads of an even size of {2 * axes} or "
                f"more, got {size}"
            )
        self.size, self.base, self.axes = size, base, axes

    def __call__(self, positions: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The turns exp(1j m w) of positions (T,) or (T, axes): (T, size / 2), complex.

        Angles are computed in float64 whatever the dtype: single precision would lose the
        relative-position property at long distances.
        """
        positions = positions.double().reshape(len(positions), self.axes)
        pairs, angles = self.size // 2, []
        for axis in range(self.axes):
            own = pairs // self.axes + (axis < pairs % self.axes)
            frequencies = _frequencies(own, self.base).to(positions.device)
            angles.append(positions[:, axis, None] * frequencies)
        angle = torch.cat(angles, -1)
        turn = torch.polar(torch.ones_like(angle), angle)
        return turn if dtype == torch.float64 else turn.to(torch.complex64)


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Queries or keys (..., T, d) turned by their positions' turns (T, d / 2).

    Example:
        >>> x = torch.randn(3, 4)
        >>> bool(torch.allclose(rotate(x, Rotary(4)(torch.zeros(3))), x))
        True
    """
    # Half precision has no complex numbers; the products are rounded once, at the end.
    pairs = torch.view_as_complex(x.to(turn.real.dtype).unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)


class LearnedPositions(nn.Module):
    """A vector for each position, learned like any other weight (GPT-2; Radford et al., 2019).

    Args:
        length: The most positions.
        width: Size of the vectors.

    Example:
        >>> LearnedPositions(8, 4)(3).shape
        torch.Size([3, 4])
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.length = length
        self.table = nn.Parameter(0.02 * torch.randn(length, width))

    def forward(self, length: int) -> Tensor:
        """The vectors (length, width) of the first positions.

        Raises:
            EventError: The sequence is longer than the positions.
        """
        if length > self.length:
            raise EventError(
                f"a sequence of {length} is longer than the {self.length} positions that the "
                "model has learned"
            )
        return self.table[:length]

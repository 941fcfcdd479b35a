"""A linear map that commutes with shifts is a convolution, and no other is.

After Cohen and Welling (2016).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.backprop.convolution import correlate
from phosphene.learning.backprop.windows import Geometry
from phosphene.learning.convolution.equivariance import (
    circular_convolution,
    equivariance_error,
    kernel_of,
    shift,
)
from phosphene.learning.convolution.matrices import circulant
from phosphene.proofs.proof import Proof, Wrong, above, below

__all__ = ["WRONG", "prove"]


def _reflected(x: Tensor, kernel: Tensor) -> Tensor:
    """Sum of k(a) x(a - i): the index of x is reflected."""
    return circular_convolution(x.flip((-2, -1)).roll((1, 1), (-2, -1)), kernel)


WRONG = Wrong(
    "(k * x)(i) = sum k(a) x(a - i): the difference is taken the other way round, so that a shift "
    "to the right moves the result to the left",
    {"formula": _reflected},
)


def prove(
    seed: int = 0, *, formula: Callable[[Tensor, Tensor], Tensor] = circular_convolution
) -> Proof:
    """Find the kernel of a map by its answer to a delta; test what commutes and what does not.

    Args:
        seed: Of images, kernels and matrices.
        formula: The circular convolution of x with a kernel.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed, 154)
    h, w = 6, 5
    x = torch.randn(h, w, generator=g, dtype=torch.float64)
    k = torch.randn(3, 3, generator=g, dtype=torch.float64)
    shifts = [(1, 0), (0, 1), (2, 3)]
    commuting = max(equivariance_error(lambda u: formula(u, k), x, by) for by in shifts)
    # A map that nobody called a convolution: a mean over all shifts of a random linear map.
    matrix = torch.randn(h * w, h * w, generator=g, dtype=torch.float64)

    def averaged(u: Tensor) -> Tensor:
        every = [(i, j) for i in range(h) for j in range(w)]
        moved = torch.stack([shift(u, by).flatten() for by in every]) @ matrix.T
        back = [shift(m.view(h, w), (-i, -j)) for m, (i, j) in zip(moved, every, strict=True)]
        return torch.stack(back).mean(0)

    found = kernel_of(averaged, (h, w))
    line = torch.randn(7, 7, generator=g, dtype=torch.float64)
    cyclic = torch.eye(7, dtype=torch.float64).roll(1, 0)
    ring = circulant(line[0])
    strided = equivariance_error(lambda u: u[::2].repeat_interleave(2, 0), x, (1, 0))
    padded = equivariance_error(
        lambda u: correlate(u[None, None], k[None, None], Geometry((3, 3), padding=(1, 1)))[0, 0],
        x, (1, 0),
    )  # fmt: skip
    invariant = float((formula(shift(x, (2, 1)), k).sum() - formula(x, k).sum()).abs())
    rows = [
        below("T(S x) - S(T x), circular convolution, worst of 3 shifts", commuting, 1e-12),
        below("a random map made equivariant, less convolution with T(delta)",
              (averaged(x) - formula(x, found)).abs().max(), 1e-12),
        below("its sum over all places is invariant: change under a shift", invariant, 1e-10),
        below("C S - S C for a circulant C", (ring @ cyclic - cyclic @ ring).abs().max(), 1e-12),
        above("M S - S M for a matrix M of random numbers",
              (line @ cyclic - cyclic @ line).abs().max(), 0.1),
        above("a stride of 2, then copies: T(S x) - S(T x)", strided, 0.1),
        above("padding with zeros: T(S x) - S(T x)", padded, 0.1),
    ]  # fmt: skip
    return Proof(
        "equivariance", "Linear and shift-equivariant is convolution",
        "If T is linear and T S = S T for every shift S, then T x = T(delta) * x; on a ring, T is "
        "a circulant matrix. Strides and padding with zeros break T S = S T.",
        rows,
    )  # fmt: skip

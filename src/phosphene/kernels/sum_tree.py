"""A tree of sums, to draw in proportion to weights that change: native, and its reference."""

import torch
from torch import Tensor

from phosphene.kernels.library import backend, call, usable

__all__ = ["tree_draw", "tree_draw_reference", "tree_set", "tree_set_reference"]


def tree_set(tree: Tensor, index: Tensor, value: Tensor) -> None:
    """Set leaves, and the sums above them.

    Args:
        tree: (2 m,), float64, m a power of two: the root at 1, the children of i at 2 i and
            2 i + 1, leaf i at m + i. It is changed.
        index: Leaves (n,), int64, each below m; of those that stand twice the last counts.
        value: (n,), float64, not negative.

    Example:
        >>> tree = torch.zeros(4, dtype=torch.float64)
        >>> tree_set(tree, torch.tensor([0, 1]), torch.tensor([1.0, 2.0], dtype=torch.float64))
        >>> tree.tolist()
        [0.0, 3.0, 1.0, 2.0]
    """
    if not usable(tree, value) or not _native():
        return tree_set_reference(tree, index, value)
    call("tree_set", tree.dtype, len(tree) // 2, len(index), tree, index.contiguous(),
         value.contiguous())  # fmt: skip
    return None


def tree_set_reference(tree: Tensor, index: Tensor, value: Tensor) -> None:
    """The same in torch, level by level."""
    at = index + len(tree) // 2
    # Which of two writes to one place wins is not defined in torch: keep the last of each.
    order = torch.argsort(at, stable=True)
    last = torch.ones(len(at), dtype=torch.bool)
    last[:-1] = at[order][1:] != at[order][:-1]
    at, value = at[order][last], value[order][last]
    tree[at] = value
    while len(at) and int(at[0]) > 1:
        at = torch.unique_consecutive(at // 2)
        tree[at] = tree[2 * at] + tree[2 * at + 1]


def tree_draw(tree: Tensor, u: Tensor) -> Tensor:
    """The leaves (n,), int64, at which a share u (n,) of the total is passed.

    Args:
        tree: As :func:`tree_set` keeps it, with a total above zero.
        u: float64, from 0 to below 1.

    Example:
        >>> tree = torch.tensor([0.0, 3.0, 1.0, 2.0], dtype=torch.float64)
        >>> tree_draw(tree, torch.tensor([0.3, 0.4], dtype=torch.float64)).tolist()
        [0, 1]
    """
    if not usable(tree, u) or not _native():
        return tree_draw_reference(tree, u)
    out = torch.empty(len(u), dtype=torch.int64)
    call("tree_draw", tree.dtype, len(tree) // 2, len(u), tree, u.contiguous(), out)
    return out


def tree_draw_reference(tree: Tensor, u: Tensor) -> Tensor:
    """The same in torch, level by level."""
    leaves = len(tree) // 2
    at, rest = torch.ones(len(u), dtype=torch.int64), u * tree[1]
    while leaves > 1:
        left = tree[2 * at]
        # Rounding may ask for more than is there: never go where nothing lies.
        right = (rest >= left) & (tree[2 * at + 1] > 0)
        rest = torch.where(right, rest - left, rest)
        at = 2 * at + right
        leaves //= 2
    return at - len(tree) // 2


def _native() -> bool:
    """Whether the library has these kernels; one that was built before them has not."""
    return hasattr(backend().library, "ph_tree_set_f64")

"""A tree of sums, to draw in proportion to weights that change: native, and its reference."""

import torch
from torch import Tensor

from phosphene.kernels.declaration import Array, Derived, Kernel, Out, Range, Rule
from phosphene.kernels.gate import gate

__all__ = ["tree_draw", "tree_draw_reference", "tree_set", "tree_set_reference"]

_POWER = Rule("m > 0 and m & (m - 1) == 0 and 2 * m == size",
              "tree must hold 2 m numbers, m a power of two, got {size}")  # fmt: skip
_set = gate(
    Kernel(
        "tree_set",
        (
            Array("tree", ("size",), "float64", written=True),
            Derived("m", "size // 2"),
            Array("index", ("n",), "int64"),
            Array("value", ("n",), "float64"),
        ),
        "m n tree index value",
        (_POWER, Range("index", "0", "m", inside=True)),
        empty=("n",),
        suffix="f64",
    )
)
_draw = gate(
    Kernel(
        "tree_draw",
        (
            Array("tree", ("size",), "float64"),
            Derived("m", "size // 2"),
            Array("u", ("n",), "float64"),
            Out("leaf", ("n",), "int64"),
        ),
        "m n tree u leaf",
        (_POWER,),
        empty=("n",),
        suffix="f64",
    )
)


def tree_set(tree: Tensor, index: Tensor, value: Tensor) -> None:
    """Set leaves, and the sums above them.

    Args:
        tree: (2 m,), float64, m a power of two: the root at 1, the children of i at 2 i and
            2 i + 1, leaf i at m + i. It is changed.
        index: Leaves (n,), int64, each below m; of those that stand twice the last counts.
        value: (n,), float64, not negative.

    Raises:
        KernelError: A shape, a type or a leaf is not as said here.

    Example:
        >>> tree = torch.zeros(4, dtype=torch.float64)
        >>> tree_set(tree, torch.tensor([0, 1]), torch.tensor([1.0, 2.0], dtype=torch.float64))
        >>> tree.tolist()
        [0.0, 3.0, 1.0, 2.0]
    """
    if _set(tree, index, value) is None:
        tree_set_reference(tree, index, value)


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

    Raises:
        KernelError: A shape or a type is not as said here.

    Example:
        >>> tree = torch.tensor([0.0, 3.0, 1.0, 2.0], dtype=torch.float64)
        >>> tree_draw(tree, torch.tensor([0.3, 0.4], dtype=torch.float64)).tolist()
        [0, 1]
    """
    leaf: Tensor | None = _draw(tree, u)
    return tree_draw_reference(tree, u) if leaf is None else leaf


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

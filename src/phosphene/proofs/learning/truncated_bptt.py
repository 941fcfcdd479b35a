"""Two forms of truncated backpropagation through time, and what they leave out."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.recurrent.bptt import gradient_by_paths
from phosphene.learning.recurrent.layer import Recurrent
from phosphene.learning.recurrent.rnn import RNN
from phosphene.learning.recurrent.truncated import chunked, windowed
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "Windowed: dL_t/dW ~ sum_(t-kappa<k<=t) dL_t/dh_t (prod_j dh_j/dh_(j-1)) d+h_k/dW, every loss "
    "over its own last kappa times. Chunked (k1, k2): every k1 times the losses of the last k1 go "
    "back over k2 times; k1 = k2 cuts a sequence and detaches. k1 = 1, k2 = kappa is windowed; "
    "kappa >= T is the full gradient; the bias of both falls with kappa."
)
_T = 24
Cut = Callable[[Recurrent, Tensor, int], Tensor]


def prove(seed: int = 0, *, formula: Cut = windowed) -> Proof:
    """Compare with the sum over paths, with each other and with the full gradient.

    Williams and Peng (1990).

    Args:
        seed: Of weights, sequences and losses.
        formula: Fills a layer's gradients, given dy and kappa.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed)
    layer = RNN(2, 8, seed=seed, dtype=torch.float64)
    layer.forward(torch.randn(_T, 4, 2, generator=g, dtype=torch.float64))
    dy = torch.randn(_T, 4, 8, generator=g, dtype=torch.float64)
    layer.backward(dy)
    full = layer.grads["W_hh"]

    def cut(kappa: int) -> Tensor:
        formula(layer, dy, kappa)
        return layer.grads["W_hh"]

    def chunks(k1: int, k2: int) -> Tensor:
        chunked(layer, dy, k1, k2)
        return layer.grads["W_hh"]

    def off(found: Tensor, expected: Tensor = full) -> float:
        return float((found - expected).norm() / full.norm())

    rows = []
    for kappa in (1, 3, 7):
        paths = torch.stack([gradient_by_paths(layer, dy, t, kappa) for t in range(_T)]).sum(0)
        rows += [
            equal(f"windowed, kappa = {kappa}: less the paths", off(cut(kappa), paths), 0, 1e-12),
            equal(
                f"chunked (1, {kappa}): less windowed", off(chunks(1, kappa), cut(kappa)), 0, 1e-12
            ),
        ]
    for k1, k2 in ((2, 5), (3, 7)):
        paths = torch.stack(
            [gradient_by_paths(layer, dy, t, min(t, t % k1 + k2 - k1) + 1) for t in range(_T)]
        ).sum(0)
        rows.append(
            equal(f"chunked ({k1}, {k2}): less the paths", off(chunks(k1, k2), paths), 0, 1e-12)
        )
    windows = [off(cut(k)) for k in (1, 2, 4, 8, 16)]
    pieces = [off(chunks(k, k)) for k in (1, 2, 4, 8, 16)]
    rows += [
        equal("windowed, kappa = T: less the full gradient", off(cut(_T)), 0, 1e-12),
        equal("chunked (T, T): less the full gradient", off(chunks(_T, _T)), 0, 1e-12),
        above("chunked (4, 4) less windowed with kappa = 4", off(chunks(4, 4), cut(4)), 1e-3),
    ]
    for name, bias in (("windowed", windows), ("chunked (k, k)", pieces)):
        largest = max(b / a for a, b in pairwise(bias))
        rows.append(below(f"{name}: largest ratio of biases, kappa doubled", largest, 1))
    figure = {
        "x": torch.tensor([1, 2, 4, 8, 16]),
        "bias, windowed": torch.tensor(windows),
        "bias, chunked": torch.tensor(pieces),
    }
    return Proof("truncated-bptt", "Truncated backpropagation", _STATEMENT, rows, figure)


def _detached(layer: Recurrent, dy: Tensor, kappa: int) -> Tensor:
    return chunked(layer, dy, kappa, kappa)


WRONG = Wrong(
    "chunks of kappa that are detached, taken for a window of kappa of every loss: the first loss "
    "of "
    "a chunk goes back over one time, not kappa",
    {"formula": _detached},
)

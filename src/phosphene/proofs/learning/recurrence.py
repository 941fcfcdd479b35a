"""One step of a recurrent network: the state goes into the function too."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from phosphene.core.rng import generator, seeded
from phosphene.learning.recurrent.gru import GRU
from phosphene.learning.recurrent.rnn import RNN, rnn_step
from phosphene.proofs.proof import Proof, Wrong, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "h_t = f(W_hh h_(t-1) + W_xh x_t + b), the same weights at every t; f = tanh, ReLU or sigmoid. "
    "torch has two biases, whose sum is b. A GRU has h_t = (1 - z) n + z h_(t-1), with r after the "
    "product: n = tanh(W_xn x_t + b_xn + r (W_hn h_(t-1) + b_hn))."
)


def prove(seed: int = 0, *, formula: Callable[..., Tensor] = rnn_step) -> Proof:
    """Run the formula over a sequence with torch's weights.

    Elman (1990).

    Args:
        seed: Of the weights and of the sequence.
        formula: The next state from x, h, W_xh, W_hh, b and f.

    Example:
        >>> prove().holds
        True
    """
    x = torch.randn(20, 4, 3, generator=generator(seed), dtype=torch.float64)
    rows = []
    for name, f in (("tanh", torch.tanh), ("relu", torch.relu)):
        with seeded(seed):
            peer = nn.RNN(3, 6, nonlinearity=name, dtype=torch.float64)
        expected = peer(x)[0].detach()
        layer = RNN.from_torch(peer)
        found = _states(x, layer, f, formula)
        rows += [
            equal(
                f"{name}: formula less torch.nn.RNN, 20 steps",
                (found - expected).abs().max(),
                0,
                1e-12,
            ),
            equal(f"{name}: layer less torch.nn.RNN", (layer(x) - expected).abs().max(), 0, 1e-12),
        ]
    own = RNN(3, 6, activation="sigmoid", seed=seed, dtype=torch.float64)
    found = _states(x, own, torch.sigmoid, formula)
    rows.append(equal("sigmoid: formula less layer", (own(x) - found).abs().max(), 0, 1e-12))
    with seeded(seed):
        gated = nn.GRU(3, 6, dtype=torch.float64)
    gap = (GRU.from_torch(gated)(x) - gated(x)[0].detach()).abs().max()
    rows.append(equal("GRU: layer less torch.nn.GRU", gap, 0, 1e-12))
    return Proof("recurrence", "A recurrent step", _STATEMENT, rows)


def _states(
    x: Tensor, layer: RNN, f: Callable[[Tensor], Tensor], formula: Callable[..., Tensor]
) -> Tensor:
    h = x.new_zeros(x.shape[1], layer.hidden)
    states = []
    for at in x:
        h = formula(at, h, *(layer.parameters[k] for k in ("W_xh", "W_hh", "b")), f)
        states.append(h)
    return torch.stack(states)


def _outside(
    x: Tensor, h: Tensor, W_xh: Tensor, W_hh: Tensor, b: Tensor, f: Callable[[Tensor], Tensor]
) -> Tensor:
    return f(x @ W_xh.T + b) + h @ W_hh.T


WRONG = Wrong(
    "h_t = W_hh h_(t-1) + f(W_xh x_t + b): the state is left out of f, a way to read the notes' "
    "damaged line",
    {"formula": _outside},
)

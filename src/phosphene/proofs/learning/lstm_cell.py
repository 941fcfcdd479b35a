"""The LSTM's gates in their order, and the cell that keeps its gradient."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from phosphene.core.rng import generator, seeded
from phosphene.learning.recurrent.lstm import LSTM, lstm_step
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "(i, f, o, g) = (sigmoid, sigmoid, sigmoid, tanh)(W_xh x_t + W_hh h_(t-1) + b), c_t = f "
    "c_(t-1) + i g, h_t = o tanh(c_t). torch holds the rows in the order i, f, g, o. Along the "
    "cell dc_t/dc_(t-1) = f: with f = 1 and i = 0, dc_t/dc_0 = 1 for all t; with f = sigmoid(1), "
    "0.73^t."
)
Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
_T = 100


def prove(seed: int = 0, *, formula: Step = lstm_step) -> Proof:
    """Run the step that is handed in with torch's weights, and open its cell.

    Hochreiter and Schmidhuber (1997).

    Args:
        seed: Of the weights and the sequence.
        formula: h_t and c_t from the sums of the gates and c_(t-1).

    Example:
        >>> prove().holds
        True
    """
    with seeded(seed):
        peer = nn.LSTM(3, 5, dtype=torch.float64)
    x = torch.randn(20, 4, 3, generator=generator(seed), dtype=torch.float64)
    layer = LSTM.from_torch(peer)
    expected = peer(x)[0].detach()
    own = layer.parameters
    h = c = torch.zeros(4, 5, dtype=torch.float64)
    states = []
    for at in x:
        h, c = formula(at @ own["W_xh"].T + h @ own["W_hh"].T + own["b"], c)
        states.append(h)
    dy = torch.randn(20, 4, 5, generator=generator(seed, 1), dtype=torch.float64)
    found = layer(x)
    layer.backward(dy)
    (peer(x)[0] * dy).sum().backward()
    gradients = layer.torch_names(layer.grads)
    gap = max(
        float((gradients[n] - p.grad).abs().max())
        for n, p in peer.named_parameters()
        if p.grad is not None
    )
    rows = [
        equal(
            "the step less torch.nn.LSTM, 20 times",
            (torch.stack(states) - expected).abs().max(),
            0,
            1e-12,
        ),
        equal("the layer less torch.nn.LSTM", (found - expected).abs().max(), 0, 1e-12),
        equal("all its gradients less autograd's", gap, 0, 1e-12),
        equal("f = 1, i = 0: dc_100/dc_0", _kept(formula, 1e3, -1e3), 1, 0),
        equal(
            "f = sigmoid(1): dc_100/dc_0",
            _kept(formula, 1.0, -1e3),
            torch.sigmoid(torch.tensor(1.0)).double() ** _T,
            1e-18,
        ),
        below("f = sigmoid(0): dc_100/dc_0", _kept(formula, 0.0, -1e3), 1e-30),
    ]
    return Proof("lstm-cell", "The cell of an LSTM", _STATEMENT, rows)


def _kept(formula: Step, forget: float, let_in: float) -> float:
    """dc_T/dc_0 with gates that stay as they are."""
    c = c0 = torch.ones(1, dtype=torch.float64, requires_grad=True)
    a = torch.tensor([let_in, forget, 0.5, 0.5], dtype=torch.float64)
    for _ in range(_T):
        _, c = formula(a, c)
    (slope,) = torch.autograd.grad(c, c0)
    return float(slope)


def _in_torchs_order(a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    i, f, g, o = a.chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


WRONG = Wrong(
    "rows that lie as i, f, o, g (the notes' order) read as i, f, g, o (torch's): o and g change "
    "places",
    {"formula": _in_torchs_order},
)

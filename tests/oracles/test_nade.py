"""NADE against its equations in plain numpy, one example and one value at a time."""

import numpy as np
import torch

from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.nade import NADE
from tests.helpers.tiny import examples


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-a))


def _log_prob(x: np.ndarray, W: np.ndarray, V: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
    """sum_i log p(x_i | x_<i), every hidden layer computed afresh: O(H D^2)."""
    total = 0.0
    for i in range(len(x)):
        h = _sigmoid(b + W[:, :i] @ x[:i])
        p = _sigmoid(c[i] + V[i] @ h)
        total += float(np.log(p if x[i] else 1.0 - p))
    return total


def test_likelihood_is_that_of_the_equations() -> None:
    event = Event.binary(20)
    with seeded(0):
        model = NADE(event, hidden=7).double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator(1)))
    x = examples(event, 10)
    chain = model.chains[0]
    W, V = chain.W[:, 0].T.detach().numpy(), chain.V[:, 0].detach().numpy()
    b, c = chain.b.detach().numpy(), chain.c[:, 0].detach().numpy()
    expected = [_log_prob(row, W, V, b, c) for row in x.double().numpy()]
    with torch.no_grad():
        np.testing.assert_allclose(model.log_prob(x).numpy(), expected, rtol=0, atol=1e-10)
        np.testing.assert_allclose(model.log_prob_sequential(x).numpy(), expected, atol=1e-10)


def test_one_hot_inputs_are_columns_of_their_own() -> None:
    """With one-hot codes, a value adds its own column of its dimension's weights."""
    event = Event.tokens(5, 4)
    with seeded(0):
        model = NADE(event, hidden=6).double()
    x = examples(event, 3)
    chain = model.chains[0]
    W, V = chain.W.detach().numpy(), chain.V.detach().numpy()
    b, c = chain.b.detach().numpy(), chain.c.detach().numpy()
    expected = []
    for row in x.numpy():
        a, total = b.copy(), 0.0
        for i, code in enumerate(row):
            logits = c[i] + V[i] @ _sigmoid(a)
            total += logits[code] - np.log(np.exp(logits).sum())
            a += W[i, code]
        expected.append(total)
    np.testing.assert_allclose(model.log_prob(x).detach().numpy(), expected, atol=1e-10)

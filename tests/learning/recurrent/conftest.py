"""Layers in float64, of all kinds, and sequences for them."""

import pytest
import torch

from phosphene.learning.recurrent.gru import GRU
from phosphene.learning.recurrent.lstm import LSTM
from phosphene.learning.recurrent.rnn import RNN

MADE = {
    "tanh": lambda **told: RNN(3, 5, **told),
    "relu": lambda **told: RNN(3, 5, activation="relu", **told),
    "sigmoid": lambda **told: RNN(3, 5, activation="sigmoid", **told),
    "lstm": lambda **told: LSTM(3, 5, **told),
    "gru": lambda **told: GRU(3, 5, **told),
}
TIME, N = 7, 4


@pytest.fixture(params=MADE)
def made(request):
    return MADE[request.param]


@pytest.fixture
def layer(made):
    layer = made(seed=1, dtype=torch.float64)
    for p in layer.parameters.values():
        p += 0.5 * torch.randn_like(p)
    return layer


@pytest.fixture
def x():
    return torch.randn(TIME, N, 3, dtype=torch.float64)


@pytest.fixture
def dy():
    return torch.randn(TIME, N, 5, dtype=torch.float64)

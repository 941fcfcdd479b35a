"""The benchmark of the learning machinery at a tiny size: it compares before it times."""

import pytest
import torch

from benchmarks import learning
from benchmarks.common import run_all
from phosphene.learning.backprop.classifier import accuracy, convolutional, train_classifier
from phosphene.learning.backprop.lessons.backpropagation import pictures

TINY = learning.Size(convolutions=((2, 2, 3, 3, 2, 1, 7),), optimizers=(3, 5), rounds=1)


def test_every_convolution_agrees():
    rows = run_all(learning.cases(TINY), 1, ())
    own = [row for row in rows if row.case.startswith("convolution")]
    assert {row.peer for row in own} >= {"torch"}
    assert all(row.max_difference < 1e-4 for row in own)


def test_another_convolution_is_noticed():
    told = (2, 2, 3, 3, 1, 1, 7)

    def twice() -> tuple[torch.Tensor, ...]:
        y, dx, dw = learning._torch(*told)()
        return y, dx, 2 * dw

    with pytest.raises(AssertionError, match="convolutions differ"):
        learning._convolution("torch", twice, *told).check()


def test_the_twin_has_the_same_values_and_takes_the_same_steps():
    x, y = torch.rand(32, 1, 8, 8), torch.arange(32) % 3
    network = convolutional((1, 8, 8), 3, width=4, seed=1)
    twin = learning.torch_twin(network)
    assert (network(x) - twin(x)).abs().max() < 1e-5
    network = convolutional((1, 8, 8), 3, width=4, seed=1)
    twin = learning.torch_twin(network)
    train_classifier(network, x, y, (x, y), epochs=2, batch=16, seed=3)
    learning.train_twin(twin, x, y, epochs=2, batch=16, seed=3)
    for own, other in zip(network.parameters.values(), twin.parameters(), strict=True):
        assert (own - other).abs().max() < 1e-4


@pytest.mark.slow
def test_layers_written_out_learn_digits():
    """98.4 % of the packaged MNIST's 1,000 test digits in 2 minutes of one core."""
    x, y = pictures("mnist", "train")
    network = convolutional((1, 28, 28), 10, seed=0)
    found = train_classifier(network, x, y, pictures("mnist", "validation"), epochs=12, seed=0)
    assert accuracy(network, *pictures("mnist", "test")) >= 0.984
    assert found.seconds < 120

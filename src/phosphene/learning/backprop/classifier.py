"""Networks of these layers that tell pictures apart, and how they are trained.

After LeCun, Bottou, Bengio and Haffner (1998).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.rng import generator
from phosphene.learning.backprop.activate import Activate
from phosphene.learning.backprop.convolution import Convolution2d
from phosphene.learning.backprop.layer import Flatten, Layer, Network
from phosphene.learning.backprop.linear import Linear
from phosphene.learning.backprop.losses import CrossEntropy
from phosphene.learning.backprop.normalization import BatchNorm
from phosphene.learning.backprop.pooling import MaxPool2d
from phosphene.learning.optimizers.adamw import AdamW

__all__ = [
    "NETWORKS",
    "Trained",
    "accuracy",
    "convolutional",
    "fully_connected",
    "network_called",
    "shifted",
    "step_share",
    "train_classifier",
]

Shape = tuple[int, int, int]


def convolutional(shape: Shape, classes: int, *, width: int = 16, seed: int = 0) -> Network:
    """Three convolutions of 3 x 3 with batch normalization, two poolings, and a linear layer.

    Args:
        shape: Channels, height and width of pictures, at least 4 x 4.
        classes: How many.
        width: Filters of the first convolution; the next ones have twice and four times as many.
        seed: Of the weights.

    Example:
        >>> convolutional((1, 28, 28), 10)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    channels, h, w = shape
    if min(h, w) < 4:
        raise ConfigError(f"pictures must be at least 4 x 4, got {h} x {w}")
    layers: list[Layer] = []
    for k in range(3):
        filters = width * 2**k
        layers += [
            Convolution2d(
                channels, filters, 3, padding=1, bias=False, seed=seed + k, input_gradient=k > 0
            ),
            BatchNorm(filters),
        ]
        if k < 2:
            layers.append(MaxPool2d(2))
            h, w = h // 2, w // 2
        layers.append(Activate("relu"))
        channels = filters
    return Network([*layers, Flatten(), Linear(channels * h * w, classes, seed=seed + 3)])


def fully_connected(shape: Shape, classes: int, *, width: int = 256, seed: int = 0) -> Network:
    """Two hidden layers of rectified units: the plain multi-layer perceptron.

    Args:
        shape: Channels, height and width of pictures.
        classes: How many.
        width: Units of a hidden layer.
        seed: Of the weights.

    Example:
        >>> fully_connected((1, 8, 8), 10)(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """
    return Network(
        [
            Flatten(),
            Linear(math.prod(shape), width, seed=seed),
            Activate("relu"),
            Linear(width, width, seed=seed + 1),
            Activate("relu"),
            Linear(width, classes, seed=seed + 2),
        ]
    )


NETWORKS: dict[str, Callable[..., Network]] = {
    "convolution": convolutional,
    "perceptron": fully_connected,
}
"""By the name that ``phosphene learn backpropagation --network`` takes."""


def shifted(x: Tensor, most: int, g: torch.Generator) -> Tensor:
    """Each picture moved by up to ``most`` pixels either way; what comes in is the first corner's.

    Args:
        x: (n, c, h, w).
        most: 0 for none.
        g: Draws the shifts.

    Example:
        >>> shifted(torch.ones(2, 1, 3, 3), 0, torch.Generator()).sum()
        tensor(18.)
    """
    if most == 0:
        return x
    n, c, h, w = x.shape
    padded = x[:, :, :1, :1].expand(n, c, h + 2 * most, w + 2 * most).clone()
    padded[:, :, most : most + h, most : most + w] = x
    down = torch.randint(2 * most + 1, (n, 1), generator=g) + torch.arange(h)
    along = torch.randint(2 * most + 1, (n, 1), generator=g) + torch.arange(w)
    rows = torch.arange(n)[:, None, None]
    return padded.transpose(0, 1)[:, rows, down[:, :, None], along[:, None, :]].transpose(0, 1)


@dataclass
class Trained:
    """What a training of a classifier found.

    Args:
        network: As it ended.
        losses: The mean loss of each epoch.
        accuracies: On what was held out, after each epoch.
        seconds: Processor seconds, all together.
    """

    network: Network
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    seconds: float = 0.0


def train_classifier(
    network: Network,
    x: Tensor,
    y: Tensor,
    held_out: tuple[Tensor, Tensor],
    *,
    epochs: int,
    batch: int = 64,
    lr: float = 3e-3,
    weight_decay: float = 0.05,
    shift: int = 2,
    seed: int = 0,
    told: Callable[[int, float, float], None] = lambda epoch, loss, accuracy: None,
) -> Trained:
    """Minimize cross-entropy by AdamW; the step size rises for a fifth and falls to 0 as a cosine.

    Args:
        network: Trained in place.
        x: Pictures (n, c, h, w).
        y: Class numbers (n,).
        held_out: Pictures and class numbers, looked at after each epoch; nothing is chosen by them.
        epochs: Passes over the pictures.
        batch: Pictures a step.
        lr: The largest step size.
        weight_decay: Of all parameters.
        shift: Pixels by which pictures are moved at random.
        seed: Of the order and the shifts.
        told: Called after each epoch with its number, loss and accuracy.

    Returns:
        The network as it is after the last epoch, with the course of losses and accuracies.
    """
    begun = time.process_time()
    found, loss, n = Trained(network), CrossEntropy(), len(x)
    optimizer = AdamW(network.parameters.values(), lr=lr, weight_decay=weight_decay)
    per_epoch = -(-n // batch)
    step, steps = 0, epochs * per_epoch
    for epoch in range(epochs):
        g = generator(seed, epoch)
        order, total = torch.randperm(n, generator=g), 0.0
        for rows in order.split(batch):
            for group in optimizer.param_groups:
                group["lr"] = lr * step_share((step + 1) / (steps + 1))
            value = loss.forward(network(shifted(x[rows], shift, g)), y[rows])
            network.backward(loss.backward())
            grads = network.grads
            for name, parameter in network.parameters.items():
                parameter.grad = grads[name]
            optimizer.step()
            total += float(value) * len(rows)
            step += 1
        found.losses.append(total / n)
        found.accuracies.append(accuracy(network, *held_out))
        found.seconds = time.process_time() - begun
        told(epoch, found.losses[-1], found.accuracies[-1])
    return found


def step_share(t: float, rise: float = 0.2) -> float:
    """The part of the largest step size at t of a training, from 0 to 1: up a line, down a cosine.

    Example:
        >>> step_share(0.1), step_share(0.2), round(step_share(0.6), 3)
        (0.5, 1.0, 0.5)
    """
    return t / rise if t < rise else (1 + math.cos(math.pi * (t - rise) / (1 - rise))) / 2


def accuracy(network: Network, x: Tensor, y: Tensor) -> float:
    """The part of pictures that are told apart rightly, as after training."""
    with network.evaluating():
        parts = zip(x.split(250), y.split(250), strict=True)
        right = sum(int((network(a).argmax(1) == b).sum()) for a, b in parts)
    return right / len(x)


def network_called(name: str) -> Callable[..., Network]:
    """The function that makes a network of that name.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    return NETWORKS[name]

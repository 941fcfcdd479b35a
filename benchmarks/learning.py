"""The learning machinery beside its peers: convolution, optimizers, and a network on digits.

    python -m benchmarks.learning [--quick] [--json FILE]
    python -m benchmarks.learning --digits [--seeds 3] [--epochs 12]

Convolution forward and backward against MyGrad and, where it is installed, numpy-ml, which write
their gradients out too, and against torch, which has kernels of its own; steps of optimizers
against ``torch.optim``. Values and gradients are compared before anything is timed. ``--digits``
trains a network of our layers and optimizers, and the same network in torch from the same weights
on the same batches, on the packaged MNIST: 8,000 to train, 1,000 to test.
"""

import argparse
import collections
import collections.abc
import importlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import learning_optimizers
from benchmarks.common import Case, Row, Watch, arguments, run_all, write_json
from phosphene.core.rng import generator
from phosphene.learning.backprop.classifier import (
    NETWORKS,
    Trained,
    accuracy,
    shifted,
    step_share,
    train_classifier,
)
from phosphene.learning.backprop.convolution import Convolution2d
from phosphene.learning.backprop.layer import Network
from phosphene.learning.backprop.lessons.backpropagation import pictures

__all__ = ["QUICK", "Size", "cases", "digits", "main", "torch_twin", "train_twin"]

PEERS = ("mygrad",)
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Size:
    """How much work each case is.

    Args:
        convolutions: Images, channels, filters, kernel, stride, padding and side of images.
        optimizers: Tensors, and values of each.
        rounds: Measurements of each case.
    """

    convolutions: tuple[tuple[int, int, int, int, int, int, int], ...] = (
        (64, 1, 16, 3, 1, 1, 28),
        (64, 16, 32, 3, 1, 1, 14),
        (32, 8, 16, 5, 2, 2, 33),
    )
    optimizers: tuple[int, int] = (50, 2000)
    rounds: int = 9


QUICK = Size(convolutions=((16, 8, 16, 3, 1, 1, 14),), rounds=5)


def cases(size: Size) -> Iterator[Case]:
    """Convolutions against each peer, then steps of optimizers."""
    for told in size.convolutions:
        for peer, make in (("mygrad", _mygrad), ("numpy-ml", _numpy_ml), ("torch", _torch)):
            try:
                theirs = make(*told)
            except ImportError:
                continue
            yield _convolution(peer, theirs, *told)
    yield from learning_optimizers.cases(*size.optimizers)


Gradients = Callable[[], tuple[Tensor, Tensor, Tensor]]
"""Does a forward and a backward pass; gives y, dx and dw."""


def _given(n: int, c: int, f: int, k: int, s: int, p: int, side: int) -> tuple[Tensor, ...]:
    """x, w and dy, which both sides hold."""
    g = generator(0, n, c, f)
    out = (side + 2 * p - k) // s + 1
    shapes = ((n, c, side, side), (f, c, k, k), (n, f, out, out))
    x, w, dy = (torch.randn(shape, generator=g) for shape in shapes)
    return x, w, dy


def _convolution(peer: str, theirs: Gradients, *told: int) -> Case:
    n, c, f, k, s, p, side = told
    x, w, dy = _given(*told)
    layer = Convolution2d(c, f, k, stride=s, padding=p, bias=False)
    layer.parameters["weight"] = w

    def ours() -> tuple[Tensor, Tensor, Tensor]:
        y = layer.forward(x)
        return y, layer.backward(dy), layer.grads["weight"]

    def check() -> float:
        worst = 0.0
        for a, b in zip(ours(), theirs(), strict=True):
            worst = max(worst, float((a - b).abs().max() / b.abs().max()))
        assert worst < _TOLERANCE, f"convolutions differ by {worst}"
        return worst

    name = f"convolution {n} x {c} x {side}^2, {f} of {k} x {k}, stride {s}, forward and backward"

    def timed(function: Gradients) -> Callable[[Watch], None]:
        return lambda watch: [function() for _ in range(3)] and None

    return Case(name, peer, check, timed(theirs), timed(ours))


def _torch(*told: int) -> Gradients:
    _, _, _, _, s, p, _ = told
    x, w, dy = _given(*told)

    def run() -> tuple[Tensor, Tensor, Tensor]:
        a, b = x.requires_grad_(), w.requires_grad_()
        y = F.conv2d(a, b, stride=s, padding=p)
        dx, dw = torch.autograd.grad(y, (a, b), dy)
        return y.detach(), dx, dw

    return run


def _mygrad(*told: int) -> Gradients:
    mygrad = importlib.import_module("mygrad")
    conv_nd = importlib.import_module("mygrad.nnet.layers").conv_nd
    _, _, _, _, s, p, _ = told
    x, w, dy = (t.numpy() for t in _given(*told))

    def run() -> tuple[Tensor, Tensor, Tensor]:
        a, b = mygrad.tensor(x), mygrad.tensor(w)
        y = conv_nd(a, b, stride=s, padding=p)
        y.backward(dy)
        found = (torch.from_numpy(v) for v in (y.data, a.grad, b.grad))
        return next(found), next(found), next(found)

    return run


def _numpy_ml(*told: int) -> Gradients:
    collections.Hashable = collections.abc.Hashable  # type: ignore[attr-defined]  # gone since 3.10
    layers = importlib.import_module("numpy_ml.neural_nets.layers")
    _, _, f, k, s, p, _ = told
    x, w, dy = _given(*told)
    layer: Any = layers.Conv2D(out_ch=f, kernel_shape=(k, k), pad=p, stride=s)
    last = [t.permute(0, 2, 3, 1).contiguous().numpy() for t in (x, dy)]
    layer.forward(last[0])
    layer.parameters["W"] = w.permute(2, 3, 1, 0).contiguous().numpy()

    def run() -> tuple[Tensor, Tensor, Tensor]:
        layer.flush_gradients()
        layer.derived_variables = {"Z": [], "out_rows": [], "out_cols": []}
        layer.X = []
        y = layer.forward(last[0])
        dx = layer.backward(last[1])
        dw = torch.from_numpy(layer.gradients["W"]).permute(3, 2, 0, 1)
        first = (torch.from_numpy(v).permute(0, 3, 1, 2) for v in (y, dx))
        return next(first), next(first), dw

    return run


def torch_twin(network: Network) -> nn.Sequential:
    """The same convolutional network of torch's own modules, with the same weights."""
    layers: list[nn.Module] = []
    for layer in network.layers:
        own = layer.parameters
        made: nn.Module
        match type(layer).__name__:
            case "Convolution2d":
                f, c, k, _ = own["weight"].shape
                made = nn.Conv2d(c, f, k, padding=1, bias=False)
            case "BatchNorm":
                made = nn.BatchNorm2d(len(own["weight"]))
            case "MaxPool2d":
                made = nn.MaxPool2d(2)
            case "Activate":
                made = nn.ReLU()
            case "Flatten":
                made = nn.Flatten()
            case _:
                made = nn.Linear(*reversed(own["weight"].shape))
        with torch.no_grad():
            for name, value in own.items():
                getattr(made, name).copy_(value)
        layers.append(made)
    return nn.Sequential(*layers)


def train_twin(
    twin: nn.Sequential, x: Tensor, y: Tensor, *, epochs: int, batch: int = 64, lr: float = 3e-3,
    weight_decay: float = 0.05, shift: int = 2, seed: int = 0,
) -> float:  # fmt: skip
    """Train it in torch on the same batches; returns processor seconds."""
    begun, n = time.process_time(), len(x)
    optimizer = torch.optim.AdamW(twin.parameters(), lr=lr, weight_decay=weight_decay)
    step, steps = 0, epochs * -(-n // batch)
    for epoch in range(epochs):
        g = generator(seed, epoch)
        for rows in torch.randperm(n, generator=g).split(batch):  # type: ignore[no-untyped-call]
            optimizer.param_groups[0]["lr"] = lr * step_share((step + 1) / (steps + 1))
            optimizer.zero_grad()
            F.cross_entropy(twin(shifted(x[rows], shift, g)), y[rows]).backward()
            optimizer.step()
            step += 1
    return time.process_time() - begun


def digits(seeds: Sequence[int], epochs: int) -> list[dict[str, float]]:
    """Test accuracies and processor seconds of our network, its twin, and a plain perceptron."""
    (x, y), held_out, test = (pictures("mnist", part) for part in ("train", "validation", "test"))
    found = []
    for seed in seeds:
        row: dict[str, float] = {"seed": seed}
        for name, width in (("convolution", 16), ("perceptron", 256)):
            network = NETWORKS[name]((1, 28, 28), 10, width=width, seed=seed)
            twin = torch_twin(network) if name == "convolution" else None
            ours: Trained = train_classifier(network, x, y, held_out, epochs=epochs, seed=seed)
            row |= {name: 100 * accuracy(network, *test), f"{name} seconds": ours.seconds}
            row[f"{name}, validation"] = 100 * ours.accuracies[-1]
            if twin is not None:
                row["torch seconds"] = train_twin(twin, x, y, epochs=epochs, seed=seed)
                twin.eval()
                with torch.no_grad():
                    right = (twin(test[0]).argmax(1) == test[1]).double().mean()
                row["torch"] = 100 * float(right)
        found.append(row)
        print(", ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)
    return found


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--digits", action="store_true", help="train on digits, three ways")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Print the tables; write them if asked to."""
    told = arguments(__doc__ or "", argv, _options)
    torch.set_num_threads(1)
    if told.digits:
        rows = digits(range(told.seeds), told.epochs)
        for name in rows[0]:
            if name != "seed":
                print(f"mean {name}: {statistics.fmean(row[name] for row in rows):.4g}")
        return []
    size = QUICK if told.quick else Size()
    table = run_all(cases(size), size.rounds, PEERS)
    if told.json:
        write_json(table, told.json)
    return table


if __name__ == "__main__":
    main()

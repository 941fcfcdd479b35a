"""A network of layers written out, trained to tell pictures apart.

After Rumelhart, Hinton and Williams (1986).
"""

import time
from typing import Annotated

import torch
from torch import Tensor

from phosphene.core.errors import DataError
from phosphene.core.lesson import Curves, Images, Lesson
from phosphene.core.ranges import Within
from phosphene.data.dataset import Dataset
from phosphene.data.loading import load
from phosphene.learning.backprop.classifier import accuracy, network_called, train_classifier
from phosphene.learning.backprop.convolution import Convolution2d
from phosphene.learning.backprop.layer import Network, numeric_gradient
from phosphene.learning.backprop.losses import CrossEntropy

__all__ = ["demonstrate", "pictures"]


def demonstrate(
    *,
    seed: int = 0,
    data: str = "digits",
    network: str = "convolution",
    epochs: Annotated[int, Within(1, 10_000)] = 8,
    width: Annotated[int, Within(1, 4096)] = 16,
    shift: Annotated[int, Within(0, 64)] = 1,
) -> Lesson:
    """Train on pictures with classes; show losses, what the first kernels became, and mistakes.

    Args:
        seed: Of the weights, the order and the shifts.
        data: Pictures with classes: a data set, or ``folder:PATH`` with a folder for each class.
        network: ``convolution`` or ``perceptron``, two hidden layers.
        epochs: Passes over the pictures.
        width: Filters of the first convolution, or units of a hidden layer.
        shift: Pixels by which pictures are moved at random.

    Example:
        >>> demonstrate(epochs=2).numbers["accuracy on test pictures"] > 0.8
        True
    """
    (x, y), held_out, test = (pictures(data, part) for part in ("train", "validation", "test"))
    classes = int(torch.cat([y, held_out[1], test[1]]).max()) + 1
    shape = (x.shape[1], x.shape[2], x.shape[3])
    made = network_called(network)(shape, classes, width=width, seed=seed)
    error = _gradient_error(made.to(torch.float64), x[:8].double(), y[:8])
    made = network_called(network)(shape, classes, width=width, seed=seed)
    begun = time.process_time()
    found = train_classifier(made, x, y, held_out, epochs=epochs, shift=shift, seed=seed)
    numbers: dict[str, float | int] = {
        "accuracy on test pictures": accuracy(made, *test),
        "accuracy on validation pictures": found.accuracies[-1],
        "training pictures": len(x),
        "test pictures": len(test[0]),
        "parameters": sum(p.numel() for p in made.parameters.values()),
        "CPU seconds": round(time.process_time() - begun, 1),
        "largest error of a gradient, against differences": error,
    }
    along = list(range(1, epochs + 1))
    panels: list[Curves | Images] = [
        Curves(title="Loss", x="epoch", y="cross-entropy, nats", log="y",
               lines={"training": (along, found.losses)}),
        Curves(title="Accuracy", x="epoch", y="part told apart rightly",
               lines={"validation": (along, found.accuracies)}),
        _mistakes(made, *test),
    ]  # fmt: skip
    first = made.layers[0]
    if isinstance(first, Convolution2d):
        kernels = first.parameters["weight"].mean(1)[:16]
        panels.append(Images(title="Kernels of the first layer", images=kernels, columns=4))
    text = (
        f"Every gradient was computed by the layers' own backward passes. The {network} network "
        f"learned {len(x)} pictures of {classes} classes in {epochs} epochs with AdamW, each "
        f"picture moved by up to {shift} pixels. A dozen entries of the gradient were compared "
        "with finite differences before."
    )
    return Lesson(title="Backpropagation", text=text, numbers=numbers, panels=panels)


def pictures(data: str, split: str) -> tuple[Tensor, Tensor]:
    """Pictures (n, c, h, w) in [0, 1] and their classes (n,) of a split.

    Raises:
        DataError: The data are no pictures, or have no classes.
    """
    found: Dataset = load(data, split)
    if not found.event.has_image_shape or len(found.event.shape) != 3:
        raise DataError(f"{data!r} has no pictures; this lesson takes pictures with classes")
    if found.y is None:
        raise DataError(
            f"the pictures of {data!r} have no classes; a folder for each class gives them"
        )
    top = (found.event.levels or 2) - 1
    return found.x.float() / top, found.y


def _gradient_error(network: Network, x: Tensor, y: Tensor) -> float:
    """The last layer's gradient against central differences, relative to its largest entry."""
    loss = CrossEntropy()
    last = network.layers[-1]
    weight = last.parameters["weight"]
    loss.forward(network(x), y)
    network.backward(loss.backward())
    own = last.grads["weight"][:1, :12].clone()

    def value(some: Tensor) -> Tensor:
        with torch.no_grad():
            weight[:1, :12] = some
        return loss.forward(network(x), y)

    numeric = numeric_gradient(value, weight[:1, :12].clone())
    return float((own - numeric).abs().max() / own.abs().max())


def _mistakes(network: Network, x: Tensor, y: Tensor) -> Images:
    with network.evaluating():
        said = torch.cat([network(part).argmax(1) for part in x.split(250)])
    wrong = (said != y).nonzero()[:, 0][:12]
    title = f"Mistakes: {int((said != y).sum())} of {len(y)}"
    if len(wrong) == 0:
        wrong, title = torch.arange(min(12, len(y))), "No mistakes; the first pictures"
    names = [f"{int(y[k])}, said {int(said[k])}" for k in wrong]
    shown = x[wrong]
    return Images(
        title=title, columns=4, names=names,
        images=shown.mean(1) if shown.shape[1] != 3 else shown.permute(0, 2, 3, 1),
    )  # fmt: skip

"""Offline features for comparing sets of examples: raw, PCA, random convolutions, a classifier.

No weights are fetched from anywhere. Distances on these features are never called FID, which is a
name for one network's features.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.core.errors import ConfigError, DataError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.moments import Moments, standardize
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.evaluate.data_kind import DataKind, kind_of

__all__ = [
    "NAMES",
    "Classifier",
    "ClassifierFeatures",
    "Features",
    "PcaFeatures",
    "RandomConvFeatures",
    "RawFeatures",
    "StandardizedFeatures",
    "classify",
    "default_name",
    "make_features",
    "unit",
]

_ROWS = 256
_CLASSIFIER_SHA256 = "c6f814de0c7305cab7ace6e99094701037a821cd4d508b74be585b9a6f63ac89"


class Features(Protocol):
    """Maps examples (n, *event.shape) to features (n, d), float32."""

    name: str

    def __call__(self, x: Tensor) -> Tensor:
        """Features (n, d)."""
        ...


def unit(event: Event, x: Tensor) -> Tensor:
    """Codes scaled to [0, 1] as float32; real values as they are."""
    x = x.detach().cpu().float()
    return x if event.levels is None else x / (event.levels - 1)


class RawFeatures:
    """The scaled examples themselves, flattened: d = D.

    Example:
        >>> RawFeatures(Event.image(1, 2))(torch.full((1, 1, 2, 2), 255))
        tensor([[1., 1., 1., 1.]])
    """

    name = "raw"

    def __init__(self, event: Event) -> None:
        self.event = event

    def __call__(self, x: Tensor) -> Tensor:
        """Features (n, D)."""
        return unit(self.event, x).flatten(1)


class StandardizedFeatures:
    """The columns of a table, each by the mean and standard deviation of the training split: d = D.

    Distances between rows then do not depend on the columns' units.

    Args:
        event: A real event.
        moments: Of the training examples.

    Raises:
        ConfigError: The event is not real.
    """

    name = "standardized"

    def __init__(self, event: Event, moments: Moments | None) -> None:
        if moments is None:
            raise ConfigError(f"standardized features need reals, and the event is {event}")
        self.moments = moments

    def __call__(self, x: Tensor) -> Tensor:
        """Features (n, D)."""
        y = standardize(x.detach().cpu(), self.moments.mean, self.moments.units, torch.float32)
        return y.flatten(1)


class PcaFeatures:
    r"""Coordinates on the leading principal components of the training split (Pearson, 1901).

    .. math:: f(x) = V_k^\top (x - \mu)

    The components are not whitened: distances along them are distances between examples.

    Args:
        event: What one example is.
        train: Training examples (n, *event.shape).
        k: The most components; fewer where the data have fewer.
    """

    name = "pca"

    def __init__(self, event: Event, train: Tensor, *, k: int = 64) -> None:
        self.event = event
        x = unit(event, train).flatten(1).double()
        self.mean = x.mean(0)
        values, vectors = torch.linalg.eigh((x - self.mean).T @ (x - self.mean) / len(x))
        rank = int((values > values[-1].clamp(min=1e-30) * 1e-10).sum())
        self.components = vectors.flip(1)[:, : max(1, min(k, rank))]

    def __call__(self, x: Tensor) -> Tensor:
        """Features (n, k)."""
        flat = unit(self.event, x).flatten(1).double()
        coordinates: Tensor = (flat - self.mean) @ self.components
        return coordinates.float()


class RandomConvFeatures:
    """A convolutional network with fixed random weights.

    Three 3x3 convolutions with leaky rectifiers, each halving an image of 4 pixels or more, pooled
    to 2x2: 128 features for an image of any size and number of channels. Random convolutions keep
    edges, strokes and where they are, and no training set can have leaked into them.

    Args:
        event: An image event.

    Raises:
        ConfigError: The event is not an image.
    """

    name = "randconv"
    _widths = (16, 32, 32)
    _seed = 20_260_101

    def __init__(self, event: Event) -> None:
        if not event.has_image_shape:
            raise ConfigError(f"randconv features need images, and the event is {event}")
        self.event = event
        widths = (event.shape[0], *self._widths)
        self.weights = []
        for layer, (c_in, c_out) in enumerate(pairwise(widths)):
            w = torch.randn(c_out, c_in, 3, 3, generator=generator(self._seed, layer, c_in))
            # He's scale (2 / fan in) keeps features of order one; biases spread the kinks.
            self.weights.append((w * (2 / (9 * c_in)) ** 0.5, torch.linspace(-0.2, 0.2, c_out)))

    def _forward(self, x: Tensor) -> Tensor:
        h = 2 * unit(self.event, x) - 1 if self.event.discrete else unit(self.event, x)
        for weight, bias in self.weights:
            h = F.leaky_relu(F.conv2d(h, weight, bias, padding=1), 0.2)
            if min(h.shape[-2:]) >= 4:
                h = F.avg_pool2d(h, 2)
        return F.adaptive_avg_pool2d(h, 2).flatten(1)

    def __call__(self, x: Tensor) -> Tensor:
        """Features (n, 128)."""
        with torch.no_grad():
            return torch.cat([self._forward(part) for part in x.split(_ROWS)])


class Classifier(nn.Module):
    """A small convolutional digit classifier; its last hidden layer gives 64 features.

    Trained on the MNIST training split, shifted, rotated and half of it binarized, so that gray
    and binary digits are both in its domain (scripts/build_classifier.py).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1)
        self.hidden = nn.Linear(576, 64)
        self.output = nn.Linear(64, 10)

    def features(self, x: Tensor) -> Tensor:
        """Hidden units (n, 64) of images (n, 1, 28, 28) in [0, 1]."""
        h = F.max_pool2d(self.conv1(x).relu(), 2)
        h = F.max_pool2d(self.conv2(h).relu(), 2)
        h = F.max_pool2d(self.conv3(h).relu(), 2)
        hidden: Tensor = self.hidden(h.flatten(1))
        return hidden.relu()

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, 10)."""
        logits: Tensor = self.output(self.features(x))
        return logits


@cache
def _classifier() -> Classifier:
    from safetensors.torch import load

    asset = files("phosphene.evaluate") / "assets" / "classifier.safetensors"
    raw = asset.read_bytes()
    if hashlib.sha256(raw).hexdigest() != _CLASSIFIER_SHA256:
        raise DataError(
            "the digit classifier classifier.safetensors is damaged (its checksum differs); "
            "reinstall phosphene"
        )
    model = Classifier()
    model.load_state_dict({k: v.float() for k, v in load(raw).items()})
    return model.eval().requires_grad_(False)


class ClassifierFeatures:
    """The 64 hidden units of the shipped digit classifier.

    Args:
        event: An image event of shape (1, 28, 28).

    Raises:
        ConfigError: The event has another shape.
    """

    name = "classifier"
    shape = (1, 28, 28)

    def __init__(self, event: Event) -> None:
        if event.shape != self.shape:
            raise ConfigError(f"classifier features need 1x28x28 images, and the event is {event}")
        self.event = event
        self.model = _classifier()

    def __call__(self, x: Tensor) -> Tensor:
        """Features (n, 64)."""
        with torch.no_grad():
            return torch.cat(
                [self.model.features(unit(self.event, part)) for part in x.split(_ROWS)]
            )

    def classify(self, x: Tensor) -> Tensor:
        """The digit in each image, (n,) int64."""
        with torch.no_grad():
            logits = [self.model(unit(self.event, part)) for part in x.split(_ROWS)]
        return torch.cat(logits).argmax(1)


def classify(event: Event, x: Tensor) -> Tensor:
    """The digit (n,) in each 28x28 image, by the shipped classifier."""
    return ClassifierFeatures(event).classify(x)


def default_name(dataset: Dataset) -> str:
    """The features that fit a data set; where its kind has none, those of flat vectors."""
    kind = kind_of(dataset.event, dataset)
    return kind.features(dataset) or DataKind().features(dataset) or RawFeatures.name


_MAKERS: dict[str, Callable[[Dataset], Features]] = {
    "raw": lambda train: RawFeatures(train.event),
    "standardized": lambda train: StandardizedFeatures(train.event, train.moments),
    "pca": lambda train: PcaFeatures(train.event, train.x),
    "randconv": lambda train: RandomConvFeatures(train.event),
    "classifier": lambda train: ClassifierFeatures(train.event),
}
NAMES = tuple(_MAKERS)


def make_features(name: str, train: Dataset) -> Features:
    """Features by name, fitted on the training split where they need fitting.

    Raises:
        UnknownNameError: There are no such features.
        ConfigError: They do not take this event.
    """
    if name not in _MAKERS:
        raise UnknownNameError("features", name, NAMES)
    return _MAKERS[name](train)

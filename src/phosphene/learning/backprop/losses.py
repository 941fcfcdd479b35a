"""Losses, each a number and its gradient.

After Bridle (1990).
"""

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError

__all__ = ["BinaryCrossEntropy", "CrossEntropy", "Loss", "SquaredError"]


class Loss:
    """The end of a network: a mean over rows, and its gradient with respect to what was predicted.

    Subclasses write ``forward(predicted, target)`` and keep ``self._gradient``.
    """

    _gradient: Tensor

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """The mean loss, a scalar."""
        raise NotImplementedError

    def backward(self) -> Tensor:
        """The gradient of the last forward's loss with respect to the prediction.

        Raises:
            ConfigError: There was no forward.
        """
        if not hasattr(self, "_gradient"):
            raise ConfigError(f"backward of {type(self).__name__} needs a forward before it")
        return self._gradient


def _some(predicted: Tensor) -> None:
    if predicted.numel() == 0:
        raise ConfigError("a mean of no predictions has no value; got an empty tensor")


def _same_shape(predicted: Tensor, target: Tensor) -> None:
    _some(predicted)
    if predicted.shape != target.shape:
        raise ConfigError(
            f"predictions {tuple(predicted.shape)} and targets {tuple(target.shape)} must have the "
            "same shape"
        )


class SquaredError(Loss):
    """L = mean of (y - t)^2 over all entries; dL/dy = 2 (y - t) / entries.

    Example:
        >>> loss = SquaredError()
        >>> loss.forward(torch.tensor([[3.0]]), torch.tensor([[1.0]])), loss.backward()
        (tensor(4.), tensor([[4.]]))
    """

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """The mean of the squares."""
        _same_shape(predicted, target)
        gap = predicted - target
        self._gradient = gap * (2 / gap.numel())
        return gap.square().mean()


class BinaryCrossEntropy(Loss):
    """Of logits a: L = mean of max(a, 0) - a t + log(1 + exp(-|a|)); dL/da = (sigmoid(a) - t) / n.

    This is -t log s - (1 - t) log(1 - s) with s = sigmoid(a), written so that no logit is too
    large.

    Example:
        >>> loss = BinaryCrossEntropy()
        >>> loss.forward(torch.tensor([[1e4]]), torch.tensor([[0.0]])), loss.backward()
        (tensor(10000.), tensor([[1.]]))
    """

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """The mean over all entries."""
        _same_shape(predicted, target)
        low, high = float(target.min()), float(target.max())
        if not 0 <= low <= high <= 1:
            raise ConfigError(f"targets must be from 0 to 1, got {low:g} to {high:g}")
        self._gradient = (predicted.sigmoid() - target) / predicted.numel()
        soft = torch.log1p(torch.exp(-predicted.abs()))
        return (predicted.clamp(min=0) - predicted * target + soft).mean()


class CrossEntropy(Loss):
    """Of logits a (n, classes) and class numbers t: L = mean of log sum_k exp(a_k) - a_t.

    dL/da = (softmax(a) - one_hot(t)) / n. The largest logit is taken out first, so that nothing
    overflows.

    Raises:
        ConfigError: Targets are not n class numbers.

    Example:
        >>> loss = CrossEntropy()
        >>> loss.forward(torch.zeros(1, 2), torch.tensor([0])), loss.backward()
        (tensor(0.6931), tensor([[-0.5000,  0.5000]]))
    """

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """The mean over rows."""
        _some(predicted)
        n = len(predicted)
        if target.shape != (n,) or target.is_floating_point():
            raise ConfigError(
                f"targets must be {n} class numbers, got {tuple(target.shape)} of {target.dtype}"
            )
        if n and not 0 <= int(target.min()) <= int(target.max()) < predicted.shape[1]:
            raise ConfigError(
                f"class numbers must be from 0 to {predicted.shape[1] - 1}, got "
                f"{int(target.min())} to {int(target.max())}"
            )
        rows = torch.arange(n, device=predicted.device)
        shifted = predicted - predicted.amax(1, keepdim=True)
        exp = shifted.exp()
        total = exp.sum(1, keepdim=True)
        gradient = exp / total
        gradient[rows, target] -= 1
        self._gradient = gradient / n
        return (total.log()[:, 0] - shifted[rows, target]).mean()

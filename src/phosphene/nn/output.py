"""What every output distribution has: parameters, log-probability, mean, samples."""

import torch
from torch import Tensor, nn

from phosphene.core.errors import EventError
from phosphene.core.event import Event
from phosphene.core.moments import Moments

__all__ = ["OutputDistribution", "normalize_codes", "soft_clamp", "wide"]


def soft_clamp(x: Tensor, limit: float) -> Tensor:
    """Limit tanh(x / limit): the identity near 0, within (-limit, limit), smooth everywhere."""
    return limit * torch.tanh(x / limit)


def normalize_codes(x: Tensor, event: Event, dtype: torch.dtype = torch.float32) -> Tensor:
    """Codes as floats for a network: 0/1 for two levels, else [-1, 1]; reals unchanged.

    Example:
        >>> normalize_codes(torch.tensor([[0, 255]]), Event.audio(2, levels=256))
        tensor([[-1.,  1.]])
    """
    x = x.to(dtype)
    if event.levels is None or event.levels == 2:
        return x
    return x * (2.0 / (event.levels - 1)) - 1.0


class OutputDistribution(nn.Module):
    """A distribution of the event, independent over dimensions given its parameters.

    Args:
        event: What one example is.
        parameters: How many numbers a network gives for each dimension.
    """

    def __init__(self, event: Event, parameters: int) -> None:
        super().__init__()
        self.event, self.parameters_per_dimension = event, parameters
        self.axis = -1 - len(event.shape)

    def normalize(self, x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The example as a network should see it, of order one."""
        return normalize_codes(x, self.event, dtype)

    def fit(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """Learn the data's scale; return parameters (parameters, *shape) to start at.

        Starting at the marginals of the data saves the first few hundred steps.

        Args:
            x: A batch (n, *shape).
            moments: Of reals, those of all data; None for those of the batch.
        """
        raise NotImplementedError

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Log-probability in nats, summed over dimensions.

        Args:
            params: (..., n, parameters, *shape).
            x: Codes or reals (n, *shape), any dtype.

        Returns:
            (..., n).
        """
        raise NotImplementedError

    def mean(self, params: Tensor) -> Tensor:
        """The mean (..., n, *shape), as floats on the scale of the codes."""
        raise NotImplementedError

    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, *shape): valid codes, or floats for real events."""
        raise NotImplementedError

    def _sum(self, per_dimension: Tensor) -> Tensor:
        return per_dimension.flatten(self.axis + 1).sum(-1)

    def _codes(self, x: Tensor) -> Tensor:
        assert self.event.levels is not None
        return x.to(torch.uint8 if self.event.levels <= 256 else torch.int64)

    def refusal(self, why: str) -> EventError:
        """The error for an event that this distribution cannot model, in one sentence."""
        return EventError(f"{type(self).__name__} cannot model {self.event}: {why}")


def wide(x: Tensor) -> Tensor:
    """Half precision is for matrix products; log-probabilities are summed in float32 at least."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x

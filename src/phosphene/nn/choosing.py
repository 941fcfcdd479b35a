"""How a value is chosen from a conditional: temperature, top-k, nucleus, and a uniform number."""

from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError

__all__ = ["Choosing", "choose"]


@dataclass(frozen=True, kw_only=True)
class Choosing:
    """How values are chosen, one after another.

    Args:
        temperature: Divides log-probabilities: 1 samples the model, below 1 is nearer to the mode,
            0 is greedy (the most probable value).
        top_k: Choose among the k most probable values only; None for all.
        top_p: Choose among the fewest values whose probability reaches p (nucleus sampling,
            Holtzman et al., 2020); None for all.

    Raises:
        ConfigError: A temperature below 0, a k below 1, or a p outside (0, 1].

    Example:
        >>> Choosing(temperature=0.8, top_k=5).plain
        False
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < float("inf"):
            raise ConfigError(
                f"temperature must be 0 (the mode) or above, as 0.8; got {self.temperature:g}"
            )
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k must be 1 or more, got {self.top_k}")
        if self.top_p is not None and not 0.0 < self.top_p <= 1.0:
            raise ConfigError(f"top_p must lie in (0, 1], got {self.top_p:g}")

    @property
    def plain(self) -> bool:
        """Whether these are draws from the model itself."""
        return self.temperature == 1.0 and self.top_k is None and self.top_p is None


def choose(log_p: Tensor, u: Tensor, how: Choosing) -> Tensor:
    """The code at which the cumulated probability passes u: (...,) int64.

    One uniform number gives one value, so that two samplers with the same numbers can be compared.

    Args:
        log_p: Log-probabilities (..., levels), up to a constant.
        u: Uniform numbers in [0, 1) of shape (...,).
        how: Temperature, top-k and nucleus.

    Example:
        >>> log_p = torch.tensor([0.2, 0.5, 0.3]).log()
        >>> [int(choose(log_p, torch.tensor(u), Choosing())) for u in (0.1, 0.3, 0.9)]
        [0, 1, 2]
        >>> int(choose(log_p, torch.tensor(0.0), Choosing(temperature=0.0)))
        1
    """
    if how.temperature == 0.0:
        return log_p.argmax(-1)
    p = torch.softmax(log_p if how.temperature == 1.0 else log_p / how.temperature, -1)
    if how.top_k is not None and how.top_k < p.shape[-1]:
        p = p * _marked(p, p.topk(how.top_k, dim=-1).indices)
    if how.top_p is not None and how.top_p < 1.0:
        p = p * _nucleus(p, how.top_p)
    below = p.cumsum(-1)
    # A hair below the whole, so that rounding cannot pass the last value that can occur.
    whole = below[..., -1:] * (1.0 - torch.finfo(p.dtype).eps)
    return (below <= u.unsqueeze(-1).to(p.dtype) * whole).sum(-1)


def _marked(p: Tensor, index: Tensor) -> Tensor:
    return torch.zeros_like(p).scatter_(-1, index, 1.0)


def _nucleus(p: Tensor, reach: float) -> Tensor:
    """1 for the fewest values whose probability reaches ``reach`` of the whole, else 0."""
    ordered, index = p.sort(dim=-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    kept = (before < reach * ordered.sum(-1, keepdim=True)).to(p.dtype)
    return torch.zeros_like(p).scatter_(-1, index, kept)

"""At which times a network is trained."""

import math

import torch
from torch import Tensor

from phosphene.core.batch import Batch, Noise

__all__ = ["logit_normal", "spread_times", "stratified"]


def logit_normal(u: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """sigmoid(mean + std z), z normal: most times in the middle (Esser et al., 2024).

    The middle is where the velocity of a straight path is hardest to tell.

    Args:
        u: Uniform numbers in [0, 1).
        mean: Above 0 for more noise.
        std: Of the logit.

    Example:
        >>> logit_normal(torch.tensor([0.5]))
        tensor([0.5000])
    """
    tiny = torch.finfo(u.dtype).eps
    z = math.sqrt(2) * torch.erfinv((2 * u - 1).clamp(-1 + tiny, 1 - tiny))
    return torch.sigmoid(mean + std * z)


def stratified(u: Tensor, parts: int) -> Tensor:
    """One time in each of so many equal parts of (0, 1), of one uniform number a row.

    (u + k / parts) mod 1: each is uniform by itself, and together they cover the line, so that the
    mean over them varies less than that of independent ones (Kingma et al., 2021).

    Args:
        u: (n,).
        parts: K.

    Returns:
        (n, K).

    Example:
        >>> stratified(torch.tensor([0.3]), 2)
        tensor([[0.3000, 0.8000]])
    """
    shift = torch.arange(parts, dtype=u.dtype, device=u.device) / parts
    return (u[:, None] + shift) % 1


def spread_times(batch: Batch) -> Tensor:
    """Uniform times (n,), one an example, that cover (0, 1) evenly over the whole batch.

    (u + k g) mod 1 for row k of the global batch, g the golden ratio less 1 and u one number of
    the batch: ranks and accumulation get the rows of the same sequence. The loss of a batch then
    varies less than by independent times (as the times of Kingma et al., 2021).

    Example:
        >>> times = spread_times(Batch.of(torch.zeros(100, 2)))
        >>> 10 <= int((times < 0.1).sum()) + 1 <= 12
        True
    """
    noise = batch.noise
    start = Noise(noise.key, 0, 1, noise.draws).uniform((), batch.x.device)
    noise.draws += 1
    row = torch.arange(noise.first, noise.first + len(batch), device=batch.x.device)
    return ((start.double() + row * _GOLDEN) % 1).to(start.dtype).clamp(max=1 - 2**-24)


_GOLDEN = (math.sqrt(5) - 1) / 2

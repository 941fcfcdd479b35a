"""Which noise goes with which example: at random, or by optimal transport within a batch."""

from typing import Any

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError, UnknownNameError

__all__ = ["COUPLINGS", "check_coupling", "transport"]

COUPLINGS = ("independent", "transport")


def transport(x: Tensor, eps: Tensor) -> Tensor:
    """The noise in the order that makes sum |x_i - eps_i|^2 least.

    Minibatch optimal transport (Tong et al., 2024; Pooladian et al., 2023): pairs whose straight
    lines cross less make velocities that few steps follow. Each example still meets standard
    normal noise, and on average over batches the pairs are a coupling of data and noise.

    Args:
        x: Examples (n, ...).
        eps: Noise (n, ...).

    Returns:
        eps with its rows permuted.

    Example:
        >>> transport(torch.tensor([[0.0], [5.0]]), torch.tensor([[4.0], [1.0]]))
        tensor([[1.],
                [4.]])
    """
    cost = torch.cdist(x.flatten(1).double(), eps.flatten(1).double()).square()
    _, order = _assignment()(cost.cpu().numpy())
    return eps[torch.from_numpy(order).to(eps.device)]


def check_coupling(name: str) -> str:
    """The name of a coupling that can be computed here.

    Raises:
        UnknownNameError: There is no such coupling.
        ConfigError: It needs a package that is not installed.
    """
    if name not in COUPLINGS:
        raise UnknownNameError("coupling", name, COUPLINGS)
    if name == "transport":
        _assignment()
    return name


def _assignment() -> Any:
    try:
        from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]
    except ImportError:
        raise ConfigError(
            "coupling 'transport' needs scipy: pip install 'phosphene[transport]'"
        ) from None
    return linear_sum_assignment

r"""Prioritized replay: transitions of large error are drawn more often and weighted less."""

import math
from typing import Any

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError, RunError
from phosphene.kernels.sum_tree import tree_draw, tree_set

__all__ = ["Priorities"]

_LEAST = 1e-6  # added to errors, so that what is known well is still drawn now and then


class Priorities:
    r"""Proportional prioritization (Schaul et al., 2016).

    .. math::
        P(i) = p_i / \sum_j p_j, \quad p_i = (|\delta_i| + \epsilon)^\alpha, \qquad
        w_i \propto (N P(i))^{-\beta}

    with the weights of a batch scaled so that the greatest is 1. A new transition has the greatest
    priority met so far. Draws are stratified: the i-th of a batch lies in the i-th of equal parts
    of the total. beta rises linearly to 1 over ``steps`` environment steps.

    Args:
        capacity: Of the ring.
        alpha: 0 for uniform draws, 1 for draws in proportion to the errors.
        beta: At first; 1 takes all of the bias away.
        steps: Until beta is 1.

    Raises:
        ConfigError: alpha or beta is not within 0 and 1, or steps is below 1.

    Example:
        >>> priorities = Priorities(4, alpha=1.0, beta=1.0)
        >>> priorities.add(torch.arange(2))
        >>> priorities.learn(torch.tensor([0, 1]), torch.tensor([3.0, 1.0]))
        >>> index, weight = priorities.draw((1, 4), torch.Generator().manual_seed(0), 2, 0)
        >>> index.tolist(), [round(w, 3) for w in weight[0].tolist()]
        ([[0, 0, 0, 1]], [0.333, 0.333, 0.333, 1.0])
    """

    def __init__(
        self, capacity: int, *, alpha: float = 0.6, beta: float = 0.4, steps: int = 100_000
    ) -> None:
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not 0 <= value <= 1:
                raise ConfigError(f"{name} of priorities must lie between 0 and 1, got {value}")
        if steps < 1:
            raise ConfigError(f"beta must rise over 1 step or more, got {steps}")
        self.capacity, self.alpha, self.beta, self.steps = capacity, alpha, beta, steps
        leaves = 1 << (capacity - 1).bit_length()
        self.tree = torch.zeros(2 * leaves, dtype=torch.float64)
        self.greatest = 1.0

    def add(self, index: Tensor) -> None:
        """New transitions at these places."""
        tree_set(self.tree, index, self.tree.new_full((len(index),), self.greatest))

    def learn(self, index: Tensor, error: Tensor) -> None:
        """Errors (n,) of transitions; of those that stand twice, the last counts."""
        priority = (error.detach().double().abs() + _LEAST) ** self.alpha
        self.greatest = max(self.greatest, float(priority.max()))
        tree_set(self.tree, index, priority)

    def draw(
        self, shape: tuple[int, int], generator: torch.Generator, size: int, experienced: int
    ) -> tuple[Tensor, Tensor]:
        """Places and weights of (batches, n) transitions, out of ``size`` of them."""
        strata = torch.arange(shape[1], dtype=torch.float64)
        u = (strata + torch.rand(shape, generator=generator, dtype=torch.float64)) / shape[1]
        index = tree_draw(self.tree, u.flatten()).clamp_(max=size - 1).view(shape)
        share = self.tree[len(self.tree) // 2 + index] / self.tree[1]
        beta = self.beta + (1 - self.beta) * min(1.0, experienced / self.steps)
        weight = (size * share) ** -beta
        return index, weight / weight.amax(1, keepdim=True)

    def state_dict(self) -> dict[str, Any]:
        """The priorities themselves; the sums above them follow."""
        leaves = len(self.tree) // 2
        return {"priority": self.tree[leaves:].clone(), "greatest": self.greatest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them.

        Raises:
            RunError: They are of another number of transitions, or not finite and positive.
        """
        leaves, priority = len(self.tree) // 2, torch.as_tensor(state["priority"]).double()
        if priority.shape != (leaves,):
            raise RunError(
                f"the saved priorities have shape {tuple(priority.shape)}, those of a replay of "
                f"{self.capacity} transitions have shape {(leaves,)}"
            )
        greatest = float(state["greatest"])
        bad = ~((priority >= 0) & (priority < torch.inf))
        if bad.any() or not 0 < greatest < math.inf:
            value = float(priority[bad][0]) if bad.any() else greatest
            raise RunError(f"saved priorities must be finite and not negative, got {value}")
        self.greatest = greatest
        tree_set(self.tree, torch.arange(leaves), priority)

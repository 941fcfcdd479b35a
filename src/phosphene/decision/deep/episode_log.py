"""Returns and lengths of the episodes that end while an agent learns."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["EpisodeLog"]


class EpisodeLog:
    """Adds up rewards, and reports the episodes that ended.

    Args:
        n: Environments, over all ranks.

    Example:
        >>> log = EpisodeLog(1)
        >>> log.take(torch.ones(3, 1), torch.tensor([[False], [True], [False]]))
        >>> log.statistics()
        {'episodes': 1.0, 'return': 2.0, 'length': 2.0}
    """

    def __init__(self, n: int) -> None:
        self.sums, self.clock = torch.zeros(n, dtype=torch.float64), torch.zeros(n)
        self.ended: list[tuple[float, float]] = []
        self.episodes = 0

    def take(self, reward: Tensor, ends: Tensor) -> None:
        """Rewards (t, n) and where episodes ended (t, n)."""
        total = reward.double().cumsum(0)
        carried, begun = self.sums, -self.clock  # at the start of the running episode
        for t, i in ends.nonzero().tolist():
            self.ended.append((float(total[t, i] + carried[i]), float(t + 1 - begun[i])))
            carried[i], begun[i] = -total[t, i], t + 1
            self.episodes += 1
        self.sums = carried + total[-1]
        self.clock = len(reward) - begun

    def statistics(self) -> dict[str, float]:
        """Means since the last call; without an episode, only how many there were so far."""
        found = {"episodes": float(self.episodes)}
        if self.ended:
            n = len(self.ended)
            found["return"] = sum(r for r, _ in self.ended) / n
            found["length"] = sum(length for _, length in self.ended) / n
        self.ended = []
        return found

    def state_dict(self) -> dict[str, Any]:
        """The running episodes, and those not told of yet."""
        return {
            "sums": self.sums, "clock": self.clock, "episodes": self.episodes,
            "ended": [list(pair) for pair in self.ended],
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self.sums, self.clock, self.episodes = state["sums"], state["clock"], state["episodes"]
        self.ended = [(a, b) for a, b in state["ended"]]

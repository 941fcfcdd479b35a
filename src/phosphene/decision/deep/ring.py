"""A ring buffer, and returns over several steps."""

from typing import Any

import torch
from torch import Tensor

from phosphene.core.errors import RunError

__all__ = ["Ring", "n_step_returns"]


class Ring:
    """A ring buffer: columns of a fixed number of rows, the oldest of which are overwritten.

    Memory is taken at the first write, where and of what type the rows are.

    Args:
        capacity: Rows.

    Example:
        >>> ring = Ring(3)
        >>> [ring.write({"x": torch.ones(2)}).tolist() for _ in range(2)]
        [[0, 1], [2, 0]]
        >>> ring.size, ring.columns["x"].tolist()
        (3, [1.0, 1.0, 1.0])
    """

    def __init__(self, capacity: int) -> None:
        self.capacity, self.written = capacity, 0
        self.columns: dict[str, Tensor] = {}

    @property
    def size(self) -> int:
        """Rows that are filled."""
        return min(self.written, self.capacity)

    def write(self, rows: dict[str, Tensor], again: int = 0) -> Tensor:
        """Write rows, of which the first ``again`` take the place of the last; places of the rest.

        Rows are no more than the capacity.
        """
        n = len(next(iter(rows.values())))
        assert again <= n <= self.capacity, "a ring takes no more rows than it has"
        if not self.columns:
            self.columns = {
                key: v.new_empty(self.capacity, *v.shape[1:]) for key, v in rows.items()
            }
        start = (self.written - again) % self.capacity
        head = min(n, self.capacity - start)
        for key, v in rows.items():
            column = self.columns[key]
            column[start : start + head] = v[:head]
            if head < n:
                column[: n - head] = v[head:]
        self.written += n - again
        return torch.arange(start + again, start + n) % self.capacity

    def take(self, index: Tensor) -> dict[str, Tensor]:
        """Rows of all columns, in the shape of the index."""
        flat = index.flatten()
        return {
            key: v.index_select(0, flat.to(v.device)).unflatten(0, index.shape)
            for key, v in self.columns.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """The filled rows."""
        filled = self.columns
        if self.size < self.capacity:  # a view would be saved with all that it views
            filled = {key: v[: self.size].clone() for key, v in filled.items()}
        return {"written": self.written, "columns": dict(filled)}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore them.

        Raises:
            RunError: There are not as many rows as were written.
        """
        written = int(state["written"])
        for key, v in state["columns"].items():
            if written < 0 or len(v) != min(written, self.capacity):
                raise RunError(
                    f"the saved replay holds {len(v)} rows of {key}, after {written} that were "
                    f"written to a ring of {self.capacity}"
                )
        self.written, self.columns = written, {}
        for key, v in state["columns"].items():
            column = torch.empty(self.capacity, *v.shape[1:], dtype=v.dtype, device=device)
            column[: self.size] = v.to(device)
            self.columns[key] = column


def n_step_returns(
    reward: Tensor, done: Tensor, terminated: Tensor, *, gamma: float, n: int
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Returns of n steps, of fewer where an episode or the record ends: (t, e) each.

    .. math::
        R_t = \sum_{j < m} \gamma^j r_{t + j}, \qquad
        D_t = \gamma^m \,[\text{the last of these did not terminate}]

    Args:
        reward: (t, e), in e environments.
        done: (t, e), bool: the episode ended.
        terminated: (t, e), bool: in a terminal state.
        gamma: Discount.
        n: The most steps.

    Returns:
        R; the last step that each spans (t, e), int64; D.

    Example:
        >>> one, no = torch.ones(3, 1), torch.zeros(3, 1, dtype=torch.bool)
        >>> total, last, discount = n_step_returns(one, no, no, gamma=0.5, n=2)
        >>> total.flatten().tolist(), last.flatten().tolist(), discount.flatten().tolist()
        ([1.5, 1.5, 1.0], [1, 2, 2], [0.25, 0.25, 0.5])
    """
    total, last = reward.clone(), torch.arange(len(reward), device=reward.device)
    last = last[:, None].expand_as(done).clone()
    discount = torch.full_like(reward, gamma)
    goes_on = ~done
    for j in range(1, min(n, len(reward))):
        more, rest = goes_on[:-1], slice(None, len(reward) - j)  # of steps whose j-th exists
        total[rest] += gamma**j * torch.where(more, reward[j:], 0.0)
        last[rest] += more
        discount[rest] = torch.where(more, gamma ** (j + 1), discount[rest])
        goes_on = more & ~done[j:]
    return total, last, torch.where(terminated.gather(0, last), 0.0, discount)

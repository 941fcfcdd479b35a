"""What models of sequences share: one scale and one start for all positions, and the last map."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.core.moments import Moments
from phosphene.generative.autoregressive.autoregressive import Autoregressive, Stepper
from phosphene.generative.autoregressive.layers.causal import PastValues
from phosphene.nn.noise import Uniform

__all__ = ["CausalSequence", "Steps"]

Steps = tuple[Callable[[int], Tensor], Callable[[int], Tensor]]
"""Where the input (n, width) of step t is to be written, and the features (n, f) of step t."""


class CausalSequence(Autoregressive):
    """p(x) = prod_t p(x_t | x_{t - RF}, ..., x_{t - 1}), the same network at every t.

    A model writes :meth:`features`, the network over whole sequences, :meth:`steps`, the same
    value by value, and their :meth:`sizes`. Reals are standardized by one shift and scale for all
    positions, for a network that is the same everywhere must see them alike.

    Args:
        event: A sequence; binary codes and reals of other shapes are flattened.
        context: A label or a vector, or nothing.
    """

    def setup(self) -> None:
        """Make what comes before and after the network."""
        super().setup()
        width, features = self.sizes()
        self.past = PastValues(self.event, width)
        self.output = nn.Linear(features, self.conditional.size)
        # All positions start at the data's marginal, and the network adds to it.
        nn.init.zeros_(self.output.weight)

    def sizes(self) -> tuple[int, int]:
        """Sizes of the vector that stands for a value, and of what the network gives for each."""
        raise NotImplementedError

    def features(self, rows: Tensor, n: int, context: Context | None, u: Uniform | None) -> Tensor:
        """Map time-major rows (D n, width) of values before to features (D n, f)."""
        raise NotImplementedError

    def steps(self, n: int, context: Context | None) -> Steps:
        """The same value by value."""
        raise NotImplementedError

    def marginals(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """One scale for all positions, and parameters (1, size) to start at."""
        return self.conditional.fit(x.reshape(-1, 1), moments and moments.pooled)

    def start_at(self, start: Tensor) -> None:
        """Start at the marginal."""
        self.output.bias.copy_(start[0])

    def conditionals(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        member: int = 0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Parameters (n, D, size) of all conditionals."""
        n, flat = len(x), x.flatten(1)
        rows = self.past(
            flat if self.event.discrete else self.conditional.normalize(flat, self.dtype)
        )
        h = self.features(rows, n, context, uniform)
        by_example = h.view(-1, n, h.shape[1]).transpose(0, 1).contiguous()
        params: Tensor = self.output(by_example)
        return params

    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        """Each layer keeps what it will need again, in rings of fixed size."""
        with torch.no_grad():
            slot, features = self.steps(n, context)
        start = self.past.start.detach().expand(n, -1)

        def step(k: int, x: Tensor) -> Tensor:
            with torch.no_grad():
                slot(k).copy_(self.past.one(self._seen(x, k - 1)) if k else start)
                params: Tensor = self.output(features(k))
                return params

        return step

    def _seen(self, x: Tensor, k: int) -> Tensor:
        """Values (n,) at position k as the network sees them."""
        if self.event.discrete:
            return x[:, k]
        return self.conditional.normalize(x, self.dtype)[:, k]

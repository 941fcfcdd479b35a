"""A residual network that gives the parameters of couplings of vectors."""

import torch
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError
from phosphene.nn.activations import activation_named
from phosphene.nn.context_embedding import ConditionBias

__all__ = ["ResidualConditioner"]


class ResidualConditioner(nn.Module):
    """h <- h + W2 a(W1 a(h) + c) in each block (He et al., 2016; Durkan et al., 2019).

    Labels and vectors add to the middle of every block, images enter flat beside the input. The
    last layer starts at zero, and so does each block's second, so that a block starts as nothing.

    Args:
        inputs: Size of what it sees of the example.
        width: Size of h.
        blocks: How many.
        outputs: Numbers it gives.
        activation: Its name.
        context: What it is conditioned on.

    Raises:
        ConfigError: The width is below 1.

    Example:
        >>> ResidualConditioner(2, 8, 1, 6)(torch.ones(3, 2)).abs().sum().item()
        0.0
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        blocks: int,
        outputs: int,
        *,
        activation: str = "relu",
        context: ContextSpec | None = None,
    ) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"the width of a residual network must be 1 or more, got {width}")
        spec = context or ContextSpec()
        self.image = spec.image
        more = 0 if spec.image is None else spec.image.dimensions
        self.first = nn.Linear(inputs + more, width)
        self.start = ConditionBias(spec, width)
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.outer = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.conditions = nn.ModuleList(ConditionBias(spec, width) for _ in range(blocks))
        self.head = nn.Linear(width, outputs)
        for linear in (*self.outer, self.head):
            assert isinstance(linear, nn.Linear)
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        self.activation = activation_named(activation)

    def forward(self, x: Tensor, context: Context | None = None) -> Tensor:
        """(n, inputs) to (n, outputs)."""
        if self.image is not None:
            assert context is not None
            assert context.image is not None
            x = torch.cat((x, context.image.flatten(1).to(x.dtype)), 1)
        h = _plus(self.first(x), self.start(context))
        blocks = zip(self.inner, self.outer, self.conditions, strict=True)
        for inner, outer, condition in blocks:
            middle = _plus(inner(self.activation(h)), condition(context))
            h = h + outer(self.activation(middle))
        out: Tensor = self.head(self.activation(h))
        return out


def _plus(x: Tensor, more: Tensor | None) -> Tensor:
    return x if more is None else x + more

"""Many draws for each row of a context, with any sampler."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError

__all__ = ["each_row"]

F = TypeVar("F", bound=Callable[..., Tensor])


def each_row(sample: F) -> F:
    """Give a method ``sample(n, context, ...)`` the keyword ``each``.

    With ``each=True`` it draws n examples for each row of the context, (rows, n, *event.shape), in
    one call: p(y | x) of a whole table at once.

    Raises:
        ConfigError: ``each=True`` without a context, or the model is not conditioned on anything.

    Example:
        >>> import phosphene as ph, torch
        >>> spec = ph.ContextSpec(vector=ph.Event.real(2))
        >>> model = ph.build("maf", ph.Event.real(3), context=spec, hidden=(8,))
        >>> model.sample(5, ph.Context(vector=torch.zeros(4, 2)), each=True).shape
        torch.Size([4, 5, 3])
    """

    @functools.wraps(sample)
    def drawn(
        self: Any, n: int, context: Context | None = None, *, each: bool = False, **how: Any
    ) -> Tensor:
        if not each:
            return sample(self, n, context, **how)
        rows = {len(value) for name, value in (context or Context()).parts() if name != "dropped"}
        if not rows or not self.context:
            why = "is not conditioned on anything" if not self.context else "was given no context"
            raise ConfigError(f"each=True draws for each row of a context, and the model {why}")
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ConfigError(f"the number of draws of each row must be 1 or more, got {n!r}")
        total = max(rows)
        context = self.given(context, total)
        x = sample(self, total * n, context.repeat(n), **how)
        return x.view(total, n, *x.shape[1:])

    signature = inspect.signature(sample)
    more = inspect.Parameter("each", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool)
    drawn.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), more]
    )
    return cast(F, drawn)

"""Teacher forcing and free running: conditionals given the true values, and given one's own."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.nn.choosing import Choosing

if TYPE_CHECKING:
    from phosphene.generative.autoregressive.autoregressive import Autoregressive

__all__ = ["free_running", "teacher_forcing"]


def teacher_forcing(model: "Autoregressive", x: Tensor, context: Context | None = None) -> Tensor:
    """Parameters (n, D, size) of all conditionals, each given the true values before it.

    Williams and Zipser (1989): the true prefix is fed in place of the model's own output, so all
    conditionals are trained in one parallel pass.
    """
    model.event.check(x)
    return model.conditionals(x, model.context.check(context, len(x), model.device))


def free_running(
    model: "Autoregressive", n: int, context: Context | None = None, *, generator: torch.Generator
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Generate with the model's own output fed back: rank by rank (dimension, parameters, values).

    Scored by teacher forcing, what is generated has the parameters that are yielded here.
    """
    context = model._settled(n, model.given(context, n), generator)
    _, u = model._draws(n, generator)
    step = model.stepper(n, context)
    x = torch.zeros(n, model.event.dimensions, dtype=model.value_dtype, device=model.device)
    with torch.no_grad():
        for k, i in enumerate(model.order.tolist()):
            params = step(k, x)
            x[:, i] = model.conditional.draw(params, u[:, i], Choosing(), i)
            yield i, params, x[:, i].clone()

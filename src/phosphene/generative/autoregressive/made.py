"""Masked autoencoder for distribution estimation: all conditionals in one pass, by masks."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.ranges import Count
from phosphene.core.rng import mix
from phosphene.core.settings import setting
from phosphene.generative.autoregressive.autoregressive import Autoregressive, Stepper
from phosphene.generative.autoregressive.settings import OrdersSettings
from phosphene.nn.choosing import Choosing
from phosphene.nn.fused import sample_masked
from phosphene.nn.masked import IncrementalMLP, MaskedMLP
from phosphene.nn.noise import Uniform
from phosphene.nn.settings import ActivationSettings, DropoutSettings

__all__ = ["MADE", "OrderName"]

OrderName = Literal["raster", "random"]
_MOST_ONE_HOT = 32


class MADE(ActivationSettings, DropoutSettings, OrdersSettings, Autoregressive):
    """p(x) = prod_k p(x_{o_k} | x_{o_1}, ..., x_{o_{k-1}}), all conditionals from one masked MLP.

    Germain, Gregor, Murray and Larochelle (2015). Each hidden unit has a degree, the number of
    leading values that it may see, and masks on the weights keep it to them
    (:class:`phosphene.nn.masked.MaskedMLP`). Sampling computes every unit once, when the last
    value that it sees is known: all D values cost one forward pass in products.

    With several orders or masks a step of training uses one of them, a function of the batch's
    noise, so that ranks agree; the likelihood is that of their mixture. Codes of up to 32 levels
    enter as one-hot vectors, more levels as one scaled number. Of reals, ``components=1`` with a
    Gaussian mixture is one layer of a masked autoregressive flow (Papamakarios et al., 2017).

    Args:
        event: What one example is, D dimensions; images in raster order, channels first.
        context: A label or a vector, or nothing.

    Raises:
        ConfigError: A number of orders that the order does not have, widths or a dropout out of
            range.
        EventError: The conditional cannot model the event, or a context that is neither.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = MADE(Event.binary(4), hidden=(16,))
        >>> states = torch.cartesian_prod(*[torch.arange(2)] * 4)
        >>> bool(torch.isclose(model.log_prob(states).exp().sum(), torch.tensor(1.0)))
        True
        >>> MADE(Event.image(1, 8, levels=17), orders=2, masks=3, order="random").members
        6
    """

    hidden: Sequence[int] = setting(default=(500,), help="Widths of the hidden layers.")
    order_name: OrderName = setting(
        alias="order",
        default="raster",
        help="``raster``, or ``random``, which draws an order for each of ``orders``.",
    )
    masks: Count = setting(default=1, help="Draws of the degrees for each order.")
    direct: bool = setting(
        default=True,
        help="Also connect inputs to outputs, a linear model beside the network; its weights are "
        "as many as the square of D, times the numbers by which a value enters and leaves.",
    )
    residual: bool = setting(default=False, help="Add each hidden layer's input to its output.")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        levels = self.event.levels
        self.one_hot = levels is not None and 2 < levels <= _MOST_ONE_HOT
        self.net = MaskedMLP(
            self.event.dimensions,
            self.hidden,
            self.conditional.size,
            features=levels if levels is not None and self.one_hot else 1,
            orders=_orders(self.event.dimensions, self.order_name, self.order_count),
            masks=self.masks,
            activation=self.activation_name,
            dropout=self.dropout,
            direct=self.direct,
            residual=self.residual,
            context=self.context,
        )
        self.members = self.net.members

    def start_at(self, start: Tensor) -> None:
        """Start at the marginals."""
        self.net.start_at(start)

    def order_of(self, member: int = 0) -> Tensor:
        """The flat dimensions in the order of generation (D,)."""
        return self.net.orders[member]

    def conditionals(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        member: int = 0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Parameters (n, D, size) of all conditionals."""
        features = self._features(x.flatten(1))
        out: Tensor = self.net(features, context, member=member, uniform=uniform)
        return out

    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        """Each hidden unit once, when the last value that it sees is known."""
        run = IncrementalMLP(self.net, n, context, member=member)
        order = self.order_of(member).tolist()

        def step(k: int, x: Tensor) -> Tensor:
            assert k == run.rank, "values come in their order"
            if k == 0:
                return run.next()
            last = order[k - 1]
            return run.next(self._features(x[:, last : last + 1], last))

        return step

    def generate_member(
        self,
        u: Tensor,
        context: Context,
        how: Choosing,
        member: int,
        given: tuple[Tensor, Tensor] | None,
        naive: bool,
    ) -> Tensor:
        """Flat samples (n, D), by the native kernel where there is one."""
        x = None
        if not naive:
            x = sample_masked(
                self.net, self.conditional, u, context, how=how, member=member, given=given
            )
        return super().generate_member(u, context, how, member, given, naive) if x is None else x

    def training_log_prob(self, x: Tensor, context: Context, batch: Batch) -> Tensor:
        """One member a step, the same on all ranks and in all micro-batches."""
        member = mix(*batch.noise.key) % self.members
        return self.member_log_prob(x, context, member=member, uniform=batch.uniform)

    def _features(self, x: Tensor, dimension: int | None = None) -> Tensor:
        """How flat examples (n, D), or one dimension's values (n, 1), enter the network."""
        if self.one_hot:
            assert self.event.levels is not None
            return F.one_hot(x.long(), self.event.levels).to(self.dtype).flatten(1)
        return self.conditional.normalize(x, self.dtype, dimension)


def _orders(dimensions: int, name: OrderName, number: int) -> Tensor:
    """Orders (number, D): raster order, or random ones (after raster order, if several)."""
    if name not in get_args(OrderName):
        raise UnknownNameError("order", name, get_args(OrderName))
    if number < 1:
        raise ConfigError(f"orders must be 1 or more, got {number}")
    if name == "raster" and number > 1:
        raise ConfigError(f"orders={number} members need order='random'; there is one raster order")
    raster = torch.arange(dimensions)
    if name == "raster":
        return raster[None]
    drawn = [torch.randperm(dimensions) for _ in range(number)]
    return torch.stack([raster, *drawn[1:]] if number > 1 else drawn)

"""NADE: one hidden layer for each conditional, all of them sharing their weights."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import EventError
from phosphene.core.ranges import Count, Fraction
from phosphene.core.settings import setting
from phosphene.generative.autoregressive.autoregressive import Autoregressive, Stepper
from phosphene.generative.autoregressive.layers.running_sums import check_activation, running_hidden
from phosphene.generative.autoregressive.settings import InputSettings, OrdersSettings
from phosphene.kernels.nade import nade_sample, nade_usable
from phosphene.kernels.reference import ACTIVATIONS, bernoulli
from phosphene.nn.choosing import Choosing
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.noise import Uniform, dropout
from phosphene.nn.scalar_distributions import (
    Bernoulli,
    Categorical,
)
from phosphene.nn.settings import ActivationSettings, DropoutSettings

__all__ = ["NADE", "Chain", "NADEBase", "outputs_in_turn", "sample_in_turn"]


class NADEBase(ActivationSettings, DropoutSettings, OrdersSettings, Autoregressive):
    """What NADE and RNADE share: the likelihood in several orders, and the fast stepper.

    Args:
        event: What one example is.
    """

    scaled = False
    """Whether the activations of each rank are multiplied by a learned factor."""

    hidden: Count = setting(default=500, help="Hidden units H.")
    input_dropout: Fraction = setting(
        default=0.0, help="Probability that a value is hidden from all conditionals after it."
    )

    def setup(self) -> None:
        """Make a chain for each order."""
        super().setup()
        self.orders: Tensor
        self.activation, self.members = check_activation(self.activation_name), self.order_count
        size = (self.event.dimensions, self.shown(), self.hidden, self.conditional.size)
        self.chains = nn.ModuleList(
            Chain(self.context, *size, scaled=self.scaled) for _ in range(self.members)
        )
        raster = torch.arange(self.event.dimensions)
        others = [torch.randperm(self.event.dimensions) for _ in range(self.members - 1)]
        self.register_buffer("orders", torch.stack([raster, *others]))

    def order_of(self, member: int = 0) -> Tensor:
        """The flat dimensions in the order of generation (D,): raster first, then random ones."""
        return self.orders[member]

    def start_at(self, start: Tensor) -> None:
        """Start at the marginals."""
        for member in range(self.members):
            self._chain(member).c.copy_(start[self.order_of(member)])

    def shown(self) -> int:
        """As how many numbers a value is shown."""
        raise NotImplementedError

    def features(self, x: Tensor, dimensions: Tensor) -> Tensor:
        """Values (n, m) of some dimensions as the network sees them (n, m, features)."""
        raise NotImplementedError

    def training_log_prob(self, x: Tensor, context: Context, batch: Batch) -> Tensor:
        """The mean over orders: each learns as if it were alone, which keeps them different."""
        every = [
            self.member_log_prob(x, context, member=m, uniform=batch.uniform)
            for m in range(self.members)
        ]
        return torch.stack(every).mean(0)

    def conditionals(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        member: int = 0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Parameters (n, D, size) of all conditionals."""
        order = self.order_of(member)
        seen = self.features(x.flatten(1)[:, order], order).transpose(0, 1)
        gate = None
        if uniform is not None and self.input_dropout > 0:
            ones = seen.new_ones(len(x), self.event.dimensions)
            seen = seen * dropout(ones, self.input_dropout, uniform).T[..., None]
        chain = self._chain(member)
        if uniform is not None and self.dropout > 0:
            gate = dropout(seen.new_ones(len(x), len(chain.b)), self.dropout, uniform)
        start, c = chain.biases(len(x), context)
        h = running_hidden(
            seen, chain.W, chain.V, start, rho=chain.rho, gate=gate, activation=self.activation,
            formula=outputs_in_turn,
        )  # fmt: skip
        return (h.transpose(0, 1) + c)[:, order.argsort()]

    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        """Running activations a <- a + W_k x_k: H products for each value."""
        chain, order = self._chain(member), self.order_of(member)
        a, c = chain.biases(n, context)
        f = ACTIVATIONS[self.activation]

        def step(k: int, x: Tensor) -> Tensor:
            nonlocal a
            if k > 0:
                last = order[k - 1 : k]
                a = a + self.features(x[:, last], last)[:, 0] @ chain.W[k - 1]
            h = f(a if chain.rho is None else a * chain.rho[k])
            return h @ chain.V[k].T + c[..., k, :]

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
        """Flat samples (n, D); of binary codes by the native kernel, where it is there."""
        chain, order = self._chain(member), self.order_of(member)
        binary = isinstance(self.conditional, Bernoulli) and chain.W.shape[1] == 1
        plain = how.top_k is None and how.top_p is None and chain.rho is None
        b, c = chain.biases(len(u), context)
        arrays = chain.W[:, 0], chain.V[:, 0], c[..., 0], b, u[:, order, 0]
        if naive or not (binary and plain and nade_usable(self.activation, *arrays)):
            return super().generate_member(u, context, how, member, given, naive)
        start = None if given is None else (given[0][:, order], given[1][:, order])
        x = nade_sample(
            *arrays, activation=self.activation, temperature=how.temperature, given=start,
            formula=sample_in_turn,
        )  # fmt: skip
        return x[:, order.argsort()]

    def _chain(self, member: int) -> "Chain":
        chain = self.chains[member]
        assert isinstance(chain, Chain)
        return chain


class Chain(nn.Module):
    """The weights of one order, by rank: W (D, features, H), V (D, size, H), b (H,), c (D, size).

    Args:
        context: What the biases are conditioned on.
        dimensions: D.
        features: How many numbers a value is shown as.
        hidden: H.
        size: Parameters of one conditional.
        scaled: Also learn a factor for each rank, rho (D,).
    """

    def __init__(
        self,
        context: ContextSpec,
        dimensions: int,
        features: int,
        hidden: int,
        size: int,
        *,
        scaled: bool,
    ) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(dimensions, features, hidden))
        self.V = nn.Parameter(torch.empty(dimensions, size, hidden))
        self.b = nn.Parameter(torch.zeros(hidden))
        self.c = nn.Parameter(torch.zeros(dimensions, size))
        nn.init.uniform_(self.W, -1.0 / math.sqrt(dimensions), 1.0 / math.sqrt(dimensions))
        nn.init.uniform_(self.V, -1.0 / math.sqrt(hidden), 1.0 / math.sqrt(hidden))
        # The sums grow with the rank: by 1/k, all ranks begin with activations of one size.
        ranks = torch.arange(dimensions).clamp(min=1)
        self.rho = nn.Parameter(ranks.rsqrt()) if scaled else None
        self.hidden_condition = ConditionBias(context, hidden)
        self.output_condition = ConditionBias(context, dimensions * size)

    def biases(self, n: int, context: Context | None) -> tuple[Tensor, Tensor]:
        """The hidden units' (n, H), and the outputs' (D, size) or (n, D, size)."""
        start, c = self.b.expand(n, -1), self.c
        hidden, output = self.hidden_condition(context), self.output_condition(context)
        if hidden is not None and output is not None:
            start, c = start + hidden, c + output.view(n, *c.shape)
        return start, c


class NADE(InputSettings, NADEBase):
    """h_i = f(b + W_{<i} x_{<i}), p(x_i | x_{<i}) = g(c_i + V_i h_i).

    The neural autoregressive distribution estimator, by Larochelle and Murray (2011). The hidden
    layers share their weights, so that each follows from the one before by adding one column:
    a_{i+1} = a_i + W_i x_i (:func:`outputs_in_turn`). A likelihood or a sample takes O(D H).
    Training goes over all conditionals at once and holds few of the hidden layers at a time
    (:func:`~phosphene.generative.autoregressive.layers.running_sums.running_hidden`).

    In several orders it is a mixture of as many NADEs, each with weights of its own. Given a label,
    the biases b and c are the label's.

    Args:
        event: Codes of any shape, D dimensions in raster order; tokens and images too.
        context: A label or a vector, or nothing.

    Raises:
        EventError: The event holds reals (``rnade`` models them).
        ConfigError: A setting is out of range.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = NADE(Event.binary(4), hidden=8)
        >>> x = torch.cartesian_prod(*[torch.arange(2)] * 4)
        >>> round(model.log_prob(x).exp().sum().item(), 4)
        1.0
    """

    activation_name: str = setting(
        alias="activation", default="sigmoid", help="f: ``sigmoid``, ``tanh`` or ``relu``."
    )

    def setup(self) -> None:
        """Make the parts."""
        if self.event.levels is None:
            raise EventError(
                f"NADE cannot model {self.event}: it is for codes (rnade is for reals)"
            )
        super().setup()
        self.inputs = "one-hot" if self._one_hot else "scaled"

    def shown(self) -> int:
        """One number, or one for each level."""
        assert self.event.levels is not None
        return self.event.levels if self._one_hot else 1

    @property
    def _one_hot(self) -> bool:
        auto = self.inputs == "auto" and isinstance(self.conditional, Categorical)
        return auto or self.inputs == "one-hot"

    def features(self, x: Tensor, dimensions: Tensor) -> Tensor:
        """Scaled or one-hot codes."""
        if self._one_hot:
            assert self.event.levels is not None
            return F.one_hot(x.long(), self.event.levels).to(self.dtype)
        return self.conditional.normalize(x, self.dtype)[..., None]


def outputs_in_turn(
    x: Tensor,
    W: Tensor,
    V: Tensor,
    start: Tensor,
    *,
    rho: Tensor | None = None,
    gate: Tensor | None = None,
    activation: str = "sigmoid",
) -> Tensor:
    """y_k = V_k h_k with h_k = f(b + sum_{j<k} x_j W_j), one after another as it is written.

    This is the formula; training takes
    :func:`~phosphene.generative.autoregressive.layers.running_sums.running_hidden`.

    Args:
        x: Values by rank, as numbers (D, n, E).
        W: (D, E, H).
        V: (D, S, H).
        start: b of each example (n, H).
        rho: A factor of the sums at each rank (D,), as RNADE has it; None for ones.
        gate: Factors of hidden units (n, H), the same at every rank (dropout); None for ones.
        activation: The name of f.

    Returns:
        (D, n, S).

    Example:
        >>> x, W, V = torch.ones(3, 1, 1), torch.ones(3, 1, 2), torch.ones(3, 1, 2)
        >>> outputs_in_turn(x, W, V, torch.zeros(1, 2), activation="relu").flatten()
        tensor([0., 2., 4.])
    """
    f = ACTIVATIONS[activation]
    a, out = start, []
    for k in range(len(x)):
        h = f(a if rho is None else rho[k] * a)
        out.append((h if gate is None else gate * h) @ V[k].T)
        a = a + x[k] @ W[k]
    return torch.stack(out)


def sample_in_turn(
    W: Tensor,
    V: Tensor,
    c: Tensor,
    b: Tensor,
    u: Tensor,
    *,
    activation: str = "sigmoid",
    temperature: float = 1.0,
    given: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Binary x_k = 1 where u_k >= p(x_k = 0 | x_{<k}), one after another as it is written.

    This is the formula; sampling takes :func:`~phosphene.kernels.nade.nade_sample`.

    Args:
        W: (D, H).
        V: (D, H).
        c: (D,) or (n, D).
        b: (H,) or (n, H).
        u: Uniform numbers (n, D) in [0, 1), by rank.
        activation: The name of f.
        temperature: Divides the logits; 0 is greedy.
        given: Values (n, D) and a mask (n, D), bool, True where they are kept.

    Example:
        >>> W, V = torch.zeros(3, 2), torch.zeros(3, 2)
        >>> u = torch.tensor([[0.1, 0.6, 0.9]])
        >>> sample_in_turn(W, V, torch.zeros(3), torch.zeros(2), u)
        tensor([[0., 1., 1.]])
    """
    f = ACTIVATIONS[activation]
    c, a, x = c.expand_as(u), b.expand(len(u), -1), torch.zeros_like(u)
    for k in range(u.shape[1]):
        x[:, k] = bernoulli(c[:, k] + f(a) @ V[k], u[:, k], temperature)
        if given is not None:
            x[:, k] = torch.where(given[1][:, k], given[0][:, k], x[:, k])
        a = torch.addr(a, x[:, k], W[k])
    return x

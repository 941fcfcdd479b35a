"""Generative stochastic network: a chain whose stationary distribution is learned."""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.core.phase import Loss
from phosphene.core.protocols import available_if
from phosphene.core.ranges import Count, Within
from phosphene.core.settings import setting
from phosphene.generative.energy.units import BinaryUnits, binary_states
from phosphene.nn.masked import MaskedMLP
from phosphene.nn.mlp import MLP
from phosphene.nn.settings import ActivationSettings

__all__ = ["GSN", "stationary"]

Kernel = Literal["autoregressive", "factorised"]
_MOST = 10
"""Up to this many dimensions the chain's transition matrix is computed."""


def stationary(transition: Tensor) -> Tensor:
    """The distribution pi (m,) with pi T = pi, of a chain's transition matrix T (m, m).

    Example:
        >>> stationary(torch.tensor([[0.5, 0.5], [0.25, 0.75]]).double())
        tensor([0.3333, 0.6667], dtype=torch.float64)
    """
    m = len(transition)
    system = torch.cat(
        [transition.T - torch.eye(m).to(transition), torch.ones(1, m).to(transition)]
    )
    right = torch.zeros(m + 1, 1).to(transition)
    right[-1] = 1.0
    pi: Tensor = torch.linalg.lstsq(system, right).solution[:, 0]
    return pi


class GSN(ActivationSettings, BinaryUnits):
    """A chain X~ ~ C(. | X), X ~ P(. | X~), by Bengio, Laufer, Alain and Yosinski (2014).

    C flips each value to a random one with probability ``noise``; P is learned to say what the
    clean example was. Where P is the true posterior, the chain's stationary distribution is that of
    the data. That takes a P that can be any distribution: an ``autoregressive`` one (masked layers
    given X~; Yao et al., 2013) can, a ``factorised`` one cannot where values depend on each other
    given X~, and the chain then has another stationary distribution.

    Walkback training follows the model's own chain away from the data for a few steps and asks P
    for the way back to the example: log P(X | X~_1) + log P(X | X~_2) + ...

    Args:
        event: Codes 0 and 1 of any shape.
        context: None.

    Raises:
        EventError: The event has other codes than 0 and 1, or there is a context.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> model = GSN(Event.binary(4), hidden=(16,))
        >>> pi = stationary(model.transition_matrix().double())
        >>> round(float(pi.sum()), 6)
        1.0
    """

    likelihood = "none"

    hidden: tuple[int, ...] = setting(default=(256,), help="Widths of the layers of P.")
    kernel: Kernel = setting(default="autoregressive", help="``autoregressive`` or ``factorised``.")
    noise: Annotated[float, Within(0, 1, above=True)] = setting(
        default=0.4, help="Probability that a value is replaced by a fair coin."
    )
    walkback: Count = setting(
        default=3, help="Steps of the chain in training; 1 is a denoising autoencoder."
    )
    burn_in: Count = setting(default=50, help="Steps of a chain before its state is a sample.")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.start: Tensor
        dimensions = self.event.dimensions
        self.network: MaskedMLP | MLP
        if self.kernel == "autoregressive":
            given = ContextSpec(vector=Event.real(dimensions))
            self.network = MaskedMLP(
                dimensions, self.hidden, activation=self.activation_name, direct=True, context=given
            )
            self.bias = nn.Parameter(torch.zeros(dimensions))
        else:
            self.network = MLP(dimensions, self.hidden, dimensions, activation=self.activation_name)
        self.register_buffer("start", torch.zeros(dimensions))

    # -- the two kernels --------------------------------------------------------------------------

    def corrupt(self, x: Tensor, u: Tensor) -> Tensor:
        """X~ (n, D): each value is replaced with probability ``noise`` by a coin; u in [0, 1).

        One uniform number does both: below noise/2 the value is 0, below noise it is 1.
        """
        coin = (u >= 0.5 * self.noise).to(x.dtype)
        return torch.where(u < self.noise, coin, x)

    def _logits(self, noisy: Tensor, x: Tensor) -> Tensor:
        """Logits (n, D) of P(x_i | x_<i, X~), or of P(x_i | X~)."""
        if isinstance(self.network, MLP):
            flat: Tensor = self.network(2 * noisy - 1)
            return flat
        out: Tensor = self.network(2 * x - 1, context=Context(vector=2 * noisy - 1))
        return out[..., 0] + self.bias

    def reconstruct_log_prob(self, x: Tensor, noisy: Tensor) -> Tensor:
        """log P(X = x | X~ = noisy) of flat codes: (n,)."""
        logits = self._logits(noisy, x)
        return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)

    @torch.no_grad()
    def _clean(self, noisy: Tensor, u: Tensor) -> Tensor:
        """A draw of P(. | X~ = noisy) by uniform numbers (n, D)."""
        if isinstance(self.network, MLP):
            return (u >= torch.sigmoid(-self._logits(noisy, noisy))).to(noisy.dtype)
        x = torch.zeros_like(noisy)
        for i in range(x.shape[1]):
            logit = self._logits(noisy, x)[:, i]
            x[:, i] = (u[:, i] >= torch.sigmoid(-logit)).to(x.dtype)
        return x

    # -- learning ---------------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> None:
        """Where chains begin: the data's frequencies."""
        v = self.flat(batch.x)
        with torch.no_grad():
            self.start.copy_((v.sum(0) + 0.5) / (len(v) + 1))

    def loss(self, batch: Batch) -> Loss:
        """The mean over the walk of -log P(X | X~_k), in nats."""
        x = self.flat(batch.x)
        at, terms = x, []
        for k in range(self.walkback):
            noisy = self.corrupt(at, batch.uniform(x.shape[1:]).to(x.dtype))
            terms.append(-self.reconstruct_log_prob(x, noisy))
            if k + 1 < self.walkback:
                at = self._clean(noisy, batch.uniform(x.shape[1:]).to(x.dtype))
        each = torch.stack(terms).mean(0)
        return Loss(each.mean(), {"denoising": each.detach()})

    # -- the chain --------------------------------------------------------------------------------

    @torch.no_grad()
    def step(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """One step of the chain on flat codes (n, D)."""
        u = torch.rand((2, *x.shape), generator=generator, dtype=x.dtype, device=x.device)
        return self._clean(self.corrupt(x, u[0]), u[1])

    @torch.no_grad()
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """States (n, *event.shape) of n chains after ``burn_in`` steps."""
        shape = (n, len(self.start))
        u = torch.rand(shape, generator=generator, dtype=self.dtype, device=self.device)
        x = (u < self.start).to(self.dtype)
        for _ in range(self.burn_in):
            x = self.step(x, generator)
        return self.shaped(x)

    @available_if(
        lambda self: self.event.dimensions <= _MOST, f"it needs at most {_MOST} dimensions"
    )
    @torch.no_grad()
    def transition_matrix(self) -> Tensor:
        """T (2^D, 2^D), T_xy = sum_x~ C(x~ | x) P(y | x~), over all states in counting order."""
        states = binary_states(self.event.dimensions, self.start)
        different = torch.cdist(states, states, p=1.0).round()
        flip = 0.5 * self.noise
        d = self.event.dimensions
        corruption = flip**different * (1 - flip) ** (d - different)
        m = len(states)
        rows = [self.reconstruct_log_prob(states, noisy.expand(m, -1)).exp() for noisy in states]
        return corruption @ torch.stack(rows)

"""Boltzmann machine: binary units, each connected with all others."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core import rng
from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.phase import Loss, Phase, Step
from phosphene.core.protocols import available_if
from phosphene.core.ranges import Count, Natural, Several
from phosphene.core.settings import setting
from phosphene.generative.energy.annealed import (
    LogNormalizer,
    annealed_importance,
    sigmoid_schedule,
)
from phosphene.generative.energy.settings import ChainSettings
from phosphene.generative.energy.units import FEW, BinaryUnits, binary_states, flip

__all__ = ["BoltzmannMachine"]

Learning = Literal["auto", "exact", "persistent"]


class BoltzmannMachine(ChainSettings, BinaryUnits):
    """p(s) = exp(1/2 s'Ws + b's) / Z, W symmetric with an empty diagonal.

    By Ackley, Hinton and Sejnowski (1985). The units s are the example and, perhaps, hidden ones;
    the gradient of the likelihood is <ss'> with the example given less <ss'> of the model. With at
    most 16 units in all it is computed over all states (``exact``). Otherwise both averages are of
    Gibbs chains, those of the model living on between steps (``persistent``).

    Without hidden units, but many visible ones, the likelihood is an estimate by annealed
    importance sampling; with many units, some of them hidden, it has no likelihood.

    Args:
        event: Codes 0 and 1 of any shape.
        context: None.

    Raises:
        EventError: The event has other codes than 0 and 1, or there is a context.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = BoltzmannMachine(Event.binary(4), hidden=2)
        >>> x = torch.cartesian_prod(*[torch.arange(2)] * 4)
        >>> bool((model.log_prob(x).exp().sum() - 1).abs() < 1e-5)
        True
    """

    hidden: Natural = setting(default=0, help="Number of hidden units.")
    learning: Learning = setting(
        default="auto", help="``exact``, ``persistent``, or ``auto``: exact with at most 16 units."
    )
    sweeps: Count = setting(
        default=200, help="Sweeps before a chain's state is a sample, where samples are not exact."
    )
    ais_chains: Several = setting(default=200, help="Chains of annealed importance sampling.")
    ais_temperatures: Count = setting(
        default=500, help="Temperatures of annealed importance sampling."
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.chains: Tensor
        self.base: Tensor
        self.units = self.event.dimensions + self.hidden
        few = self.units <= FEW
        if self.learning == "exact" and not few:
            raise ConfigError(
                f"exact learning takes at most {FEW} units, got {self.units}; use 'persistent'"
            )
        self.exact = few
        self.learning = (
            ("exact" if few else "persistent") if self.learning == "auto" else self.learning
        )
        self.likelihood = "exact" if few else ("none" if self.hidden else "estimate")
        self.ais = (self.ais_chains, self.ais_temperatures)
        self.b = nn.Parameter(torch.zeros(self.units))
        pairs = self.units * (self.units - 1) // 2
        self.w = nn.Parameter(0.01 * torch.randn(pairs))
        self.register_buffer("base", torch.zeros(self.event.dimensions))
        start = (torch.rand(self.chain_count, self.units) < 0.5).to(self.b.dtype)
        self.register_buffer("chains", start)
        above = torch.triu_indices(self.units, self.units, 1)
        self.register_buffer("above", above, persistent=False)

    @property
    def W(self) -> Tensor:
        """The symmetric weights (units, units), zero on the diagonal."""
        above = self.get_buffer("above")
        upper = self.w.new_zeros(self.units, self.units).index_put((above[0], above[1]), self.w)
        return upper + upper.T

    # -- the distribution -------------------------------------------------------------------------

    def negative_energy(self, s: Tensor) -> Tensor:
        """1/2 s'Ws + b's of states (n, units): (n,)."""
        return 0.5 * ((s @ self.W) * s).sum(-1) + s @ self.b

    def conditional(self, s: Tensor, i: int, beta: float = 1.0) -> Tensor:
        """The logit (n,) of s_i = 1 given all other units."""
        return beta * (s @ self.W[i] + self.b[i])

    def sweep(
        self, s: Tensor, generator: torch.Generator | None, *, known: Tensor | None = None
    ) -> Tensor:
        """One Gibbs step of each unit in turn; those that are known (n, units) stay."""
        s, W = s.clone(), self.W
        u = torch.rand(s.shape, generator=generator, dtype=s.dtype, device=s.device)
        for i in range(self.units):
            value = (u[:, i] < torch.sigmoid(s @ W[i] + self.b[i])).to(s.dtype)
            s[:, i] = value if known is None else torch.where(known[:, i], s[:, i], value)
        return s

    def _table(self) -> tuple[Tensor, Tensor]:
        """All states (2^units, units), and their negative energies."""
        s = binary_states(self.units, self.b)
        return s, self.negative_energy(s)

    @available_if(lambda self: self.exact, "Z has too many terms")
    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Exact log-probability (n,) in nats, hidden units summed out."""
        v = self.flat(x)
        _, table = self._table()
        by_example = torch.logsumexp(table.reshape(2**self.event.dimensions, -1), 1)
        place = 2 ** torch.arange(v.shape[1] - 1, -1, -1, device=v.device)
        return by_example[(v.long() * place).sum(1)] - torch.logsumexp(table, 0)

    @available_if(
        lambda self: self.likelihood == "estimate", "it is exact, or has hidden units to sum out"
    )
    @torch.no_grad()
    def estimate_log_prob(self, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
        """The unnormalized log-probability less an estimate of log Z, and its standard error."""
        z = self.estimate_log_z()
        value = self.negative_energy(self.flat(x)) - z.value
        return value, torch.full_like(value, z.stderr)

    @torch.no_grad()
    def estimate_log_z(self, *, seed: int = 0) -> LogNormalizer:
        """Annealed importance sampling from independent units with the data's frequencies."""
        assert self.hidden == 0, "hidden units would have to be summed out"
        chains, temperatures = self.ais
        g = rng.generator(seed, 63, device=self.device)
        start = flip(self.base.expand(chains, -1), g)
        W = self.W

        def log_f(s: Tensor, beta: float) -> Tensor:
            return (1 - beta) * (s @ self.base) + beta * self.negative_energy(s)

        def transition(s: Tensor, beta: float) -> Tensor:
            s = s.clone()
            u = torch.rand(s.shape, generator=g, dtype=s.dtype, device=s.device)
            for i in range(self.units):
                logit = (1 - beta) * self.base[i] + beta * (s @ W[i] + self.b[i])
                s[:, i] = (u[:, i] < torch.sigmoid(logit)).to(s.dtype)
            return s

        log_z = float(F.softplus(self.base.double()).sum())
        return annealed_importance(start, log_f, transition, sigmoid_schedule(temperatures), log_z)

    # -- learning ---------------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> None:
        """Start at the marginals, and the chains at examples."""
        v = self.flat(batch.x)
        with torch.no_grad():
            self.base.copy_(torch.logit((v.sum(0) + 0.5) / (len(v) + 1)))
            self.b[: v.shape[1]] = self.base
            index = torch.arange(len(self.chains), device=v.device) % len(v)
            self.chains[:, : v.shape[1]] = v[index]

    def phases(self) -> Sequence[Phase]:
        """The chains move, then the parameters do; exact learning has no chains."""
        model = Phase("model", list(self.parameters()), self.loss)
        if self.learning == "exact":
            return [model]
        return [Phase("chains", [], update=self._move), model]

    def loss(self, batch: Batch) -> Loss:
        """The exact negative log-likelihood; or a difference of energies with its gradient.

        In evaluation, where it is not exact, it is the pseudo-likelihood (Besag, 1975) of the
        units, hidden ones at a state drawn given the example.
        """
        v = self.flat(batch.x)
        if self.learning == "exact" or (self.exact and not self.training):
            nll = -self.log_prob(batch.x)
            return Loss(nll.mean(), {"nll": nll})
        s = self._completed(v, batch)
        if not self.training:
            logits = s @ self.W + self.b
            pseudo = F.binary_cross_entropy_with_logits(logits, s, reduction="none").sum(1)
            return Loss(pseudo.mean(), {"pseudo_nll": pseudo})
        gap = self.negative_energy(self.chains).mean() - self.negative_energy(s)
        return Loss(gap.mean(), {"energy_gap": gap.detach()})

    @torch.no_grad()
    def _completed(self, v: Tensor, batch: Batch) -> Tensor:
        """The examples with hidden units drawn given them, by Gibbs sweeps with batch noise."""
        if self.hidden == 0:
            return v
        d, W = v.shape[1], self.W
        s = torch.cat([v, 0.5 * torch.ones(len(v), self.hidden, dtype=v.dtype).to(v.device)], 1)
        for _ in range(max(self.steps, 3)):
            u = batch.uniform((self.hidden,))
            for i in range(self.hidden):
                logit = s @ W[d + i] + self.b[d + i]
                s[:, d + i] = (u[:, i] < torch.sigmoid(logit)).to(v.dtype)
        return s

    @torch.no_grad()
    def _move(self, batch: Batch, step: Step) -> None:
        """Sweeps of the chains, equal on all ranks."""
        g = rng.generator(*batch.noise.key, 64, device=self.device)
        for _ in range(self.steps):
            self.chains.copy_(self.sweep(self.chains, g))

    # -- sampling ---------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw (n, *event.shape): exactly with few units, else by sweeps of persistent chains."""
        if self.exact:
            s, table = self._table()
            p = torch.softmax(table.double(), 0)
            s = s[torch.multinomial(p, n, replacement=True, generator=generator)]
        else:
            s = self._starts(n, generator)
            for _ in range(self.sweeps):
                s = self.sweep(s, generator)
        return self.shaped(s[:, : self.event.dimensions])

    @torch.no_grad()
    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Keep x where the mask is True; the rest is a chain's state after ``sweeps`` sweeps."""
        d = self.event.dimensions
        v, seen = self.known(x, mask)
        known = torch.zeros(len(x), self.units, dtype=torch.bool, device=self.device)
        known[:, :d] = seen
        s = self._starts(len(x), generator)
        s[:, :d] = torch.where(seen, v, s[:, :d])
        for _ in range(self.sweeps):
            s = self.sweep(s, generator, known=known)
        return self.shaped(s[:, : self.event.dimensions])

    def _starts(self, n: int, generator: torch.Generator | None) -> Tensor:
        index = torch.randint(len(self.chains), (n,), generator=generator, device=self.device)
        return self.chains[index].clone()

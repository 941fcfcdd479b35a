"""Restricted Boltzmann machine: contrastive divergence, persistent chains, parallel tempering."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core import rng
from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.phase import Loss, Phase, Step
from phosphene.core.protocols import available_if
from phosphene.core.ranges import Count, NotNegative, Several
from phosphene.core.settings import setting
from phosphene.generative.energy.annealed import (
    LogNormalizer,
    annealed_importance,
    sigmoid_schedule,
)
from phosphene.generative.energy.settings import ChainSettings
from phosphene.generative.energy.units import FEW, BinaryUnits, binary_states, flip
from phosphene.nn.cached import Snapshot

__all__ = ["RBM"]

Learning = Literal["cd", "persistent", "tempering"]


class RBM(ChainSettings, BinaryUnits):
    """p(v) = sum_h exp(a'v + b'h + h'Wv) / Z, by Smolensky (1986); Hinton (2002).

    The hidden units are summed out: p(v) = exp(-F(v)) / Z with the free energy

        F(v) = -a'v - sum_j softplus(b_j + W_j v),

    and the gradient of log p is that of F at samples of the model less that at the data. The
    samples come from k steps of Gibbs sampling that start at the data (``cd``, contrastive
    divergence: Hinton, 2002), from chains that live on between steps (``persistent``: Tieleman,
    2008), or from chains at several temperatures that exchange their states (``tempering``:
    Desjardins et al., 2010), which mix between modes far apart.

    With at most 16 units on either side Z is summed, and the likelihood is exact. Otherwise it is
    an estimate by annealed importance sampling (Salakhutdinov and Murray, 2008), with its standard
    error.

    Args:
        event: Codes 0 and 1 of any shape, D of them.
        context: None.

    Raises:
        EventError: The event has other codes than 0 and 1, or there is a context.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = RBM(Event.binary(6), hidden=4)
        >>> x = torch.cartesian_prod(*[torch.arange(2)] * 6)
        >>> bool((model.log_prob(x).exp().sum() - 1).abs() < 1e-5)
        True
    """

    hidden: Count = setting(default=100, help="Number of hidden units.")
    learning: Learning = setting(
        default="persistent", help="``cd``, ``persistent`` or ``tempering``."
    )
    temperatures: Several = setting(
        default=10, help="Inverse temperatures of ``tempering``, from 1 to 0."
    )
    weight_decay: NotNegative = setting(
        default=0.0, help="Weight decay of W in nats per example: adds 1/2 decay |W|^2 to the loss."
    )
    gibbs: Count = setting(
        default=1000, help="Steps of a chain before it is a sample, where samples are not exact."
    )
    ais_chains: Several = setting(default=500, help="Chains of annealed importance sampling.")
    ais_temperatures: Count = setting(
        default=2000, help="Temperatures of annealed importance sampling."
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.chains: Tensor
        self.base: Tensor
        dimensions = self.event.dimensions
        self.exact = min(self.hidden, dimensions) <= FEW
        self.likelihood = "exact" if self.exact else "estimate"
        self.ais = (self.ais_chains, self.ais_temperatures)
        self.a = nn.Parameter(torch.zeros(dimensions))
        self.b = nn.Parameter(torch.zeros(self.hidden))
        self.W = nn.Parameter(0.01 * torch.randn(self.hidden, dimensions))
        self.register_buffer("base", torch.zeros(dimensions))
        replicas = self.temperatures if self.learning == "tempering" else 1
        if self.learning != "cd":
            start = (torch.rand(replicas, self.chain_count, dimensions) < 0.5).to(self.W.dtype)
            self.register_buffer("chains", start)
        self.betas = torch.linspace(1, 0, replicas).tolist() if replicas > 1 else [1.0]
        self._log_z: tuple[Snapshot, LogNormalizer] | None = None

    # -- the distribution -------------------------------------------------------------------------

    def free_energy(self, v: Tensor, beta: float = 1.0) -> Tensor:
        """F(v) = -a'v - sum_j softplus(b_j + W_j v) of flat v (n, D), all scaled by beta: (n,)."""
        inside = F.linear(v, self.W, self.b)
        return -beta * (v @ self.a) - F.softplus(beta * inside).sum(-1)

    def hidden_logits(self, v: Tensor) -> Tensor:
        """Logits (n, H) of p(h = 1 | v)."""
        return F.linear(v, self.W, self.b)

    def visible_logits(self, h: Tensor) -> Tensor:
        """Logits (n, D) of p(v = 1 | h)."""
        return F.linear(h, self.W.T, self.a)

    def gibbs_step(
        self, v: Tensor, generator: torch.Generator | None, beta: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Draw h ~ p(h|v), then v ~ p(v|h), at an inverse temperature; return v and h."""
        h = flip(beta * self.hidden_logits(v), generator)
        return flip(beta * self.visible_logits(h), generator), h

    def log_normalizer(self) -> LogNormalizer:
        """log Z, summed or estimated; kept until the weights change."""
        made_of, known = (self.a, self.b, self.W), self._log_z
        if known is None or self.training or not known[0].shows(made_of):
            with torch.no_grad():
                value = self._exact_log_z() if self.exact else self.estimate_log_z()
            known = self._log_z = (Snapshot(made_of), value)
        return known[1]

    def _exact_log_z(self) -> LogNormalizer:
        terms = self._side()[1]
        return LogNormalizer(float(torch.logsumexp(terms.double(), 0)), 0.0, float("inf"))

    def _side(self) -> tuple[Tensor, Tensor]:
        """All states of the smaller side, and their log-weights with the other side summed out."""
        hidden, dimensions = self.W.shape
        if hidden <= dimensions:
            h = binary_states(hidden, self.W)
            return h, h @ self.b + F.softplus(self.visible_logits(h)).sum(1)
        v = binary_states(dimensions, self.W)
        return v, -self.free_energy(v)

    @torch.no_grad()
    def estimate_log_z(self, *, seed: int = 0) -> LogNormalizer:
        """Annealed importance sampling from independent units with the data's frequencies.

        f_b(v) = exp((1 - b) a0'v + b a'v) prod_j (1 + exp(b (b_j + W_j v))), whose base b = 0 has
        log Z = sum_i softplus(a0_i) + H ln 2.
        """
        chains, temperatures = self.ais
        g = rng.generator(seed, 61, device=self.device)
        start = flip(self.base.expand(chains, -1), g)
        log_z = float(F.softplus(self.base.double()).sum()) + len(self.b) * 0.6931471805599453

        def log_f(v: Tensor, beta: float) -> Tensor:
            return (1 - beta) * (v @ self.base) - self.free_energy(v, beta)

        def transition(v: Tensor, beta: float) -> Tensor:
            h = flip(beta * self.hidden_logits(v), g)
            return flip((1 - beta) * self.base + beta * self.visible_logits(h), g)

        return annealed_importance(start, log_f, transition, sigmoid_schedule(temperatures), log_z)

    @available_if(lambda self: self.exact, "Z has too many terms; estimate_log_prob estimates it")
    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Exact log-probability (n,) in nats."""
        v = self.flat(x)
        if not torch.is_grad_enabled():
            return -self.free_energy(v) - self.log_normalizer().value
        return -self.free_energy(v) - torch.logsumexp(self._side()[1], 0)

    @available_if(lambda self: not self.exact, "its likelihood is exact: log_prob")
    @torch.no_grad()
    def estimate_log_prob(self, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
        """-F(x) - log Z and the standard error of log Z, each (n,) in nats."""
        z = self.log_normalizer()
        value = -self.free_energy(self.flat(x)) - z.value
        return value, torch.full_like(value, z.stderr)

    # -- learning ---------------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> None:
        """Start at the marginals, and the chains at examples."""
        v = self.flat(batch.x)
        with torch.no_grad():
            self.base.copy_(torch.logit((v.sum(0) + 0.5) / (len(v) + 1)))
            self.a.copy_(self.base)
            if self.learning != "cd":
                index = torch.arange(self.chains.shape[1], device=v.device) % len(v)
                self.chains.copy_(v[index].expand_as(self.chains))

    def phases(self) -> Sequence[Phase]:
        """The chains move, then the parameters do."""
        model = Phase("model", list(self.parameters()), self.loss)
        if self.learning == "cd":
            return [model]
        return [Phase("chains", [], update=self._move), model]

    def loss(self, batch: Batch) -> Loss:
        """F at the data less F at the model's samples: its gradient is that of the likelihood.

        Its value is not a likelihood. In evaluation it is the exact one, or the pseudo-likelihood.
        """
        v = self.flat(batch.x)
        if not self.training:
            nll = -self.log_prob(batch.x) if self.exact else -self.pseudo_log_likelihood(v, batch)
            return Loss(nll.mean(), {"nll" if self.exact else "pseudo_nll": nll})
        if self.learning == "cd":
            negative = self.free_energy(self._reconstructed(v, batch))
        else:
            negative = self.free_energy(self.chains[0]).mean().expand(len(v))
        difference = self.free_energy(v) - negative
        decay = 0.5 * self.weight_decay * self.W.square().sum()
        return Loss(difference.mean() + decay, {"energy_gap": difference.detach()})

    @torch.no_grad()
    def _reconstructed(self, v: Tensor, batch: Batch) -> Tensor:
        """Some steps of Gibbs sampling from the data, with the batch's noise."""
        for _ in range(self.steps):
            h = (batch.uniform((len(self.b),)) < torch.sigmoid(self.hidden_logits(v))).to(v.dtype)
            u = batch.uniform((self.event.dimensions,))
            v = (u < torch.sigmoid(self.visible_logits(h))).to(v.dtype)
        return v

    @torch.no_grad()
    def _move(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Gibbs steps of all chains, and exchanges between temperatures; equal on all ranks."""
        g = rng.generator(*batch.noise.key, 62, device=self.device)
        swapped = torch.zeros(())
        for _ in range(self.steps):
            h = []
            for k, beta in enumerate(self.betas):
                self.chains[k], hidden = self.gibbs_step(self.chains[k], g, beta)
                h.append(hidden)
            if len(self.betas) > 1:
                swapped = self._exchange(torch.stack(h), step.number, g)
        return {"swapped": swapped} if len(self.betas) > 1 else {}

    def _exchange(self, h: Tensor, number: int, g: torch.Generator) -> Tensor:
        """Neighbouring temperatures swap states with probability min(1, e^{(b - b')(E - E')})."""
        energy = -(self.chains @ self.a) - h @ self.b - (h * (self.chains @ self.W.T)).sum(-1)
        rates = []
        for k in range(number % 2, len(self.betas) - 1, 2):
            log_ratio = (self.betas[k] - self.betas[k + 1]) * (energy[k] - energy[k + 1])
            u = torch.rand(log_ratio.shape, generator=g, dtype=h.dtype, device=h.device)
            swap = (u.log() < log_ratio)[:, None]
            above, below = self.chains[k].clone(), self.chains[k + 1].clone()
            self.chains[k] = torch.where(swap, below, above)
            self.chains[k + 1] = torch.where(swap, above, below)
            rates.append(swap.to(h.dtype).mean())
        return torch.stack(rates).mean() if rates else torch.zeros(())

    @torch.no_grad()
    def pseudo_log_likelihood(self, v: Tensor, batch: Batch | None = None) -> Tensor:
        """sum_i log p(v_i | all others) (n,), by Besag (1975): no Z is needed.

        With more than 64 dimensions it is estimated from 32 of them, drawn by the batch.
        """
        dimensions = v.shape[1]
        if dimensions <= 64 or batch is None:
            chosen = torch.arange(dimensions, device=v.device)
        else:
            chosen = batch.uniform((dimensions,))[0].argsort()[:32]
        free, total = self.free_energy(v), torch.zeros_like(v[:, 0])
        for i in chosen.tolist():
            flipped = v.clone()
            flipped[:, i] = 1 - flipped[:, i]
            total += F.logsigmoid(self.free_energy(flipped) - free)
        return total * (dimensions / len(chosen))

    # -- sampling ---------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw (n, *event.shape): exactly where Z is summed, else by ``gibbs`` steps of chains."""
        if self.exact:
            states, log_weights = self._side()
            index = torch.multinomial(
                torch.softmax(log_weights.double(), 0), n, replacement=True, generator=generator
            )
            chosen = states[index]
            of_hidden = len(self.b) <= self.event.dimensions
            v = flip(self.visible_logits(chosen), generator) if of_hidden else chosen
        else:
            v = self._run(self._starts(n, generator), generator)
        return self.shaped(v)

    @torch.no_grad()
    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Keep x where the mask is True; the rest is a chain's state after ``gibbs`` steps."""
        v, known = self.known(x, mask)
        v = torch.where(known, v, self._starts(len(x), generator))
        return self.shaped(self._run(v, generator, known))

    def _run(
        self, v: Tensor, generator: torch.Generator | None, known: Tensor | None = None
    ) -> Tensor:
        start = v
        for _ in range(self.gibbs):
            v, _ = self.gibbs_step(v, generator)
            v = v if known is None else torch.where(known, start, v)
        return v

    def _starts(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Where chains begin: at persistent ones, or at independent units."""
        if self.learning == "cd":
            return flip(self.base.expand(n, -1), generator)
        kept = self.chains[0]
        index = torch.randint(len(kept), (n,), generator=generator, device=kept.device)
        return kept[index].clone()

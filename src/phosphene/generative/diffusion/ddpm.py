"""DDPM: a chain of T steps of noise, and a network that takes them back."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.ranges import Count
from phosphene.core.settings import setting
from phosphene.generative.diffusion.bound import (
    discretized_log_prob,
    normal_log_prob,
    prior_kl,
    step_cost,
)
from phosphene.generative.diffusion.editing import Editing
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.schedule import between, build_schedule
from phosphene.generative.diffusion.times import spread_times, stratified

__all__ = ["DDPM"]


class DDPM(Editing):
    """q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t); p(x_{t-1} | x_t) is learned.

    Denoising diffusion probabilistic models (Ho, Jain and Abbeel, 2020). The bound has all its
    terms: log p(x) >= E log p(x_0 | x_1) - KL(q(x_T | x_0) || p(x_T))
    - sum_{t >= 2} E KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)). Of codes the first term is the
    mass of a normal in the code's bin; of reals it is a density. ``elbo`` draws the times of the
    sum: its mean is the bound.

    Args:
        event: Reals, or codes that are near or far.
        context: What it is conditioned on; withheld at random, so that samples can be guided.

    Raises:
        UnknownNameError: There is no such schedule.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = DDPM(Event.image(1, 8, levels=17), widths=(8,), steps=50)
        >>> model.sample(2, steps=3).shape, model.elbo(torch.zeros(2, 1, 8, 8)).shape
        (torch.Size([2, 1, 8, 8]), torch.Size([2]))
    """

    likelihood = "bound"
    weights_particles = False
    bound_note = "times of the chain drawn at random"
    scoring_particles = 16
    """Times that are drawn for each example when it is scored."""
    in_between = False

    steps: Count = setting(default=1000, help="T, the steps of the chain.")
    schedule_name: Literal["linear", "cosine", "sigmoid"] = setting(
        alias="schedule", default="cosine", help="``linear``, ``cosine`` or ``sigmoid``."
    )
    variance: Literal["beta", "posterior"] = setting(
        default="beta",
        help="Of p(x_{t-1} | x_t), in the bound: ``beta``, or ``posterior``, which costs more.",
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        chain = build_schedule(self.schedule_name, self.steps)
        self.chain = chain
        costs = [(0.0, 0.0)] * min(2, self.steps + 1)
        for t in range(2, self.steps + 1):
            step = between(chain.level(t), chain.level(t - 1))
            costs.append(step_cost(step, self.variance))
        self.alphas: Tensor
        self.sigmas: Tensor
        self.costs: Tensor
        for name, values in (
            ("alphas", chain.alphas),
            ("sigmas", chain.sigmas),
            ("costs", torch.tensor(costs, dtype=torch.float64)),
        ):
            self.register_buffer(name, values, persistent=False)

    def levels(self, steps: int) -> list[Level[float]]:
        """Of so many of the chain's steps."""
        return self.chain.levels(steps)

    def usual(self, steps: int) -> int:
        """At most those of the chain."""
        return min(steps, self.steps)

    def at(self, t: Tensor) -> Level[Tensor]:
        """The levels of steps t (n,) in 1..T."""
        alpha, sigma = self.alphas[t].to(self.dtype), self.sigmas[t].to(self.dtype)
        zero = torch.zeros_like(alpha)
        return Level(t.to(self.dtype) / self.steps, alpha, sigma, zero, zero)

    def drawn(self, batch: Batch) -> Level[Tensor]:
        """Steps spread over 1..T."""
        t = 1 + (spread_times(batch) * self.steps).long().clamp(max=self.steps - 1)
        return self.at(t)

    # -- the bound ----------------------------------------------------------------------------

    def terms(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Mapping[str, Tensor]:
        """The three parts of the bound (n,): ``decoder``, ``prior`` and ``steps``, in nats.

        Args:
            x: Examples.
            context: What they are conditioned on.
            particles: Times drawn for the sum over steps, spread evenly over the chain.
            generator: Draws times and noise.
        """
        if particles < 1:
            raise ConfigError(f"particles must be 1 or more, got {particles}")
        self.event.check(x)
        context = self.given(context, len(x))
        y, log_det = self.encoded(x)
        prior = prior_kl(y, self.chain.level(self.steps))
        decoder = self._decoder(x, y, context, generator)
        decoder = decoder + (0.0 if self.event.discrete else log_det)
        steps = torch.zeros_like(prior)
        if self.steps > 1:
            u = torch.rand(len(x), generator=generator, dtype=y.dtype, device=y.device)
            for part in stratified(u, particles).unbind(1):
                steps = steps + self._step(y, part, context, generator) / particles
        return {"decoder": decoder, "prior": prior, "steps": steps}

    def _noised(self, y: Tensor, level: Level[Tensor], generator: torch.Generator | None) -> Tensor:
        shape = (-1,) + (1,) * (y.ndim - 1)
        eps = torch.empty_like(y).normal_(generator=generator)
        return level.alpha.view(shape) * y + level.sigma.view(shape) * eps

    def _decoder(
        self, x: Tensor, y: Tensor, context: Context, generator: torch.Generator | None
    ) -> Tensor:
        """log p(x_0 | x_1), x_1 drawn."""
        first = self.at(torch.ones(len(y), dtype=torch.long, device=y.device))
        D = self.estimate(self._noised(y, first, generator), first, context)
        std = self.chain.level(1).sigma
        if self.event.levels is None:
            return normal_log_prob(y, D, std)
        return discretized_log_prob(x, D, std, self.event.levels)

    def _step(
        self, y: Tensor, u: Tensor, context: Context, generator: torch.Generator | None
    ) -> Tensor:
        """(T - 1) KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)), t in 2..T by u."""
        t = 2 + (u * (self.steps - 1)).long().clamp(max=self.steps - 2)
        level = self.at(t)
        D = self.estimate(self._noised(y, level, generator), level, context)
        weight, constant = self.costs[t].to(y.dtype).unbind(1)
        square = (y - D).square().flatten(1).sum(1)
        return (self.steps - 1) * (weight * square + constant * self.event.dimensions)

    @torch.no_grad()
    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The bound (n,) in nats, up to the drawing of times; more particles, less noise."""
        parts = self.terms(x, context, particles=particles, generator=generator)
        return parts["decoder"] - parts["prior"] - parts["steps"]

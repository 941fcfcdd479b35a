"""Continuous flow: a density that a learned velocity carries to the base."""

from typing import Literal

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.phase import Loss
from phosphene.core.protocols import available_if
from phosphene.core.ranges import Count, Natural, Positive
from phosphene.core.settings import setting
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.continuous import Continuous
from phosphene.generative.flow.layers.transform import Composition
from phosphene.generative.flow.layers.velocity import VelocityNetwork
from phosphene.generative.flow.settings import BoundedSettings, VectorSettings
from phosphene.nn.ode import Solver
from phosphene.nn.ode_density import TRACES, Flowed, fixed_probes, probes_of, standard_error

__all__ = ["ContinuousFlow"]

NETWORKS: tuple[Literal["auto", "mlp", "conv"], ...] = ("auto", "mlp", "conv")

_EXACT_IN_LOSSES, _EXACT_IN_LIKELIHOODS = 3, 32
"""The most dimensions of which ``auto`` computes the trace exactly."""

_PROBES = 8
"""In the likelihood of examples that have more."""


class ContinuousFlow(BoundedSettings, VectorSettings, Flow):
    """dz/dt = v(z, t), z(0) = x: log p(x) = log p_Z(z(T)) + int_0^T tr(dv/dz) dt.

    Neural ordinary differential equations (Chen, Rubanova, Bettencourt and Duvenaud, 2018), with
    the trace estimated by e^T (dv/dz) e while training (FFJORD; Grathwohl, Chen, Bettencourt,
    Sutskever and Duvenaud, 2019). v is any network: nothing in it has to be invertible.

    The log-density of reals is known up to the error of the solver, about ``tolerance``, so that
    its kind is ``ode`` and its name ``estimate_log_prob``, whose standard error is that of the
    trace: 0 where it is exact. Codes have a bound, up to the same error. The bijection itself
    (``forward_and_log_det``, ``inverse``, samples) is solved to 1e-6 in float32 and to 1e-12 in
    float64.

    Args:
        event: Reals, or images of codes.
        context: A label, a vector or an image that v is told, or nothing.

    Raises:
        UnknownNameError: There is no such network, layer, activation, trace, noise or gradient.
        ConfigError: A number is not positive, or convolutions are asked for vectors.

    Example:
        >>> from phosphene.core.event import Event
        >>> flow = ContinuousFlow(Event.real(2), hidden=(8,))
        >>> value, error = flow.estimate_log_prob(torch.zeros(3, 2))
        >>> value.detach()  # untrained, v = 0: the base itself
        tensor([-1.8379, -1.8379, -1.8379])
    """

    hidden: tuple[int, ...] = setting(
        default=(64, 64, 64), help="Widths of the hidden layers of v, or their channels."
    )
    network: str = setting(
        default="auto",
        help="``mlp`` (examples are flattened), ``conv`` (convolutions 3x3), or ``auto``: "
        "``conv`` for images.",
    )
    layer: str = setting(
        default="concatsquash", help="How the time enters v: ``concatsquash`` or ``concat``."
    )
    activation_name: str = setting(
        alias="activation", default="tanh", help="Activation of v, a smooth one."
    )
    time: Positive = setting(default=1.0, help="The end time T.")
    trace: str = setting(
        default="auto",
        help="``exact`` (D products of reverse mode), ``hutchinson`` (one), or ``auto``: exact "
        "for up to 3 dimensions in losses and 32 in likelihoods.",
    )
    noise: str = setting(
        default="rademacher",
        help="Noise of the estimated trace: ``rademacher`` or ``normal``, drawn once for each "
        "solve.",
    )
    tolerance: Positive = setting(
        default=1e-5,
        help="Relative and absolute tolerance of the solver, in losses and likelihoods.",
    )
    loss_steps: Natural = setting(
        default=0,
        help="Losses take this many Runge-Kutta steps of order 4 instead of steps chosen by the "
        "tolerance; 0 for the tolerance.",
    )
    gradient: str = setting(
        default="backprop", help="``backprop`` through the steps, or ``adjoint``."
    )
    max_steps: Count = setting(
        default=1000, help="Steps after which a solve that does not arrive is an error."
    )

    codec_name: str = setting(
        alias="codec",
        default="logit",
        help="How codes become reals: ``logit``, ``centered``, or ``equalized`` (normal at each "
        "pixel, by learned histograms).",
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.network not in NETWORKS:
            raise UnknownNameError("network", self.network, NETWORKS)
        if self.trace not in ("auto", *TRACES):
            raise UnknownNameError("trace", self.trace, ("auto", *TRACES))
        probes_of(torch.zeros(1), self.noise)
        if self.network == "conv" and not self.event.has_image_shape:
            raise ConfigError(
                f"network 'conv' is for images, got {self.event}; use 'mlp' or 'auto'"
            )
        if self.event.discrete:
            self.bound_note += ", up to the solver's error"
        else:
            self.likelihood = "ode"
        self.weights_particles = self._exact(_EXACT_IN_LIKELIHOODS)
        solver = Solver(
            rtol=self.tolerance,
            atol=self.tolerance,
            max_steps=self.max_steps,
            gradient=self.gradient,
        )
        self.loss_solver = solver
        if self.loss_steps:
            self.loss_solver = Solver("rk4", self.loss_steps, gradient=self.gradient)
        velocity = VelocityNetwork(
            self.event.shape,
            self.hidden,
            activation=self.activation_name,
            layer=self.layer,
            convolution=self.event.has_image_shape and self.network != "mlp",
            context=self.context,
        )
        self.ode = Continuous(velocity, time=self.time, solver=solver)
        self.build(self.ode)

    def _exact(self, most: int) -> bool:
        return self.trace == "exact" or (self.trace == "auto" and self.event.dimensions <= most)

    def _density(
        self, y: Tensor, context: Context, probes: Tensor | None, solver: Solver
    ) -> Flowed:
        """Log-densities by each probe (n, P), in the place of log-determinants."""
        z, log_prob, evaluations = y, y.new_zeros(len(y), 1), y.new_zeros(len(y))
        whole = self.transform
        for part in whole if isinstance(whole, Composition) else [whole]:
            if part is self.ode:
                z, more, evaluations = self.ode.carry(z, context, probes=probes, solver=solver)
            else:  # the whitening before, or the map to a base on the unit cube after
                z, each = part.forward_and_log_det(z, context)
                more = each[:, None]
            log_prob = log_prob + more
        return Flowed(z, log_prob + self.base.log_prob(z, context)[:, None], evaluations)

    def _drawn(self, y: Tensor) -> Tensor | None:
        """Probes for a likelihood, always the same; None where the trace is exact."""
        if self._exact(_EXACT_IN_LIKELIHOODS):
            return None
        return fixed_probes(y, _PROBES, self.noise)

    def _log_density(self, y: Tensor, context: Context) -> Tensor:
        return self._density(y, context, self._drawn(y), self.ode.solver).log_dets.mean(1)

    @available_if(lambda self: False, "an ODE is solved up to a tolerance: use estimate_log_prob")
    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Withheld: the density is known up to the error of the solver."""
        raise AssertionError

    @available_if(lambda self: not self.event.discrete, "codes have a bound: use elbo")
    def estimate_log_prob(self, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
        """The log-density of reals (n,) in nats, and the standard error of the trace (n,)."""
        context = self.given(context, len(x))
        y, log_det = self.encoded(self.event.check(x))
        values = self._density(y, context, self._drawn(y), self.ode.solver).log_dets
        return values.mean(1) + log_det, standard_error(values)

    @available_if(
        lambda self: self.event.discrete, "the density of reals is estimated: use estimate_log_prob"
    )
    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A bound (n,) on the log-probability of codes, in nats, up to the solver's error.

        Particles weight each other where the trace is exact, and are averaged where it is
        estimated: the weights of noisy log-densities are too large on average, and no bound.
        """
        if particles < 1:
            raise ConfigError(f"particles must be 1 or more, got {particles}")
        one = particles if self.weights_particles else 1
        draws = [
            super(ContinuousFlow, self).elbo(x, context, particles=one, generator=generator)
            for _ in range(particles // one)
        ]
        return torch.stack(draws).mean(0)

    @torch.no_grad()
    def inverse_error(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Largest |f^-1(f(y)) - y| of each example (n,), in units of the largest |y|."""
        context = self.given(context, len(x))
        y, _ = self.encoded(self.event.check(x))
        back = self.ode.inverse(self.ode.move(y, context), context)
        return (back - y).abs().flatten(1).amax(1) / y.abs().max().clamp(min=1.0)

    def loss(self, batch: Batch) -> Loss:
        """The negative log-density (or bound), by the batch's noise; and what it took to solve."""
        self.event.check(batch.x)
        context = self.given(batch.context, len(batch))
        noise, log_q = None, torch.zeros((), dtype=self.dtype, device=batch.x.device)
        if self.event.discrete:
            uniform = batch.uniform(self.event.shape).to(self.dtype)
            noise, log_q = self.dequantizer(batch.x, uniform, context)
        y, log_det = self.encoded(batch.x, noise)
        probes = None
        if not self._exact(_EXACT_IN_LOSSES):
            probes = probes_of(batch.normal((1, *self.event.shape)).to(self.dtype), self.noise)
        _, values, evaluations = self._density(y, context, probes, self.loss_solver)
        nll = log_q - values[:, 0] - log_det
        terms = {"nll": nll, "evaluations": evaluations}
        if not self.training:
            terms["inverse_error"] = self.inverse_error(batch.x[:32], context[:32])
        return Loss(nll.mean(), terms)

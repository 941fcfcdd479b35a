"""Flows in continuous time: the bijection that a velocity makes in a given time."""

from functools import partial

from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.generative.flow.layers.transform import Transform
from phosphene.nn.ode import Solver, Velocity, odeint, sharp
from phosphene.nn.ode_density import Flowed, carry

__all__ = ["Continuous"]


class Continuous(Transform):
    """z = z(T), dz/dt = v(z, t; context), z(0) = x, with log |det| = int tr(dv/dz) dt.

    By Chen, Rubanova, Bettencourt and Duvenaud (2018). As a bijection it is solved to 1e-6 in
    float32 and 1e-12 in float64 (or to the solver's own tolerance where that is smaller), by the
    exact trace: a solution and its inverse then agree to a few digits less. :meth:`carry` solves
    it as coarsely as a loss can bear.

    Args:
        network: v, called with (n, ...), times (n,) and a context.
        time: T.
        solver: How losses and likelihoods are solved.

    Raises:
        ConfigError: T is not positive.
    """

    def __init__(
        self, network: nn.Module, *, time: float = 1.0, solver: Solver | None = None
    ) -> None:
        super().__init__()
        if not time > 0:
            raise ConfigError(f"time must be above 0, got {time}")
        self.network, self.time, self.solver = network, time, solver or Solver()

    def carry(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        probes: Tensor | None = None,
        solver: Solver | None = None,
        back: bool = False,
    ) -> Flowed:
        """From x to z, or back."""
        return carry(
            self._velocity(context),
            x,
            *self._times(back),
            probes=probes,
            solver=solver or self.solver,
            parameters=tuple(self.network.parameters()),
        )

    def _velocity(self, context: Context | None) -> Velocity:
        told = partial(self.network, context=context)
        pushed = getattr(self.network, "pushed", None)
        if pushed is not None:
            told.pushed = partial(pushed, context=context)  # type: ignore[attr-defined]
        return told

    def _times(self, back: bool) -> tuple[float, float]:
        return (self.time, 0.0) if back else (0.0, self.time)

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Forward in time."""
        z, log_dets, _ = self.carry(x, context, solver=sharp(self.solver, x.dtype))
        return z, log_dets[:, 0]

    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Nothing is initialized; z without the trace, which takes a product for each dimension."""
        return self.move(x, context)

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Back in time."""
        x, log_dets, _ = self.carry(z, context, solver=sharp(self.solver, z.dtype), back=True)
        return x, log_dets[:, 0]

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """Back in time, without the trace."""
        return self.move(z, context, back=True)

    def move(self, x: Tensor, context: Context | None = None, *, back: bool = False) -> Tensor:
        """From x to z, or back, as exactly as the bijection but without its log-determinant."""
        solver, parameters = sharp(self.solver, x.dtype), tuple(self.network.parameters())
        velocity, times = self._velocity(context), self._times(back)
        return odeint(velocity, x, *times, solver, parameters=parameters).y

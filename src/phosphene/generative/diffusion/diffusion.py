"""What every diffusion model shares: the loss, the estimate of the data, and its samplers."""

from collections.abc import Callable
from typing import Annotated, Any

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.draws_per_context import each_row
from phosphene.core.errors import ConfigError, DataError
from phosphene.core.model import Model
from phosphene.core.moments import Moments
from phosphene.core.phase import Loss
from phosphene.core.ranges import COUNT, NotNegative
from phosphene.data.codecs import Chain, Codec, Dequantize, Signed, Standardize
from phosphene.generative.diffusion.asking import Told, asked, input_scale
from phosphene.generative.diffusion.guidance import Guidance
from phosphene.generative.diffusion.layers.networks import build_network
from phosphene.generative.diffusion.level import Level, rows
from phosphene.generative.diffusion.samplers.named import SamplerName, build_table
from phosphene.generative.diffusion.samplers.table import Row, Table, run
from phosphene.generative.diffusion.settings import LossSettings
from phosphene.generative.diffusion.target import build_target
from phosphene.generative.diffusion.weighting import build_weighting

__all__ = ["Diffusion"]

_AT_ONCE = 2**18
"""Values that are sampled at once."""


class Diffusion(LossSettings, Model):
    """x_t = alpha_t x_0 + sigma_t eps, and a network that estimates x_0 from it.

    The loss is E w(t) |m(x_t, t) - target|^2 (Ho, Jain and Abbeel, 2020), the mean over dimensions.
    Inside, codes lie in [-1, 1] and reals have mean 0 and variance 1. A subclass says which levels
    there are: those of a batch in training (:meth:`drawn`) and those of a sampler (:meth:`levels`).

    Raises:
        EventError: The event has no order, as tokens have none.
        UnknownNameError: There is no such network, target or weighting.
    """

    usual_target = "noise"
    usual_weighting = "simple"
    usual_sampler = "dpm++"
    usual_steps = 20
    dequantized = False
    """Whether codes are spread over their bins, so that they have a density."""
    scales_input = False
    coordinate = "straight"
    """In which ``heun`` and ``midpoint`` take straight steps: finite where no data are left."""
    time_scale = 1.0
    """Times 1000, the angle of the fastest wave by which the network is told the time 1."""

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.event.kind in ("tokens", "audio"):
            self.refuse("noise is added to reals and to codes whose values are near or far")
        name = self.usual_target if self.target_name == "auto" else self.target_name
        self.target = build_target(name)
        self.weighting = build_weighting(
            self.usual_weighting if self.weighting_name == "auto" else self.weighting_name
        )
        if self.weight and not (self.context and self.drop):
            raise ConfigError(
                f"guidance={self.weight} needs a condition that training withholds at times: a "
                "context, and drop above 0"
            )
        self.network = build_network(self.event, self.context, **self.network_settings)
        self.codec = self._codec()
        self._tables: dict[Any, Any] = {}

    def _codec(self) -> Codec:
        if self.event.levels is None:
            shape = self.event.shape
            wide = (shape[0], 1, 1) if self.event.has_image_shape else shape
            return Standardize(torch.zeros(wide, dtype=torch.float64), torch.ones(wide))
        if self.dequantized:
            return Chain(Dequantize(self.event.levels), Standardize(0.5, 0.5))
        return Signed(self.event.levels)

    # -- what a subclass says -----------------------------------------------------------------

    def drawn(self, batch: Batch) -> Level[Tensor]:
        """The level of each example in training (n,)."""
        raise NotImplementedError

    def levels(self, steps: int) -> list[Level[float]]:
        """The levels of a sampler of so many steps, from noise to the data."""
        raise NotImplementedError

    def middle(self, s: Level[float], t: Level[float]) -> Level[float]:
        """The level halfway between two."""
        raise NotImplementedError

    # -- training -----------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> None:
        """Learn the scale of reals: of each dimension, or of each channel of what is an image."""
        if isinstance(self.codec, Standardize) and not self.event.discrete:
            moments = batch.moments or Moments.of(self.event.check(batch.x))
            if self.event.has_image_shape:
                self.codec.take(moments.by_channel)
                return
            self.check_moments(moments)
            self.codec.take(moments)

    def check_moments(self, moments: Moments) -> None:
        """Refuse vectors with a column that never varies: it has no density."""
        if moments.n > 1 and moments.constant and not self.event.has_image_shape:
            name = moments.name(moments.constant[0])
            raise DataError(f"{name} is constant, where a density is infinite: leave it out")

    def encoded(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Examples as the network sees them without noise, and the log-determinant (n,)."""
        wide = x.dtype == torch.float64 and not self.event.discrete
        return self.codec.encode(x if wide else x.to(self.dtype), noise)

    def loss(self, batch: Batch) -> Loss:
        """The weighted error of the network, on the batch's noise."""
        self.event.check(batch.x)
        context = self.given(batch.context, len(batch))
        if self.training and self.context and self.drop:
            context = context.drop(self.drop, batch.uniform(()))
        spread = batch.uniform(self.event.shape).to(self.dtype) if self.dequantized else None
        y, _ = self.encoded(batch.x, spread)
        level = self.drawn(batch)
        eps = self.noise(batch, y)
        error = self._error(y, eps, level, context, batch.uniform if self.training else None)
        return Loss(error.mean(), {"error": error})

    def noise(self, batch: Batch, y: Tensor) -> Tensor:
        """The noise that each example is given."""
        return batch.normal(self.event.shape).to(y.dtype)

    def _error(
        self, y: Tensor, eps: Tensor, level: Level[Tensor], context: Context, uniform: Any
    ) -> Tensor:
        wide = rows(level, y.ndim)
        x = wide.alpha * y + wide.sigma * eps
        m = self._network(x, level, context, uniform)
        square = (m - self.target.of(y, eps, wide)).square().flatten(1).mean(1)
        return self.weighting(level, self.target.linear(level)[1]) * square

    def _network(
        self, x: Tensor, level: Level[Tensor], context: Context | None, uniform: Any = None
    ) -> Tensor:
        scale = input_scale(rows(level, x.ndim), self.scales_input)
        x = x if scale is None else x * scale
        time = level.time.to(x.dtype) * self.time_scale
        m: Tensor = self.network(x, time, context, uniform=uniform)
        return m

    def estimate(self, x: Tensor, level: Level[Tensor], context: Context | None = None) -> Tensor:
        """D: the network's estimate of the data (n, ...), inside, at levels (n,)."""
        p, q = self.target.linear(rows(level, x.ndim))
        return p * x + q * self._network(x, level, context)

    # -- samples ------------------------------------------------------------------------------

    def table(self, sampler: str, steps: int | None, eta: float | None = None) -> Table:
        """The numbers of a sampler, made once."""
        name = self.usual_sampler if sampler == "auto" else sampler
        count = self.usual(self.usual_steps) if steps is None else steps
        COUNT.check("steps", count)
        key = (name, count, eta)
        if key not in self._tables or self.learns_levels:
            levels = self.levels(count)
            middle = self.middle if self.in_between else None
            self._tables[key] = build_table(
                name, levels, eta=eta, coordinate=self.coordinate, middle=middle
            )
        made: Table = self._tables[key]
        return made

    def usual(self, steps: int) -> int:
        """So many steps of a sampler, or as many as there are."""
        return steps

    learns_levels = False
    """Whether alpha and sigma are learned, so that tables are made anew."""
    in_between = True
    """Whether there are levels between any two."""

    @property
    def clip(self) -> float | None:
        """Where estimates of codes are cut off: their range."""
        return 1.0 if self.event.discrete else None

    def _weight(self, said: float | None, guide: Guidance | None) -> float:
        """Of classifier-free guidance: what was said, or the model's own."""
        if said is None:
            return self.weight if guide is None else 0.0
        return said

    def told(self, context: Context) -> Told:
        """The network under a condition, as samplers and guidance ask it."""
        return Told(
            self.network, self.target, context, scales=self.scales_input, pace=self.time_scale
        )

    @torch.no_grad()
    @each_row
    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        steps: Annotated[int | None, COUNT] = None,
        sampler: SamplerName = "auto",
        guidance: float | None = None,
        rescale: NotNegative = 0.0,
        eta: float | None = None,
        guide: Guidance | None = None,
    ) -> Tensor:
        """Draw (n, *event.shape): noise, and then the steps of a sampler.

        Args:
            n: How many.
            context: What they are conditioned on.
            generator: Draws the noise.
            steps: Of the sampler; None for the model's usual number.
            sampler: Its name; ``auto`` for the model's usual one.
            guidance: w of classifier-free guidance, above -1; 0 is the conditional model itself,
                and None the weight that is the model's own.
            rescale: Of guidance, from 0 to 1.
            eta: Noise of the sampler ``ddim``, from 0 to 1.
            guide: Another guidance, such as a classifier's.

        Raises:
            UnknownNameError: There is no such sampler.
            ConfigError: A number is out of range, or there is nothing to guide toward.
        """
        how = {"steps": steps, "sampler": sampler, "eta": eta}
        context = self.given(context, n)
        pull = {"guidance": guidance, "rescale": rescale, "guide": guide}
        parts = []
        for start, stop in self._parts(n):
            own = context[slice(start, stop)]
            x = self._begin_with(stop - start, how, generator)
            parts.append(self._run(x, own, how, pull, generator))
        y = torch.cat(parts) if parts else self._begin_with(0, how, generator)
        return self.codec.decode(y)

    @torch.no_grad()
    def sample_path(
        self,
        n: int,
        context: Context | None = None,
        *,
        frames: int = 8,
        generator: torch.Generator | None = None,
        steps: int | None = None,
        sampler: SamplerName = "auto",
        guidance: float | None = None,
        rescale: float = 0.0,
        eta: float | None = None,
        guide: Guidance | None = None,
    ) -> Tensor:
        """Samples and how they came about (frames, n, *event.shape), from noise to the data.

        The states x_t as floats on the scale of the codes, or of the reals, at times as evenly
        spread as the sampler's steps allow; the first is noise and the last the sample.

        Args:
            n: How many.
            context: As in :meth:`sample`.
            frames: How many states, 2 or more; all there are, where the steps are fewer.
            generator: As in :meth:`sample`.
            steps: As in :meth:`sample`.
            sampler: As in :meth:`sample`.
            guidance: As in :meth:`sample`.
            rescale: As in :meth:`sample`.
            eta: As in :meth:`sample`.
            guide: As in :meth:`sample`.
        """
        if frames < 2:
            raise ConfigError(f"a path has 2 frames or more, got {frames}")
        how = {"steps": steps, "sampler": sampler, "eta": eta}
        context = self.given(context, n)
        x = self._begin_with(n, how, generator)
        seen = [x]

        def keep(x: Tensor, D: Tensor | None, row: Row) -> None:
            if row.whole:
                seen.append(x.clone())

        pull = {"guidance": guidance, "rescale": rescale, "guide": guide}
        self._run(x, context, how, pull, generator, keep)
        last, frames = len(seen) - 1, min(frames, len(seen))
        chosen = [seen[round(i * last / (frames - 1))] for i in range(frames)]
        return torch.stack([self.shown(y) for y in chosen])

    def shown(self, y: Tensor) -> Tensor:
        """What lies inside, as floats on the scale of the codes, or as reals."""
        if self.event.levels is None:
            return self.codec.decode(y)
        whole = self.event.levels if self.dequantized else self.event.levels - 1
        return (y + 1) * (0.5 * whole) - (0.5 if self.dequantized else 0.0)

    def _parts(self, n: int) -> list[tuple[int, int]]:
        size = max(1, _AT_ONCE // self.event.dimensions)
        return [(start, min(n, start + size)) for start in range(0, n, size)]

    def _begin_with(self, n: int, how: dict[str, Any], generator: torch.Generator | None) -> Tensor:
        """Noise, as wide as x_t is at the sampler's first level."""
        first = self.table(**how).rows[0].asked
        assert first is not None
        size = (n, *self.event.shape)
        z = torch.randn(size, generator=generator, dtype=self.dtype, device=self.device)
        return z * self.prior_std(first)

    def prior_std(self, level: Level[float]) -> float:
        """The deviation of x_t, of data of unit variance, at the last level."""
        return (level.alpha**2 + level.sigma**2) ** 0.5 if self.scales_input else 1.0

    def _run(
        self,
        x: Tensor,
        context: Context,
        how: dict[str, Any],
        pull: dict[str, Any],
        generator: torch.Generator | None,
        observe: Callable[[Tensor, Tensor | None, Row], Tensor | None] | None = None,
        table: Table | None = None,
    ) -> Tensor:
        ask = asked(
            self.told(context),
            weight=self._weight(pull["guidance"], pull["guide"]),
            rescale=pull["rescale"],
            guide=pull["guide"],
            drops=self.drop,
            named=bool(self.context),
        )
        table = self.table(**how) if table is None else table
        return run(
            ask, x, table, target=self.target, generator=generator, clip=self.clip, observe=observe
        )

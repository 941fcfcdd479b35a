"""What a trained denoiser does with an example: redraw it, fill it in, and find its noise."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.generative.diffusion.diffusion import Diffusion
from phosphene.generative.diffusion.guidance import Guidance
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.samplers.ancestral import ancestral
from phosphene.generative.diffusion.samplers.ddim import ddim
from phosphene.generative.diffusion.samplers.named import SamplerName
from phosphene.generative.diffusion.samplers.table import Row, Table
from phosphene.generative.diffusion.schedule import between

__all__ = ["Editing", "resampled"]


def resampled(levels: Sequence[Level[float]], jump: int, times: int) -> Table:
    """Ancestral sampling that goes ``jump`` levels back after as many, ``times`` - 1 times.

    RePaint (Lugmayr et al., 2022): what is filled in gets several chances to agree with what is
    known. A jump back is one step of the forward process, which asks no network.

    Args:
        levels: From noise to data.
        jump: Levels of a jump.
        times: How often each stretch is sampled.

    Example:
        >>> from phosphene.generative.diffusion.path import VP
        >>> resampled(VP().levels(10), jump=5, times=3).evaluations
        30
    """
    rows: list[Row] = []
    down = list(ancestral(levels, variance="posterior").rows)
    for start in range(0, len(down), jump):
        stretch = down[start : start + jump]
        for again in range(times):
            rows += stretch
            if again < times - 1:
                s, t = levels[start], levels[start + len(stretch)]
                step = between(s, t)
                rows.append(Row(None, s, step.alpha, noise=step.variance**0.5))
    return Table(rows)


class Editing(Diffusion):
    """A diffusion that redraws examples, fills them in and finds their noise.

    Image-to-image (Meng et al., 2022), inpainting (Lugmayr et al., 2022), inversion and
    interpolation (Song, Meng and Ermon, 2021): all of them by the samplers of any trained model.
    """

    usual_levels = 50
    """From noise to data, where something is filled in."""

    @torch.no_grad()
    def refine(
        self,
        x: Tensor,
        strength: float = 0.6,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        steps: int | None = None,
        sampler: SamplerName = "auto",
        guidance: float | None = None,
        rescale: float = 0.0,
        eta: float | None = None,
        guide: Guidance | None = None,
    ) -> Tensor:
        """Noise examples part of the way, and draw anew what the noise has covered.

        SDEdit (Meng et al., 2022): the last ``strength`` of the sampler's steps are taken.

        Args:
            x: Examples (n, *event.shape).
            strength: From near 0, where x comes back, to 1, where nothing of it stays.
            context: What the results are conditioned on.
            generator: Draws the noise.
            steps: Of the whole sampler.
            sampler: As in ``sample``.
            guidance: As in ``sample``.
            rescale: As in ``sample``.
            eta: As in ``sample``.
            guide: As in ``sample``.

        Raises:
            ConfigError: The strength is not above 0 and at most 1.
        """
        if not 0 < strength <= 1:
            raise ConfigError(f"strength must be above 0 and at most 1, got {strength}")
        self.event.check(x)
        context = self.given(context, len(x))
        whole = self.table(sampler, steps, eta).rows
        ends = [i for i, row in enumerate(whole) if row.whole]
        left = max(1, round(strength * len(ends)))
        first = 0 if left == len(ends) else ends[-left - 1] + 1
        rows = list(whole[first:])
        rows[0] = _first(rows[0])
        start = rows[0].asked
        assert start is not None
        y, _ = self.encoded(x)
        y = start.alpha * y + start.sigma * _normal(y, generator)
        pull = {"guidance": guidance, "rescale": rescale, "guide": guide}
        out = self._run(y, context, {}, pull, generator, table=Table(rows))
        return self.codec.decode(out)

    @torch.no_grad()
    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        steps: int | None = None,
        jump: int = 5,
        resample: int = 3,
        guidance: float | None = None,
        rescale: float = 0.0,
        guide: Guidance | None = None,
    ) -> Tensor:
        """Keep x where the mask is True and draw the rest, to agree with it.

        RePaint (Lugmayr et al., 2022): after every step the known part is put in, noised as much
        as the rest, and each stretch of ``jump`` steps is taken ``resample`` times.

        Args:
            x: Examples (n, *event.shape).
            mask: Booleans, of x's shape or of one that stands for all; True is kept.
            context: What the results are conditioned on.
            generator: Draws the noise.
            steps: Levels from noise to data; None for 50.
            jump: Levels of a stretch.
            resample: How often each stretch is sampled; 1 for plain replacement.
            guidance: As in ``sample``.
            rescale: As in ``sample``.
            guide: As in ``sample``.

        Raises:
            ConfigError: A number is below 1, or the mask keeps everything.
        """
        steps = self.usual(self.usual_levels) if steps is None else steps
        for name, value in (("steps", steps), ("jump", jump), ("resample", resample)):
            if value < 1:
                raise ConfigError(f"{name} must be at least 1, got {value}")
        self.event.check(x)
        context = self.given(context, len(x))
        kept = mask.bool().expand_as(x)
        if bool(kept.all()):
            raise ConfigError("the mask keeps every value: there is nothing to fill in")
        y, _ = self.encoded(x)
        table = resampled(self.levels(steps), jump, resample)

        def put_in(z: Tensor, D: Tensor | None, row: Row) -> Tensor:
            level = row.reached
            known = level.alpha * y
            if level.sigma:
                known = known + level.sigma * _normal(y, generator)
            return torch.where(kept, known, z)

        first = table.rows[0].asked
        assert first is not None
        start = _normal(y, generator) * self.prior_std(first)
        start = put_in(start, None, Row(None, first, 1.0))
        pull = {"guidance": guidance, "rescale": rescale, "guide": guide}
        drawn = self.codec.decode(self._run(start, context, {}, pull, generator, put_in, table))
        return torch.where(kept, x.to(drawn.dtype), drawn)

    @torch.no_grad()
    def invert(
        self, x: Tensor, context: Context | None = None, *, steps: int | None = None
    ) -> Tensor:
        """The noise (n, *event.shape) from which DDIM without noise draws x, up to its error.

        Args:
            x: Examples.
            context: What they are conditioned on.
            steps: More steps, less error.
        """
        self.event.check(x)
        context = self.given(context, len(x))
        levels = self.levels(steps or self.usual(2 * self.usual_steps))[:-1][::-1]
        y, _ = self.encoded(x)
        lowest = levels[0]
        y = y * (lowest.alpha**2 + lowest.sigma**2) ** 0.5 if lowest.sigma < 0.1 else y
        return self._solved(y, context, ddim(levels))

    @torch.no_grad()
    def interpolate(
        self,
        a: Tensor,
        b: Tensor,
        count: int,
        context: Context | None = None,
        *,
        steps: int | None = None,
    ) -> Tensor:
        """Examples between two (n, count, *event.shape), as floats on the codes' scale.

        Both are inverted, and what lies on the great circle between their noises is sampled: noise
        of many dimensions lies near a sphere (Song, Meng and Ermon, 2021).

        Args:
            a: Examples at one end.
            b: Examples at the other.
            count: How many in each row, the ends included.
            context: One row for each pair.
            steps: As in :meth:`invert`.

        Raises:
            ConfigError: There are fewer than 2.
        """
        if count < 2:
            raise ConfigError(f"an interpolation has 2 examples or more, got {count}")
        start, end = (self.invert(x, context, steps=steps) for x in (a, b))
        context = self.given(context, len(a)).repeat(count)
        levels = self.levels(steps or self.usual(2 * self.usual_steps))
        weights = torch.linspace(0, 1, count, dtype=start.dtype, device=start.device)
        z = torch.stack([_between(start, end, w) for w in weights], 1).flatten(0, 1)
        y = self._solved(z, context, ddim(levels))
        rows: Tensor = self.shown(y).unflatten(0, (len(a), count))
        return rows

    def _solved(self, y: Tensor, context: Context, table: Table) -> Tensor:
        pull: dict[str, Any] = {"guidance": 0.0, "rescale": 0.0, "guide": None}
        return self._run(y, context, {}, pull, None, table=table)


def _normal(y: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.empty_like(y).normal_(generator=generator)


def _first(row: Row) -> Row:
    """A row with no estimate before it: what weighed that one weighs its own."""
    return row._replace(data=row.data + row.before, before=0.0)


def _between(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """On the great circle from a to b."""
    u, v = (z.flatten(1) / z.flatten(1).norm(dim=1, keepdim=True) for z in (a, b))
    angle = (u * v).sum(1).clamp(-1, 1).acos()
    shape = (-1,) + (1,) * (a.ndim - 1)
    near = angle < 1e-4
    whole = torch.where(near, torch.ones_like(angle), angle.sin())
    first = torch.where(near, 1 - weight, ((1 - weight) * angle).sin() / whole)
    second = torch.where(near, weight, (weight * angle).sin() / whole)
    found: Tensor = first.view(shape) * a + second.view(shape) * b
    return found

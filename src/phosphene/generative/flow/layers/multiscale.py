"""The multi-scale architecture: some channels are split off after each level."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.generative.flow.layers.split import Split
from phosphene.generative.flow.layers.squeeze import squeeze, unsqueeze
from phosphene.generative.flow.layers.transform import Transform

__all__ = ["Level", "MultiScale", "check_levels", "halvings"]


class Level(nn.Module):
    """One scale of a :class:`MultiScale`: steps, and a split of what they give.

    Args:
        steps: On the squeezed image, channels (C, h, w) to (C, h, w).
        split: The split after the steps; None after the last level.
        before: More steps, before the squeeze (RealNVP's checkerboards).
        squeezed: Whether the level squeezes at all.
    """

    def __init__(
        self,
        steps: Transform,
        split: Split | None = None,
        *,
        before: Transform | None = None,
        squeezed: bool = True,
    ) -> None:
        super().__init__()
        self.before, self.steps, self.split, self.squeezed = before, steps, split, squeezed


class MultiScale(Transform):
    """Levels of [squeeze, steps, split]; what is split off skips the levels after it.

    By Dinh, Sohl-Dickstein and Bengio (2017). The latents are packed into a tensor of the event's
    shape: what a level splits off lies beside what the levels after it make of the rest, and the
    two are unsqueezed together. So z has x's shape, and is standard normal in all its parts.

    Args:
        levels: From the finest; all but the last have a split.

    Example:
        >>> from phosphene.generative.flow.layers.transform import Composition
        >>> flow = MultiScale([Level(Composition([]), Split(4)), Level(Composition([]))])
        >>> x = torch.randn(2, 1, 4, 4)
        >>> flow(x)[0].shape
        torch.Size([2, 1, 4, 4])
    """

    def __init__(self, levels: Sequence[Level]) -> None:
        super().__init__()
        assert levels, "a multi-scale flow has a level"
        assert all(level.split is not None for level in levels[:-1]), "every level but the last"
        assert levels[-1].split is None, "nothing follows the last level"
        self.levels = nn.ModuleList(levels)

    def _each(self) -> list[Level]:
        return [level for level in self.levels if isinstance(level, Level)]

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """From the finest level to the coarsest."""
        log_det = x.new_zeros(len(x))

        def apply(transform: Transform, h: Tensor) -> Tensor:
            nonlocal log_det
            h, more = transform.forward_and_log_det(h, context)
            log_det = log_det + more
            return h

        return self._down(x, apply), log_det

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """From the coarsest level to the finest."""
        return self._up(z, lambda transform, h: transform.inverse(h, context))

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """From the coarsest level to the finest, with the log-determinants."""
        log_det = z.new_zeros(len(z))

        def apply(transform: Transform, h: Tensor) -> Tensor:
            nonlocal log_det
            h, more = transform.inverse_and_log_det(h, context)
            log_det = log_det + more
            return h

        return self._up(z, apply), log_det

    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Each layer in turn, on what those before it make of the batch."""
        return self._down(x, lambda transform, h: transform.prepare(h, context))

    def _down(self, x: Tensor, apply: Callable[[Transform, Tensor], Tensor]) -> Tensor:
        off: list[Tensor] = []
        for level in self._each():
            if level.before is not None:
                x = apply(level.before, x)
            if level.squeezed:
                x = squeeze(x)
            x = apply(level.steps, x)
            if level.split is not None:
                x, z = apply(level.split, x).split(level.split.sizes, 1)
                off.append(z)
        for level in reversed(self._each()):
            if level.split is not None:
                x = torch.cat((x, off.pop()), 1)
            if level.squeezed:
                x = unsqueeze(x)
        return x

    def _up(self, z: Tensor, apply: Callable[[Transform, Tensor], Tensor]) -> Tensor:
        off: list[Tensor] = []
        for level in self._each():
            if level.squeezed:
                z = squeeze(z)
            if level.split is not None:
                z, last = z.split(level.split.sizes, 1)
                off.append(last)
        for level in reversed(self._each()):
            if level.split is not None:
                z = apply(level.split, torch.cat((z, off.pop()), 1))
            z = apply(level.steps, z)
            if level.squeezed:
                z = unsqueeze(z)
            if level.before is not None:
                z = apply(level.before, z)
        return z


def check_levels(event: Event, levels: int, model: str) -> None:
    """Refuse an image that cannot be squeezed so often, saying how often it can.

    Raises:
        ConfigError: There is no level.
        EventError: The event is not an image, or not so often divisible by two.
    """
    if levels < 1:
        raise ConfigError(f"levels must be 1 or more, got {levels}")
    if not event.has_image_shape:
        raise EventError(f"{model} cannot model {event}: it squeezes images (channels, h, w)")
    _, h, w = event.shape
    allowed = halvings(event)
    if levels > allowed:
        raise EventError(
            f"{model} cannot model {event} with {levels} level{'s' if levels > 1 else ''}: each "
            f"halves height and width, and {h}x{w} can be halved "
            + ("only once" if allowed == 1 else f"{allowed} times" if allowed else "not even once")
        )


def halvings(event: Event) -> int:
    """How often the height and the width of an image are both divisible by two.

    Example:
        >>> halvings(Event.image(1, 28)), halvings(Event.image(3, (9, 5)))
        (2, 0)
    """
    _, h, w = event.shape
    return min((n & -n).bit_length() - 1 for n in (h, w))

"""The windows that a kernel sees, as a view (im2col), and the sum of windows back (its adjoint).

Pictures are (n, c, h, w) outside; inside, channels come last, so that what a window holds of one
row lies together in memory.

After Dumoulin and Visin (2016).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.learning.backprop.layer import whole

__all__ = [
    "Geometry",
    "divided",
    "fold",
    "output_size",
    "pair",
    "transposed_output_size",
    "windows",
]

Pair = tuple[int, int]


def pair(value: int | Pair, name: str, least: int) -> Pair:
    """A number for both axes, or one for each.

    Raises:
        ConfigError: It is neither, or below the least.

    Example:
        >>> pair(3, "kernel", 1)
        (3, 3)
    """
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    whole = all(isinstance(v, int) and not isinstance(v, bool) for v in both)
    if len(both) != 2 or not whole or min(both) < least:
        raise ConfigError(
            f"{name} must be a whole number of at least {least}, or two, got {value!r}"
        )
    return both[0], both[1]


def divided(channels: int, filters: int, groups: int) -> None:
    """Refuse channels and filters that do not divide into groups.

    Raises:
        ConfigError: They do not, or one of the three is no whole number above 0.

    Example:
        >>> divided(4, 6, 2)
    """
    whole(channels=channels, filters=filters, groups=groups)
    if channels % groups or filters % groups:
        raise ConfigError(
            f"{channels} channels and {filters} filters must divide into {groups} groups"
        )


def output_size(
    size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """floor((size + 2 p - d (k - 1) - 1) / s) + 1: how many windows fit along an axis.

    Args:
        size: Length of the axis.
        kernel: k, taps.
        stride: s, from one window to the next.
        padding: p, zeros on either side.
        dilation: d, from one tap to the next.

    Raises:
        ConfigError: Not one window fits.

    Example:
        >>> output_size(28, 5), output_size(28, 3, stride=2, padding=1)
        (24, 14)
    """
    reach = dilation * (kernel - 1) + 1
    room = size + 2 * padding - reach
    if room < 0:
        raise ConfigError(
            f"a kernel that reaches over {reach} does not fit into {size} with padding {padding}"
        )
    return room // stride + 1


def transposed_output_size(
    size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1, extra: int = 0
) -> int:
    """(size - 1) s - 2 p + d (k - 1) + extra + 1: the size whose windows number ``size``.

    Strides lose the remainder of a division, so that several sizes have as many windows; ``extra``,
    from 0 to s - 1, says which.

    Raises:
        ConfigError: Nothing is left.

    Example:
        >>> transposed_output_size(14, 3, stride=2, padding=1, extra=1)
        28
    """
    found = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1
    if found < 1:
        raise ConfigError(f"the output would have size {found}: padding {padding} takes it all")
    return found


@dataclass(frozen=True)
class Geometry:
    """How windows lie: kernel, stride, padding and dilation along both axes.

    Args:
        kernel: Taps.
        stride: From window to window.
        padding: Values added on either side.
        dilation: From tap to tap.

    Example:
        >>> Geometry((3, 3), stride=(2, 2)).outputs(7, 9)
        (3, 4)
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    @classmethod
    def of(
        cls, kernel: int | Pair, stride: int | Pair, padding: int | Pair, dilation: int | Pair
    ) -> "Geometry":
        """From numbers for both axes or for each, checked."""
        return cls(
            pair(kernel, "kernel", 1), pair(stride, "stride", 1),
            pair(padding, "padding", 0), pair(dilation, "dilation", 1),
        )  # fmt: skip

    def outputs(self, h: int, w: int) -> Pair:
        """Windows along both axes of an image."""
        found = [
            output_size(size, self.kernel[a], self.stride[a], self.padding[a], self.dilation[a])
            for a, size in enumerate((h, w))
        ]
        return found[0], found[1]


def windows(x: Tensor, geometry: Geometry, fill: float = 0.0) -> Tensor:
    """The windows of images: (n, c, h, w) to (n, rows, columns, kernel rows, kernel columns, c).

    It is a view of the padded images: nothing is copied for each window.

    Args:
        x: (n, c, h, w).
        geometry: How windows lie.
        fill: What padding holds.

    Example:
        >>> import torch
        >>> x = torch.arange(9.0).reshape(1, 1, 3, 3)
        >>> windows(x, Geometry((2, 2)))[0, 0, 1, :, :, 0]
        tensor([[1., 2.],
                [4., 5.]])
    """
    n, c, h, w = x.shape
    rows, columns = geometry.outputs(h, w)
    (ph, pw), (dh, dw), (sh, sw) = geometry.padding, geometry.dilation, geometry.stride
    last = x.permute(0, 2, 3, 1)
    if ph or pw:
        padded = x.new_full((n, h + 2 * ph, w + 2 * pw, c), fill)
        padded[:, ph : ph + h, pw : pw + w] = last
    else:
        padded = last.contiguous()
    a, b, d, e = padded.stride()
    return padded.as_strided(
        (n, rows, columns, *geometry.kernel, c), (a, b * sh, d * sw, b * dh, d * dw, e)
    )


def fold(taps: Iterable[Tensor], size: Pair, geometry: Geometry) -> Tensor:
    """What each window holds, added where it came from: the adjoint of :func:`windows`.

    <windows(x), c> = <x, fold(c)> for all x and c (with padding of zeros).

    Args:
        taps: Of all windows the first value, the second, ..., in reading order of the kernel: each
            (n, rows, columns, c).
        size: Height and width of the images.
        geometry: How windows lie.

    Returns:
        (n, c, h, w).

    Example:
        >>> import torch
        >>> g = Geometry((2, 2))
        >>> taps = windows(torch.ones(1, 1, 3, 3), g).flatten(3, 4).unbind(3)
        >>> fold(taps, (3, 3), g)[0, 0]
        tensor([[1., 2., 1.],
                [2., 4., 2.],
                [1., 2., 1.]])
    """
    (ph, pw), (dh, dw), (sh, sw) = geometry.padding, geometry.dilation, geometry.stride
    h, w = size
    out: Tensor | None = None
    for k, tap in enumerate(taps):
        n, rows, columns, c = tap.shape
        if out is None:
            out = tap.new_zeros(n, h + 2 * ph, w + 2 * pw, c)
        i, j = divmod(k, geometry.kernel[1])
        down = slice(i * dh, i * dh + sh * (rows - 1) + 1, sh)
        along = slice(j * dw, j * dw + sw * (columns - 1) + 1, sw)
        out[:, down, along] += tap
    assert out is not None
    return out[:, ph : ph + h, pw : pw + w].permute(0, 3, 1, 2)

"""The table of data sets that come with the library. It imports no torch: listing is instant."""

from dataclasses import dataclass

__all__ = ["Row", "names"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One embedded or computed data set, or one adapter.

    Args:
        name: What the user types.
        title: What it is, in a few words.
        event: What one example is, in words.
        examples: Numbers of train, validation and test examples; empty for adapters.
        licence: Of the data.
        target: ``module:function`` that makes one split of it.
    """

    name: str
    title: str
    event: str
    examples: tuple[int, ...] = ()
    licence: str = "Apache-2.0"
    target: str = ""


_MNIST = "CC BY-SA 3.0 (package MIT)"
_UCI = "CC BY 4.0"

_ROWS = (
    Row(
        name="mnist",
        title="handwritten digits, the first 10,000 of MNIST",
        event="image 1x28x28, 256 levels",
        examples=(8000, 1000, 1000),
        licence=_MNIST,
        target="phosphene.data.embedded:mnist",
    ),
    Row(
        name="mnist-binary",
        title="MNIST, one fixed Bernoulli(x/255) draw",
        event="image 1x28x28, 2 levels",
        examples=(8000, 1000, 1000),
        licence=_MNIST,
        target="phosphene.data.embedded:mnist_binary",
    ),
    Row(
        name="digits",
        title="UCI optical digits",
        event="image 1x8x8, 17 levels",
        examples=(1297, 200, 300),
        licence=_UCI,
        target="phosphene.data.embedded:digits",
    ),
    Row(
        name="digits-binary",
        title="UCI optical digits, pixel >= 8",
        event="image 1x8x8, 2 levels",
        examples=(1297, 200, 300),
        licence=_UCI,
        target="phosphene.data.embedded:digits_binary",
    ),
)


def names() -> list[Row]:
    """The data sets that :func:`phosphene.data.load` knows by name.

    Example:
        >>> [row.name for row in names()][:2]
        ['mnist', 'mnist-binary']
    """
    return list(_ROWS)

"""What every layer of a flow is: a bijection with a log-determinant, and how layers compose."""

from collections.abc import Iterable, Iterator
from typing import cast

from torch import Tensor, nn

from phosphene.core.context import Context

__all__ = ["Composition", "Inverted", "Transform", "total"]


class Transform(nn.Module):
    """A bijection z = f(x; context) of batches, with log |det df/dx|.

    A layer writes :meth:`forward_and_log_det` and one of :meth:`inverse` and
    :meth:`inverse_and_log_det`; the other follows. Context is optional everywhere: a layer that was
    built with a :class:`~phosphene.core.context.ContextSpec` uses the declared parts, and any other
    ignores it.
    """

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Map x (n, ...) to z, and give log |det dz/dx| (n,)."""
        raise NotImplementedError

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The x with f(x) = z."""
        return self.inverse_and_log_det(z, context)[0]

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """The x with f(x) = z, and log |det dx/dz| (n,), which is minus the forward one."""
        x = self.inverse(z, context)
        return x, -self.forward_and_log_det(x, context)[1]

    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Initialize from a first batch, where there is something to initialize; returns f(x).

        A second call changes nothing that the first has set, and loading counts as the first.
        """
        return self.forward_and_log_det(x, context)[0]

    def forward(self, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
        """``forward_and_log_det``."""
        return self.forward_and_log_det(x, context)


class Composition(Transform):
    """f = f_k after ... after f_1: log-determinants add up, each at its own layer's input.

    log |det df/dx| = sum_i log |det df_i/dh_{i-1}|, h_0 = x, h_i = f_i(h_{i-1})
    (Rezende and Mohamed, 2015).

    Args:
        transforms: f_1, ..., f_k; none is the identity.

    Example:
        >>> identity = Composition([])
        >>> z, log_det = identity(torch.ones(3, 2))
        >>> log_det
        tensor([0., 0., 0.])
    """

    def __init__(self, transforms: Iterable[Transform]) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(transforms)

    def __iter__(self) -> Iterator[Transform]:
        return iter(cast(list[Transform], list(self.transforms)))

    def __len__(self) -> int:
        return len(self.transforms)

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Each in turn, from the first."""
        log_det = x.new_zeros(len(x))
        for transform in self.transforms:
            assert isinstance(transform, Transform)
            x, more = transform.forward_and_log_det(x, context)
            log_det = log_det + more
        return x, log_det

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """Each inverse in turn, from the last."""
        for transform in reversed(list(self.transforms)):  # itself, it is slow to reverse
            assert isinstance(transform, Transform)
            z = transform.inverse(z, context)
        return z

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Each inverse in turn, from the last, with its log-determinant."""
        log_det = z.new_zeros(len(z))
        for transform in reversed(list(self.transforms)):
            assert isinstance(transform, Transform)
            z, more = transform.inverse_and_log_det(z, context)
            log_det = log_det + more
        return z, log_det

    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Each in turn, on what those before it make of the batch."""
        for transform in self.transforms:
            assert isinstance(transform, Transform)
            x = transform.prepare(x, context)
        return x


class Inverted(Transform):
    """A transform with its directions exchanged.

    Args:
        transform: f; this is its inverse.
    """

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """The inverse of f."""
        return self.transform.inverse_and_log_det(x, context)

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """f itself."""
        return self.transform.forward_and_log_det(z, context)[0]

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """f itself."""
        return self.transform.forward_and_log_det(z, context)


def total(per_dimension: Tensor) -> Tensor:
    """Sums (n, ...) over all dimensions of an example, (n,)."""
    return per_dimension.flatten(1).sum(1)

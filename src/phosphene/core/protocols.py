"""Capabilities, declared by having them: ``isinstance(model, Density)`` and ``hasattr`` agree.

The methods are documented here once; models implement those that are true for them. A method that
is untrue for an instance raises AttributeError (see :func:`available_if`), so that nobody can call
a bound a likelihood by accident.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from phosphene.core.context import Context

__all__ = [
    "Acts",
    "Bounded",
    "Density",
    "Encodes",
    "Estimated",
    "Inpaints",
    "Invertible",
    "Likelihood",
    "Samples",
    "Translates",
    "available_if",
]

Likelihood = Literal["exact", "bound", "estimate", "ode", "none"]

if TYPE_CHECKING:
    from abc import ABCMeta as _ProtocolMeta
else:
    _ProtocolMeta = type(Protocol)


class _Capability(_ProtocolMeta):
    """Makes ``isinstance`` ask the instance, as ``hasattr`` does.

    A plain runtime protocol looks at the class, where a method that :func:`available_if` withholds
    from this instance is still to be found.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        if not vars(cls).get("_is_protocol", False):
            return super().__instancecheck__(instance)
        return all(hasattr(instance, name) for name in vars(cls) if not name.startswith("_"))


@runtime_checkable
class Samples(Protocol, metaclass=_Capability):
    """Draws examples."""

    def sample(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw (n, *event.shape): valid codes, or floats for real events.

        Models that take a context also take ``each=True``: n draws for each of its rows, as
        (rows, n, *event.shape).
        """
        ...


@runtime_checkable
class Density(Protocol, metaclass=_Capability):
    """Has an exact likelihood."""

    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Exact log-probability of codes, or log-density of reals: (n,) in nats."""
        ...


@runtime_checkable
class Bounded(Protocol, metaclass=_Capability):
    """Has a lower bound on its log-likelihood."""

    def elbo(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        particles: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A stochastic lower bound (n,) in nats; importance-weighted for particles > 1."""
        ...


@runtime_checkable
class Estimated(Protocol, metaclass=_Capability):
    """Has an estimate of its log-likelihood that is neither exact nor a bound."""

    def estimate_log_prob(self, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
        """The estimate and its standard error, each (n,) in nats."""
        ...


@runtime_checkable
class Encodes(Protocol, metaclass=_Capability):
    """Maps examples to codes and back."""

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The deterministic code (n, ...); a posterior's mean where there is a posterior."""
        ...

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The mean example of a code, on the scale of the event's codes, as floats."""
        ...

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        """``decode(encode(x))``."""
        ...


@runtime_checkable
class Invertible(Protocol, metaclass=_Capability):
    """A deterministic bijection between examples (after the codec) and latents of equal size."""

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """The latent and the log absolute determinant of the Jacobian (n,)."""
        ...

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """Inverse of the forward direction."""
        ...


@runtime_checkable
class Acts(Protocol, metaclass=_Capability):
    """Chooses actions for what it observes."""

    def act(self, observation: Any) -> Any:
        """Actions for observations."""
        ...


@runtime_checkable
class Inpaints(Protocol, metaclass=_Capability):
    """Fills in what is missing."""

    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Keep x where the boolean mask is True and fill the rest."""
        ...


@runtime_checkable
class Translates(Protocol, metaclass=_Capability):
    """Maps an example to another under a changed condition."""

    def translate(self, x: Tensor, context: Context) -> Tensor:
        """The example as it would be under the context."""
        ...


F = TypeVar("F", bound=Callable[..., Any])


class available_if:
    """Make a method exist only where a check on the instance holds.

    Args:
        check: Given the instance, whether the method is true for it.
        why: The sentence of the AttributeError otherwise.

    Example:
        >>> class Coin:
        ...     fair = False
        ...     @available_if(lambda self: self.fair, "only a fair coin has an exact likelihood")
        ...     def log_prob(self) -> float: return -0.69
        >>> hasattr(Coin(), "log_prob")
        False
    """

    def __init__(self, check: Callable[[Any], bool], why: str) -> None:
        self.check, self.why = check, why
        self.function: Callable[..., Any] | None = None

    def __call__(self, function: F) -> F:
        """Decorate the method."""
        self.function = function
        self.__doc__ = function.__doc__
        return self  # type: ignore[return-value]

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        if not self.check(instance):
            raise AttributeError(self.why)
        assert self.function is not None
        return self.function.__get__(instance, owner)

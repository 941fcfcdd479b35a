"""Capabilities, declared by having them: ``isinstance(model, Density)`` and ``hasattr`` agree.

The methods are documented here once; models implement those that are true for them. A method that
is untrue for an instance raises AttributeError (see :func:`available_if`), so that nobody can call
a bound a likelihood by accident.

Shared code asks for a capability and nothing else: after ``isinstance(model, Encodes)`` a type
checker knows ``model.encode``, and calls a method that no capability declares an error.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.event import Event

__all__ = [
    "Acts",
    "Bounded",
    "Capability",
    "Classifies",
    "Conditionals",
    "Decodes",
    "Density",
    "Encodes",
    "Estimated",
    "Inpaints",
    "Interpolates",
    "Invertible",
    "Inverts",
    "Likelihood",
    "Posterior",
    "Reconstructs",
    "Refines",
    "Samples",
    "SamplesMean",
    "SamplesPath",
    "Tokenizes",
    "Transfers",
    "Translates",
    "Transports",
    "asked_of",
    "available_if",
    "may_be",
]

Likelihood = Literal["exact", "bound", "estimate", "ode", "none"]

if TYPE_CHECKING:
    from abc import ABCMeta as _ProtocolMeta
else:
    _ProtocolMeta = type(Protocol)


def asked_of(capability: type) -> tuple[str, ...]:
    """What an instance with a capability has, by name.

    Example:
        >>> asked_of(Invertible)
        ('forward_and_log_det', 'inverse')
    """
    parts = [vars(base) for base in capability.__mro__ if vars(base).get("_is_protocol", False)]
    names = {name for part in parts for name in (*part, *part.get("__annotations__", ()))}
    return tuple(sorted(name for name in names if not name.startswith("_")))


def may_be(cls: type, *capabilities: type) -> bool:
    """Whether the models of a class may have some capabilities, all of them."""
    return all(name in dir(cls) for one in capabilities for name in asked_of(one))


class Capability(_ProtocolMeta):
    """Makes ``isinstance`` ask the instance, as ``hasattr`` does.

    A plain runtime protocol looks at the class, where a method that :func:`available_if` withholds
    from this instance is still to be found.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        if not vars(cls).get("_is_protocol", False):
            return super().__instancecheck__(instance)
        return all(hasattr(instance, name) for name in asked_of(cls))


@runtime_checkable
class Samples(Protocol, metaclass=Capability):
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
class SamplesMean(Protocol, metaclass=Capability):
    """Has the means that its samples scatter around."""

    def sample_mean(
        self, n: int, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw latents and give the mean example of each, (n, *event.shape) floats."""
        ...


@runtime_checkable
class Density(Protocol, metaclass=Capability):
    """Has an exact likelihood."""

    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Exact log-probability of codes, or log-density of reals: (n,) in nats."""
        ...


@runtime_checkable
class Bounded(Protocol, metaclass=Capability):
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
class Estimated(Protocol, metaclass=Capability):
    """Has an estimate of its log-likelihood that is neither exact nor a bound."""

    def estimate_log_prob(self, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
        """The estimate and its standard error, each (n,) in nats."""
        ...


@runtime_checkable
class Conditionals(Protocol, metaclass=Capability):
    """Has a distribution of each value given those before it, in one order or several."""

    conditional: Any
    """The family of the distributions: ``conditional.log_prob(parameters, x)`` is (n, D) nats."""
    members: int
    """Over how many orders the likelihood is averaged; with 1 the conditionals are its factors."""

    def conditionals(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The parameters (n, D, ...) of every value's distribution."""
        ...


@runtime_checkable
class Encodes(Protocol, metaclass=Capability):
    """Maps examples to codes."""

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The deterministic code (n, ...); a posterior's mean where there is a posterior."""
        ...


@runtime_checkable
class Decodes(Protocol, metaclass=Capability):
    """Maps codes to examples."""

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The mean example of a code, on the scale of the event's codes, as floats."""
        ...


@runtime_checkable
class Reconstructs(Protocol, metaclass=Capability):
    """Maps examples to codes and back."""

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        """``decode(encode(x))``."""
        ...


@runtime_checkable
class Posterior(Protocol, metaclass=Capability):
    """Has a normal posterior over its latents."""

    def posterior(self, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
        """The mean and the log-variance of q(z | x), each (n, ...)."""
        ...


@runtime_checkable
class Tokenizes(Protocol, metaclass=Capability):
    """Maps examples to tokens, entries of a codebook."""

    code_event: Event
    """What the tokens of one example are."""

    def tokens(self, x: Tensor) -> Tensor:
        """Tokens (n, t)."""
        ...


@runtime_checkable
class Classifies(Protocol, metaclass=Capability):
    """Has a classifier of its own."""

    def classify(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Log-probabilities of labels (n, classes), up to a constant."""
        ...


@runtime_checkable
class Invertible(Protocol, metaclass=Capability):
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
class Acts(Protocol, metaclass=Capability):
    """Chooses actions for what it observes."""

    def act(self, observation: Any) -> Any:
        """Actions for observations."""
        ...


@runtime_checkable
class Inverts(Protocol, metaclass=Capability):
    """Measures the error of its own inverse."""

    def inverse_error(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The largest difference after forward and inverse (n,), over the largest value."""
        ...


@runtime_checkable
class Inpaints(Protocol, metaclass=Capability):
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
class Refines(Protocol, metaclass=Capability):
    """Draws examples like one that is given."""

    def refine(
        self,
        x: Tensor,
        strength: float,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Examples (n, *event.shape) like x: strength is in (0, 1], and 1 forgets x."""
        ...


@runtime_checkable
class SamplesPath(Protocol, metaclass=Capability):
    """Shows how its samples come about."""

    def sample_path(
        self,
        n: int,
        context: Context | None = None,
        *,
        frames: int = 8,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """States (frames, n, *event.shape) from noise to samples, floats on the codes' scale."""
        ...


@runtime_checkable
class Interpolates(Protocol, metaclass=Capability):
    """Walks from one example to another by a way of its own."""

    def interpolate(
        self, a: Tensor, b: Tensor, count: int, context: Context | None = None
    ) -> Tensor:
        """Examples (n, count, *event.shape) from a to b, ends included."""
        ...


@runtime_checkable
class Transports(Protocol, metaclass=Capability):
    """Carries noise to data along a flow of probability."""

    def velocity(self, y: Tensor, time: Tensor, context: Context | None = None) -> Tensor:
        """The flow dy/dt at states y (n, *event.shape); time runs from 0, data, to 1, noise."""
        ...


@runtime_checkable
class Translates(Protocol, metaclass=Capability):
    """Maps an example to another under a changed label."""

    def translate(self, x: Tensor, context: Context) -> Tensor:
        """The example as it would be under the context."""
        ...


@runtime_checkable
class Transfers(Protocol, metaclass=Capability):
    """Maps an example from one conditioning image to another."""

    def transfer(self, x: Tensor, given: Context, wanted: Context) -> Tensor:
        """The examples (n, *event.shape) as they would be for the wanted condition."""
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

"""The base of every model: an event, a context, a likelihood kind, a loss, phases."""

from typing import Any, NoReturn, get_args

from torch import Tensor

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.moments import Moments
from phosphene.core.protocols import Likelihood
from phosphene.core.settings import setting
from phosphene.core.trainable import Trainable

__all__ = ["Model"]


class Claims:
    """What a model states about itself: attributes that are not settings."""

    likelihood: Likelihood = "none"
    """Which kind of likelihood this instance has for its event."""
    label_may_be_unknown: bool = False
    """Whether a label that is -1 or not given is a latent variable, and not an error."""
    weights_particles: bool = True
    """Whether the particles of a bound weight one another, so that more of them tighten it."""
    bound_note: str = ""
    """What the reader of a bound should know of how it comes about."""

    def __init_subclass__(cls, **more: Any) -> None:
        """A likelihood is of one of the kinds that scores know."""
        super().__init_subclass__(**more)
        said = cls.__dict__.get("likelihood")
        if isinstance(said, str) and said not in get_args(Likelihood):
            raise UnknownNameError(f"likelihood of {cls.__name__}", said, get_args(Likelihood))


class Model(Claims, Trainable):
    """A model of one event, perhaps given a context.

    Subclasses declare their settings in the body, typed and with their help
    (:mod:`phosphene.core.settings`), and make their modules in ``setup``; or they take the event
    first and typed keyword arguments in an ``__init__`` of their own. Either way these are their
    configuration (``self.config``). Capabilities are methods (:mod:`phosphene.core.protocols`).
    """

    learns_from = "dataset"
    specified_by = Event

    event: Event = setting(kw_only=False, help="What one example is.")
    context_spec: ContextSpec | None = setting(
        default=None, alias="context", help="What the model is conditioned on; None for nothing."
    )

    def setup(self) -> None:
        """Make the modules, always in the same order: weights are a function of the seed."""
        self.context = self.context_spec or ContextSpec()

    def check_moments(self, moments: Moments) -> None:
        """Refuse reals that the model has no density for, before anything is written.

        Raises:
            DataError: It names the columns.
        """

    def given(self, context: Context | None, n: int) -> Context:
        """What n examples are conditioned on, checked: the first line of whatever takes a context.

        Every declared part has n rows then (:meth:`ContextSpec.check`); one row that was given
        stands for all. A label that is not given is -1 where ``label_may_be_unknown``.
        """
        unknown = self.label_may_be_unknown
        return self.context.check(context, n, self.device, unknown_label=unknown)

    def scale_context(self, moments: Moments) -> None:
        """Learn the scale of the vectors that condition the training data.

        Once, before :meth:`prepare`; never after loading. Every part of the model that takes a
        vector (has ``scale_vector``) standardizes it from then on.
        """
        for part in self.modules():
            scale = getattr(part, "scale_vector", None)
            if scale is not None:
                scale(moments)

    def count_labels(self, counts: Tensor) -> None:
        """Learn how often each label occurs in the training data (classes,), unknown ones aside.

        Once, after :meth:`prepare`, whose batch holds too few for rare labels; never after loading.
        """

    def refuse(self, why: str) -> NoReturn:
        """Refuse the event or context, in one sentence."""
        raise EventError(f"{type(self).__name__} cannot model {self.event}: {why}")

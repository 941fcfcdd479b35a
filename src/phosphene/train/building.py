"""Build any system of the catalogue by name."""

from typing import Any, cast

from phosphene import catalog
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, PhospheneError, brief
from phosphene.core.rng import seeded
from phosphene.core.trainable import Trainable

__all__ = ["build"]


def build(
    name: str,
    event: Any,
    context: ContextSpec | None = None,
    seed: int = 0,
    **hyperparameters: Any,
) -> Any:
    """Build the system ``name`` for an event, with weights that are a function of the seed.

    Args:
        name: A name of the catalogue (``phosphene systems``).
        event: What one example is; for an agent, the specification of its environment
            (:class:`~phosphene.core.environment.EnvSpec`).
        context: What the model is conditioned on.
        seed: Seeds the initial weights.
        hyperparameters: The constructor's keyword arguments.

    Raises:
        UnknownNameError: The system or a hyperparameter does not exist.
        EventError: The system cannot model this event or context.
        ConfigError: A hyperparameter has a value that it cannot take.

    Example:
        >>> from phosphene.core.event import Event
        >>> build("vae", Event.binary(9), latent_dim=2).event.shape
        (9,)
    """
    cls = catalog.find(name).load()
    if not (isinstance(cls, type) and issubclass(cls, Trainable)):
        raise ConfigError(f"{name!r} is a {catalog.find(name).kind}, not a model to build")
    if not isinstance(event, cls.specified_by):
        takes = cls.specified_by.__name__
        article = "an" if takes[0] in "AEIOU" else "a"
        raise ConfigError(f"{name!r} is built for {article} {takes}, not for {event}")
    cls.check_settings(hyperparameters)
    told = {} if context is None else {"context": context}
    with seeded(seed):
        try:
            return cast(Any, cls)(event, **told, **hyperparameters)
        except PhospheneError:
            raise
        except (ArithmeticError, MemoryError, RuntimeError, TypeError) as error:
            if not hyperparameters:
                raise
            # Torch's own words for sizes that are negative, or more than there is memory for.
            said = ", ".join(f"{k}={brief(v, 40)}" for k, v in hyperparameters.items())
            why = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise ConfigError(f"{name} cannot be built with {said}: {why[:160]}") from error

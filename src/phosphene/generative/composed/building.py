"""Parts of composed models, built by the name of their system."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from phosphene import catalog
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.protocols import Inpaints, Interpolates, Refines, Samples, SamplesPath

__all__ = ["Denoising", "build_denoiser", "build_part"]


@runtime_checkable
class Denoising(Samples, SamplesPath, Refines, Inpaints, Interpolates, Protocol):
    """A diffusion: samples by steps of a network, from noise or from the middle of the way."""

    network: Any
    """What is asked at each step, ``network(x, time, context, uniform=None)``."""


def build_part(
    system: str, event: Event, context: ContextSpec | None, settings: Mapping[str, Any] | None
) -> Model:
    """The model of a system, for an event of its own.

    Raises:
        ConfigError: The system is no model, or a setting is wrong.
        EventError: It cannot model the event.
    """
    cls = catalog.find(system).load()
    if not (isinstance(cls, type) and issubclass(cls, Model)):
        raise ConfigError(f"{system!r} is a {catalog.find(system).kind}, not a model")
    cls.check_settings(dict(settings or {}))
    return cls(event, context=context, **dict(settings or {}))


def build_denoiser(
    system: str, event: Event, context: ContextSpec | None, settings: Mapping[str, Any] | None
) -> Model:
    """The same, of the diffusion family: it is :class:`Denoising`.

    Raises:
        ConfigError: It is not.
    """
    model = build_part(system, event, context, settings)
    if not isinstance(model, Denoising):
        raise ConfigError(
            f"{system!r} is no diffusion; 'ddpm', 'score-sde' and 'flow-matching' are"
        )
    return model

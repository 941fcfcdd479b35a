"""The row of environments among the kinds of subjects."""

from phosphene.catalog.kind import Kind
from phosphene.core.checks import NAME, flag

__all__ = ["KIND"]

KIND = Kind(
    name="environment",
    option="env",
    trains="agent",
    called="an environment",
    learner="an agent",
    target="phosphene.subjects.environment.handling:Environments",
    options="phosphene.subjects.environment.options",
    held_out="in fresh episodes",
    listed="phosphene.subjects.environment.listed:listed",
    place=20,
    fields={"env": (NAME, "text"), "own_env": (flag, "true or false")},
)

"""What a system learns from."""

from phosphene import catalog
from phosphene.core.errors import ConfigError

__all__ = ["check_subject"]


def check_subject(system: str, data: object | None, env: str | None) -> bool:
    """Whether the system is an agent; refuses data for an agent, and an environment for a model."""
    agent = catalog.find(system).kind == "agent"
    if agent and data is not None:
        raise ConfigError(f"{system!r} is an agent: it takes an environment (--env), not data")
    if env is not None and not agent:
        raise ConfigError(f"{system!r} is no agent: it takes data (--data), not an environment")
    return agent

"""What names of data do beside reading files of this machine."""

from pathlib import Path

__all__ = ["hub", "webdataset"]


def webdataset(argument: str) -> str:
    """Shards may be addresses, or commands whose output is read.

    Example:
        >>> webdataset("./shards-{000..003}.tar"), webdataset("pipe:ls")
        ('', 'runs a command')
    """
    if "pipe:" in argument:
        return "runs a command"
    return "reads an address" if ":" in argument or "|" in argument else ""


def hub(argument: str) -> str:
    """A name that is no folder is looked up on the hub."""
    return "" if Path(argument).expanduser().is_dir() else "reads from the hub"

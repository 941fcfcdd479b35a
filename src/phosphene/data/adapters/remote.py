"""Which names of data run a command or read from the network."""

from phosphene.core.paths import expanded

__all__ = ["hub", "saved", "webdataset"]


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
    """A name that is not a folder is looked up on the hub."""
    return "" if saved(argument) else "reads from the hub"


def saved(argument: str) -> bool:
    """Whether a name is a folder that holds a data set of the package ``datasets``.

    Any other folder hides no data set of its name on the hub.
    """
    folder = expanded(argument)
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))

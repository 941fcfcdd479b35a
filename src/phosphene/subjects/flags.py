"""How an option of a kind of subject is shown on the command line.

Options are fields of frozen dataclasses, whose docstrings are the help; these marks stand in their
annotations, and the command line reads them.
"""

from dataclasses import dataclass

__all__ = ["Flag", "hidden", "metavar"]


@dataclass(frozen=True)
class Flag:
    """How one option is shown.

    Args:
        metavar: What stands for its value.
        default: Whether the help says what it is without.
        hidden: Whether it is for Python alone.
        short: Another, shorter name.
        help: What it means, where no docstring of options says it.
    """

    metavar: str = ""
    default: bool = True
    hidden: bool = False
    short: str = ""
    help: str = ""


def metavar(text: str, *, default: bool = True, short: str = "") -> Flag:
    """An option whose value is shown as a text; one without is shown by its type."""
    return Flag(metavar=text, default=default, short=short)


def hidden() -> Flag:
    """An option that takes objects, which no command line can say."""
    return Flag(hidden=True)

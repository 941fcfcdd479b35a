"""Numbers formatted for people."""

__all__ = ["number"]


def number(value: float) -> str:
    """A number in few characters.

    Example:
        >>> number(102.44), number(0.0312), number(3.1e-7), number(123456.0)
        ('102.4', '0.0312', '3.1e-07', '1.235e+05')
    """
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.3e}"

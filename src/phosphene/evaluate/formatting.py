"""Numbers and texts as a page or a terminal shows them."""

__all__ = ["legible", "number"]


def number(value: float) -> str:
    """A score in four digits, large ones with commas.

    Example:
        >>> number(102.44), number(0.0312345), number(1234567.0)
        ('102.4', '0.03123', '1,234,567')
    """
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def legible(text: str) -> str:
    r"""Text without characters that steer a terminal or a browser.

    Example:
        >>> legible("a\x1b[31m\n")
        'a�[31m\n'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)

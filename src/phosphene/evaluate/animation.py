"""Moving pictures: frames as one GIF or APNG file, which pages and mail programs show."""

from collections.abc import Sequence
from io import BytesIO

from PIL import Image

from phosphene.core.errors import ChoiceError

__all__ = ["ENDINGS", "animated"]

ENDINGS = {".gif": "GIF", ".png": "PNG"}
"""Endings of files that move, and Pillow's name of their format."""


def animated(
    frames: Sequence[Image.Image],
    ending: str = ".gif",
    *,
    milliseconds: int = 80,
    hold: int = 1500,
) -> bytes:
    """Frames of one size as the bytes of a file that plays them again and again.

    Args:
        frames: Pictures, at least one.
        ending: ``.gif`` (256 colors, shared by all frames) or ``.png`` (APNG, every color).
        milliseconds: That a frame is shown.
        hold: Milliseconds that the last frame is shown.

    Raises:
        ChoiceError: The ending is none of these.

    Example:
        >>> frames = [Image.new("RGB", (4, 4), (k, 0, 0)) for k in (0, 90, 180)]
        >>> Image.open(BytesIO(animated(frames))).n_frames
        3
    """
    if ending not in ENDINGS:
        raise ChoiceError("ending", ending, ENDINGS)
    shown = [milliseconds] * (len(frames) - 1) + [hold]
    pictures = [frame.convert("RGB") for frame in frames]
    if ending == ".gif":
        # Colors of all frames together: those of a frame of its own each would flicker.
        palette = _together(pictures).quantize(256, dither=Image.Dither.NONE)
        pictures = [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]
    buffer = BytesIO()
    pictures[0].save(
        buffer,
        ENDINGS[ending],
        save_all=True,
        append_images=pictures[1:],
        duration=shown,
        loop=0,
        **({"optimize": False, "disposal": 1} if ending == ".gif" else {}),
    )
    return buffer.getvalue()


def _together(pictures: Sequence[Image.Image], side: int = 96) -> Image.Image:
    """All frames below one another, at most so many pixels wide and high, none of them mixed."""
    width, height = (min(side, size) for size in pictures[0].size)
    sheet = Image.new("RGB", (width, height * len(pictures)))
    for k, one in enumerate(pictures):
        sheet.paste(one.resize((width, height), Image.Resampling.NEAREST), (0, k * height))
    return sheet

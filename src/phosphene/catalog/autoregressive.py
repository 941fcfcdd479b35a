"""The rows of the autoregressive family."""

from phosphene.catalog.system import System

__all__ = ["SYSTEMS"]

_ROOM = "phosphene.generative.autoregressive"
_PROOFS = "phosphene.recipes.proofs"
_CODES = ("binary", "binary-image", "image")
_IMAGES = ("binary-image", "image")


def _model(
    name: str,
    title: str,
    module: str,
    events: tuple[str, ...],
    rows: tuple[int, ...],
    paper: str,
) -> System:
    """A model of the room: all of them may be given a label."""
    return System(
        name=name,
        family="autoregressive",
        title=title,
        kind="model",
        events=events,
        context="optional",
        rows=rows,
        paper=paper,
        target=f"{_ROOM}.{module}",
    )


SYSTEMS: tuple[System, ...] = (
    _model(
        "fvsbn",
        "Fully visible sigmoid belief network",
        "fvsbn:FVSBN",
        ("binary", "binary-image"),
        (23,),
        "Neal, 1992; Frey, 1996",
    ),
    _model(
        "made",
        "Masked autoencoder for distribution estimation",
        "made:MADE",
        (*_CODES, "real", "tokens", "audio"),
        (28,),
        "Germain et al., 2015",
    ),
)

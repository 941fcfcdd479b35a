"""The rows of the flow family."""

from phosphene.catalog.system import System

__all__ = ["SYSTEMS"]

_ROOM = "phosphene.generative.flow"

SYSTEMS: tuple[System, ...] = (
    System(
        name="realnvp",
        family="flow",
        title="RealNVP: affine couplings",
        kind="model",
        events=("real",),
        context="optional",
        rows=(41, 42),
        paper="Dinh, Sohl-Dickstein and Bengio, 2017",
        target=f"{_ROOM}.realnvp:RealNVP",
    ),
)

"""What one row of the catalogue says."""

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from phosphene.catalog.taxonomy import Leaf

__all__ = ["RUN_BY", "System"]

RUN_BY = {"lesson": "learn", "proof": "prove", "solver": "solve"}
"""Kinds of systems that are not trained, and the command that runs them."""


@dataclass(frozen=True, kw_only=True)
class System:
    """One row of the catalogue.

    Args:
        name: What the user types.
        family: The room it lives in.
        title: What it is, in a few words.
        kind: What a kind of subject trains (:class:`~phosphene.catalog.kind.Kind`): ``model``,
            ``agent``, ...; ``solver``, ``tool`` (functions), ``lesson`` (a demonstration) or
            ``proof`` (a statement that is checked by running it).
        events: Examples of the kinds of event it takes, for the laws: ``binary``, ``image``,
            ``real``, ``tokens``, ``audio``, ``binary-image``; of an agent, the environments that it
            acts in: ``states``, ``discrete``, ``continuous``, ``pixels``.
        context: Whether it may, must or cannot be given a context: ``none``, ``optional``,
            ``required``.
        rows: Rows of the course's list of systems that it realises.
        paper: Authors and year.
        target: ``module:Class``.
        requires: Optional packages it needs.
        leaf: Of a generative model: its place in the tree of them; None for everything else.
    """

    name: str
    family: str
    title: str
    kind: str
    target: str
    rows: tuple[int, ...]
    paper: str
    events: tuple[str, ...] = ()
    context: Literal["none", "optional", "required"] = "none"
    requires: tuple[str, ...] = ()
    leaf: Leaf | None = None

    def load(self) -> Any:
        """Import the class or function."""
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)

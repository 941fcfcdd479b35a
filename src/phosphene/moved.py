"""Modules that moved: whoever imports one by its old name is told the new one."""

from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["MOVED", "Moved"]

MOVED: dict[str, str] = {
    "phosphene.core.progress": "phosphene.core.progress",
    "phosphene.evaluate.meaning": "phosphene.evaluate.metric",
    "phosphene.generative.composed.code_prior": "phosphene.generative.composed.code_prior",
    "phosphene.generative.autoregressive.layers.attention": "phosphene.generative.autoregressive.layers.attention",
    "phosphene.nn.conditional": "phosphene.nn.conditional",
    "phosphene.generative.flow.layers": "phosphene.generative.flow.layers",
    "phosphene.nn.monotone": "phosphene.nn.monotone",
    "phosphene.nn.spline": "phosphene.nn.spline",
    "phosphene.nn.cached": "phosphene.nn.cached",
    "phosphene.generative.autoencoder.layers.likelihoods": "phosphene.generative.autoencoder.layers.likelihoods",
    "phosphene.generative.autoencoder.layers.location_scale": "phosphene.generative.autoencoder.layers.location_scale",
    "phosphene.generative.autoencoder.layers.networks": "phosphene.generative.autoencoder.layers.networks",
    "phosphene.generative.autoencoder.layers.quantize": "phosphene.generative.autoencoder.layers.quantize",
    "phosphene.decision.deep.layers.quick_mlp": "phosphene.decision.deep.layers.quick_mlp",
    "phosphene.generative.autoregressive.layers.image_lstm": "phosphene.generative.autoregressive.layers.image_lstm",
    "phosphene.generative.autoregressive.layers.transformer": "phosphene.generative.autoregressive.layers.transformer",
    "phosphene.subjects.environment.subject": "phosphene.subjects.environment.subject",
    "phosphene.api.compare": "phosphene.api.compare",
    "phosphene.subjects.environment.comparison": "phosphene.api.compare",
    "phosphene.api.evaluate": "phosphene.api.evaluate",
    "phosphene.api.export": "phosphene.api.export",
    "phosphene.subjects.dataset.planning": "phosphene.subjects.plan",
    "phosphene.subjects.environment.playing": "phosphene.subjects.environment.playing",
    "phosphene.proofs": "phosphene.proofs",
    "phosphene.catalog.recipe": "phosphene.catalog.recipe",
    "phosphene.api.report": "phosphene.api.report",
    "phosphene.api.sample": "phosphene.subjects.dataset.drawing",
    "phosphene.api.solve": "phosphene.api.solve",
    "phosphene.api.stages": "phosphene.api.stages",
    "phosphene.api.train": "phosphene.api.train",
    "phosphene.train.source": "phosphene.subjects.dataset.source",
    "phosphene.train.validation": "phosphene.subjects.dataset.held_out",
}

_EMPTY = ("phosphene.recipes", "phosphene.proofs", "phosphene.generative.flow.layers")
"""Packages that are gone: something must stand in their place for what was in them to be told."""


class Moved(MetaPathFinder):
    """Asked last, when nothing else has found a module.

    Example:
        >>> import phosphene.api.train
        Traceback (most recent call last):
        ...
        ModuleNotFoundError: phosphene.api.train is now phosphene.api.train
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Nothing is found; for a module that moved, an error says where it is."""
        if not name.startswith("phosphene."):
            return None
        if name in _EMPTY:
            return ModuleSpec(name, None, is_package=True)
        parts = name.split(".")
        for length in range(len(parts), 1, -1):
            old = ".".join(parts[:length])
            if old in MOVED:
                new = ".".join([MOVED[old], *parts[length:]])
                raise ModuleNotFoundError(f"{name} is now {new}", name=name)
        return None

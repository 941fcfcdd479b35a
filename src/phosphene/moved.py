"""Modules that moved: whoever imports one by its old name is told the new one."""

from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["MOVED", "Moved"]

MOVED: dict[str, str] = {
    "phosphene.core.events": "phosphene.core.progress",
    "phosphene.evaluate.meaning": "phosphene.evaluate.metric",
    "phosphene.generative.code_prior": "phosphene.generative.composed.code_prior",
    "phosphene.generative.flow.layers.planar": "phosphene.generative.flow.planar",
    "phosphene.generative.flow.layers.radial": "phosphene.generative.flow.radial",
    "phosphene.generative.flow.layers.sylvester": "phosphene.generative.flow.sylvester",
    "phosphene.nn.attention": "phosphene.generative.autoregressive.layers.attention",
    "phosphene.nn.condition": "phosphene.nn.conditional",
    "phosphene.nn.flow": "phosphene.generative.flow.layers",
    "phosphene.nn.flow.monotone": "phosphene.nn.monotone",
    "phosphene.nn.flow.ode": "phosphene.generative.flow.layers.ode",
    "phosphene.nn.flow.planar": "phosphene.generative.flow.planar",
    "phosphene.nn.flow.radial": "phosphene.generative.flow.radial",
    "phosphene.nn.flow.spline": "phosphene.nn.spline",
    "phosphene.nn.flow.sylvester": "phosphene.generative.flow.sylvester",
    "phosphene.nn.kept": "phosphene.nn.cached",
    "phosphene.nn.likelihoods": "phosphene.generative.autoencoder.layers.likelihoods",
    "phosphene.nn.location_scale": "phosphene.generative.autoencoder.layers.location_scale",
    "phosphene.nn.networks": "phosphene.generative.autoencoder.layers.networks",
    "phosphene.nn.ode": "phosphene.generative.flow.layers.ode",
    "phosphene.nn.quantize": "phosphene.generative.autoencoder.layers.quantize",
    "phosphene.nn.quick_mlp": "phosphene.decision.deep.layers.quick_mlp",
    "phosphene.nn.recurrent": "phosphene.generative.autoregressive.layers.image_lstm",
    "phosphene.nn.transformer": "phosphene.generative.autoregressive.layers.transformer",
    "phosphene.recipes.acting": "phosphene.subjects.environment.subject",
    "phosphene.recipes.comparing": "phosphene.api.compare",
    "phosphene.recipes.comparing_agents": "phosphene.api.compare",
    "phosphene.recipes.evaluating": "phosphene.api.evaluate",
    "phosphene.recipes.exporting": "phosphene.api.export",
    "phosphene.recipes.planning": "phosphene.subjects.plan",
    "phosphene.recipes.playing": "phosphene.subjects.environment.playing",
    "phosphene.recipes.proofs": "phosphene.proofs",
    "phosphene.recipes.recipe": "phosphene.catalog.recipe",
    "phosphene.recipes.reporting": "phosphene.api.report",
    "phosphene.recipes.sampling": "phosphene.subjects.dataset.drawing",
    "phosphene.recipes.solving": "phosphene.api.solve",
    "phosphene.recipes.staging": "phosphene.api.stages",
    "phosphene.recipes.training": "phosphene.api.train",
    "phosphene.train.source": "phosphene.subjects.dataset.source",
    "phosphene.train.validation": "phosphene.subjects.dataset.held_out",
}

_EMPTY = ("phosphene.recipes", "phosphene.recipes.proofs", "phosphene.nn.flow")
"""Packages that are gone: something must stand in their place for what was in them to be told."""


class Moved(MetaPathFinder):
    """Asked last, when nothing else has found a module.

    Example:
        >>> import phosphene.recipes.training
        Traceback (most recent call last):
        ...
        ModuleNotFoundError: phosphene.recipes.training is now phosphene.api.train
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

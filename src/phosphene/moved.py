"""Modules that moved: importing one by its old name raises an error that names the new one."""

from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["MOVED", "Moved"]

MOVED: dict[str, str] = {
    "phosphene.core.drawing": "phosphene.core.draws_per_context",
    "phosphene.core.events": "phosphene.core.progress",
    "phosphene.core.texts": "phosphene.core.number_format",
    "phosphene.data.adapters.outward": "phosphene.data.adapters.remote",
    "phosphene.data.conditioning": "phosphene.data.context_parts",
    "phosphene.data.conditions": "phosphene.data.condition_images",
    "phosphene.decision.deep.episodes": "phosphene.decision.deep.episode_log",
    "phosphene.decision.environments.drawing": "phosphene.decision.environments.canvas",
    "phosphene.decision.environments.given": "phosphene.decision.environments.instances",
    "phosphene.decision.tabular.running": "phosphene.decision.tabular.learner",
    "phosphene.evaluate.images": "phosphene.evaluate.image_similarity",
    "phosphene.evaluate.kinds": "phosphene.evaluate.score_kinds",
    "phosphene.evaluate.lacking": "phosphene.evaluate.missing_capability",
    "phosphene.evaluate.meaning": "phosphene.evaluate.metric",
    "phosphene.evaluate.report": "phosphene.subjects.dataset.report",
    "phosphene.evaluate.subject": "phosphene.subjects.dataset.opening",
    "phosphene.evaluate.text": "phosphene.evaluate.formatting",
    "phosphene.generative.code_prior": "phosphene.generative.composed.code_prior",
    "phosphene.generative.flow.layers.ode": "phosphene.nn.ode",
    "phosphene.generative.flow.layers.planar": "phosphene.generative.flow.planar",
    "phosphene.generative.flow.layers.radial": "phosphene.generative.flow.radial",
    "phosphene.generative.flow.layers.runge_kutta": "phosphene.nn.runge_kutta",
    "phosphene.generative.flow.layers.sylvester": "phosphene.generative.flow.sylvester",
    "phosphene.nn.attention": "phosphene.generative.autoregressive.layers.attention",
    "phosphene.nn.condition": "phosphene.nn.context_embedding",
    "phosphene.nn.conditional": "phosphene.nn.context_embedding",
    "phosphene.nn.conditionals": "phosphene.nn.scalar_distributions",
    "phosphene.nn.flow": "phosphene.generative.flow.layers",
    "phosphene.nn.flow.monotone": "phosphene.nn.monotone",
    "phosphene.nn.flow.ode": "phosphene.nn.ode",
    "phosphene.nn.flow.planar": "phosphene.generative.flow.planar",
    "phosphene.nn.flow.radial": "phosphene.generative.flow.radial",
    "phosphene.nn.flow.spline": "phosphene.nn.spline",
    "phosphene.nn.flow.sylvester": "phosphene.generative.flow.sylvester",
    "phosphene.nn.kept": "phosphene.nn.cached",
    "phosphene.nn.likelihoods": "phosphene.generative.autoencoder.layers.likelihoods",
    "phosphene.nn.location_scale": "phosphene.generative.autoencoder.layers.location_scale",
    "phosphene.nn.networks": "phosphene.generative.autoencoder.layers.networks",
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
    "phosphene.subjects.dataset.given": "phosphene.subjects.dataset.sample_context",
    "phosphene.subjects.dataset.tellers": "phosphene.subjects.dataset.recorded_format",
    "phosphene.subjects.found": "phosphene.subjects.results",
    "phosphene.train.source": "phosphene.subjects.dataset.source",
    "phosphene.train.turns": "phosphene.train.phase_runner",
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

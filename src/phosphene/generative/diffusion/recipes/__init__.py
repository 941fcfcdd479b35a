"""Recipes of diffusion models. The first of a system is its default."""

from phosphene.catalog.recipe import Recipe
from phosphene.generative.diffusion.recipes.composed import RECIPES as _COMPOSED
from phosphene.generative.diffusion.recipes.images import RECIPES as _IMAGES
from phosphene.generative.diffusion.recipes.vectors import RECIPES as _VECTORS

__all__ = ["RECIPES"]

RECIPES: tuple[Recipe, ...] = (*_IMAGES, *_VECTORS, *_COMPOSED)

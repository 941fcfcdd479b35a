"""Recipes of the normalizing flows. The first of a system is its default."""

from phosphene.catalog.recipe import Recipe
from phosphene.generative.flow.recipes.images import RECIPES as _IMAGES
from phosphene.generative.flow.recipes.tables import RECIPES as _TABLES
from phosphene.generative.flow.recipes.vectors import RECIPES as _VECTORS

__all__ = ["RECIPES"]

RECIPES: tuple[Recipe, ...] = (*_VECTORS, *_IMAGES, *_TABLES)

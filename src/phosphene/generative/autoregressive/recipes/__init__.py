"""Recipes of autoregressive models. The first of a system is its default."""

from phosphene.catalog.recipe import Recipe
from phosphene.generative.autoregressive.recipes.nade_and_made import RECIPES as _NADE_AND_MADE
from phosphene.generative.autoregressive.recipes.pixels import RECIPES as _PIXELS
from phosphene.generative.autoregressive.recipes.sequences import RECIPES as _SEQUENCES
from phosphene.generative.autoregressive.recipes.transformer import RECIPES as _TRANSFORMER

__all__ = ["RECIPES"]

RECIPES: tuple[Recipe, ...] = (*_NADE_AND_MADE, *_PIXELS, *_SEQUENCES, *_TRANSFORMER)

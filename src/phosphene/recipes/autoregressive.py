"""Recipes of the autoregressive family. The first of a system is its default."""

from phosphene.recipes.recipe import Recipe

__all__ = ["RECIPES"]

RECIPES: tuple[Recipe, ...] = ()

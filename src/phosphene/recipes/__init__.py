"""Recipes as values, and the functions that train, evaluate and compare."""

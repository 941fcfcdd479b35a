"""Generative models, one room a family; rooms do not import each other."""

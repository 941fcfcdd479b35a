"""Generative models, one package a family; families do not import each other."""

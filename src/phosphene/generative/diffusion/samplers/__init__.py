"""Samplers: tables of numbers, apart from the models that they sample."""

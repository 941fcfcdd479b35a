"""Lessons on optimizers."""

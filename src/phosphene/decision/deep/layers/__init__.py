"""Layers of agents."""

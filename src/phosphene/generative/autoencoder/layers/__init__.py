"""Layers of autoencoders."""

"""Layers of normalizing flows: bijections, bases, and what conditions them."""

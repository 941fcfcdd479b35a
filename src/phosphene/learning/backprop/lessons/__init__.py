"""Backpropagation at work."""

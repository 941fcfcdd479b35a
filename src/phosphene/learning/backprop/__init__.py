"""Backpropagation written out."""

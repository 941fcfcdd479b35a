"""Lessons on convolution."""

"""Lessons on backpropagation."""

"""Lessons on recurrent networks."""
